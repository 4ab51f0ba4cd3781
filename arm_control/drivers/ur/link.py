"""One connection through ur_rtde: what is asked before, states in, commands out. Frames are ROS's base_link."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from arm_control.drivers.streaming.faults import ArmFault, LinkFault, link_lost
from arm_control.drivers.ur.faults import (
    OLDEST,
    RobotState,
    in_use,
    judge,
    local_control,
    unreachable,
    wrong_version,
)
from grasp_core import se3
from grasp_core.ur_modes import RobotMode, RuntimeState, SafetyMode

DASHBOARD, RTDE, SCRIPT = 29999, 30004, 30003
_VARIABLES = (
    *("timestamp", "actual_q", "actual_qd", "target_TCP_pose"),
    *("robot_mode", "safety_mode", "runtime_state", "speed_scaling", "target_speed_fraction"),
)
_CONNECT = 2.0  # s
_START = 0.7  # s for the control program
_UNLOCK = 1.0  # s for the end of a protective stop
_POLL = 1e-4  # s between looks for a new state
# s without a word from here until the robot ends the program. The arm stands long before: servoj holds the last target.
_WATCHDOG = 0.2
_T_base_baselink = se3.make(np.diag([-1.0, -1.0, 1.0]), np.zeros(3))  # the controller's base is half a turn off


@dataclass(frozen=True)
class LinkSettings:
    """How to connect.

    ``series``: 3 (CB3) or 5 (e-Series). ``timeout`` s: silence of the robot that counts as a lost link.
    ``T_flange_tcp`` 4x4: the grasp frame. ``lookahead`` s and ``gain``: of servoj and servol (Universal Robots, script
    manual).
    """

    host: str
    series: int
    timeout: float
    T_flange_tcp: np.ndarray
    lookahead: float = 0.03
    gain: float = 2000.0
    library: ClassVar[str] = "ur_rtde"
    connecting: ClassVar[float] = 15.0
    recovering: ClassVar[float] = 10.0
    late: ClassVar[float] = 0.001

    def connect(self) -> UrLink:
        """See `Link`."""
        return UrLink(self)


class UrLink:
    """Connected and ready to move when it is there.

    Raises:
        LinkFault: nobody there, the wrong version, or controlled by somebody else. ArmFault: the robot refuses.
    """

    gripper = None  # a Robotiq is talked to directly

    def __init__(self, settings: LinkSettings) -> None:
        import rtde_control  # native, and only a session's process wants it
        import rtde_receive

        self.settings = settings
        self.version = _ask(settings)
        self.period = 1.0 / (125.0 if settings.series == 3 else 500.0)
        try:
            self._receive = rtde_receive.RTDEReceiveInterface(settings.host, 1.0 / self.period, list(_VARIABLES))
            self._stamp, self._seen = self._receive.getTimestamp(), time.monotonic()
            self._control = rtde_control.RTDEControlInterface(settings.host, 1.0 / self.period)
        except RuntimeError as error:
            if "already in use" in str(error):
                raise in_use(error) from error
            if "emote control" in str(error):
                raise local_control() from error
            if "control script" in str(error):
                raise ArmFault(
                    f"the robot does not run the control program ({error}): see the pendant's log"
                ) from error
            raise unreachable(settings.host, RTDE, error) from error
        self._prepare()

    def _prepare(self) -> None:
        pose, watchdog = _vector(self.settings.T_flange_tcp), max(_WATCHDOG, 4 * self.settings.timeout)
        if not (self._control.setTcp(pose) and self._control.setWatchdog(1.0 / watchdog)):
            raise ArmFault("the robot did not take the tool's frame and the watchdog: see the pendant's log")

    def judge(self, state: RobotState) -> ArmFault | None:
        """See `Link`."""
        return judge(state)

    def recover(self, state: RobotState) -> None:
        """End a protective stop, and have the control program run again; ArmFault when the robot does not let it."""
        if state.safety_mode is SafetyMode.PROTECTIVE_STOP:
            self.unlock()
            deadline = time.monotonic() + _UNLOCK
            while state.safety_mode is SafetyMode.PROTECTIVE_STOP and time.monotonic() < deadline:
                state = self.next()
        problem = judge(replace(state, runtime_state=RuntimeState.PLAYING))
        if problem is not None:
            raise problem
        self.restart()

    def restart(self) -> None:
        """Have the control program run again after a stop; ArmFault when it does not."""
        if not self._control.isProgramRunning():
            if not _remote(self.settings):
                raise local_control()
            self._control.kickWatchdog()  # takes the last command back: else the new program would carry it out again
            self._control.reuploadScript()
            deadline = time.monotonic() + _START
            while not self._control.isProgramRunning():
                if time.monotonic() > deadline:
                    raise ArmFault("the control program does not start on the robot: see the pendant's log")
                time.sleep(0.01)
        self._prepare()

    def unlock(self) -> None:
        """End a protective stop; ArmFault when the robot refuses (it wants 5 s between stop and unlocking)."""
        answer = _dashboard(self.settings.host, "unlock protective stop")
        if "releasing" not in answer.lower():
            raise ArmFault(
                f"the robot does not end its protective stop: {answer}; wait 5 s after the stop and try again"
            )

    def next(self) -> RobotState:
        """Wait for the robot's next state; LinkFault after ``timeout`` s without one."""
        while True:
            stamp = self._receive.getTimestamp()
            now = time.monotonic()
            if stamp != self._stamp:
                break
            age = now - self._seen
            if age > self.settings.timeout or not self._receive.isConnected():
                raise link_lost(age)
            expected = self._seen + self.period - _POLL
            time.sleep(max(expected - now, _POLL))
        self._stamp, self._seen = stamp, now
        receive = self._receive
        q = np.array(receive.getActualQ())
        return RobotState(
            timestamp=stamp,
            q=q,
            qd=np.array(receive.getActualQd()),
            tcp=_T_base_baselink @ _matrix(receive.getTargetTCPPose()),
            setpoint=q,
            robot_mode=RobotMode(receive.getRobotMode()),
            safety_mode=SafetyMode(receive.getSafetyMode()),
            runtime_state=RuntimeState(receive.getRuntimeState()),
            speed_scaling=receive.getSpeedScaling() * receive.getTargetSpeedFraction(),
        )

    def begin_poses(self) -> None:
        """Nothing to do: servoj and servol go together."""

    def servo_joints(self, q: np.ndarray) -> bool:
        """Stream a joint target (6,) rad."""
        return self._control.servoJ(q.tolist(), 0.0, 0.0, self.period, self.settings.lookahead, self.settings.gain)

    def servo_pose(self, T_base_tcp: np.ndarray) -> bool:
        """Stream a target of the grasp frame in base_link, 4x4."""
        pose = _vector(_T_base_baselink @ T_base_tcp)
        return self._control.servoL(pose, 0.0, 0.0, self.period, self.settings.lookahead, self.settings.gain)

    def end_servo(self) -> bool:
        """No targets any more: the robot holds itself."""
        return self._control.servoStop()

    def alive(self) -> bool:
        """Tell the robot's watchdog that somebody is here."""
        return self._control.kickWatchdog()


def _vector(T: np.ndarray) -> list[float]:
    return [*T[:3, 3].tolist(), *se3.log_so3(T[:3, :3]).tolist()]


def _matrix(pose: list[float]) -> np.ndarray:
    return se3.make(se3.exp_so3(pose[3:]), pose[:3])


def _ask(settings: LinkSettings) -> str:
    """PolyScope's version, after everything that can be asked before ur_rtde connects."""
    answer = _dashboard(settings.host, "PolyscopeVersion")
    found = re.search(r"(\d+)\.(\d+)\.\d+(\.\d+)?", answer)
    if found is None:
        raise wrong_version(answer, settings.series)
    number = (int(found[1]), int(found[2]))
    if number[0] != settings.series or number < OLDEST[settings.series]:
        raise wrong_version(found[0], settings.series)
    if not _remote(settings):
        raise local_control()
    mode = _dashboard(settings.host, "robotmode").upper()
    if "RUNNING" not in mode:
        raise ArmFault(f"{mode}: switch the arm on and release its brakes at the pendant; then it is connected to")
    status = _dashboard(settings.host, "safetymode").upper()
    if not any(name in status for name in ("NORMAL", "REDUCED")):
        raise ArmFault(f"{status}: end the stop at the pendant; then it is connected to")
    return found[0]


def _remote(settings: LinkSettings) -> bool:
    """Whether programs may come over the network; CB3 knows no local control."""
    return settings.series == 3 or "true" in _dashboard(settings.host, "is in remote control").lower()


def _dashboard(host: str, question: str) -> str:
    """One question to the dashboard; LinkFault when nobody answers."""
    try:
        with socket.create_connection((host, DASHBOARD), timeout=_CONNECT) as connection:
            lines = connection.makefile("rw", newline="\n", encoding="utf-8", errors="replace")
            lines.readline()  # the greeting
            lines.write(question + "\n")
            lines.flush()
            answer = lines.readline().strip()
    except OSError as error:
        raise unreachable(host, DASHBOARD, error) from error
    if not answer:
        raise LinkFault(f"the dashboard at {host}:{DASHBOARD} closed the connection: is the robot starting up?")
    return answer
