"""One connection through the RDK: states in, commands out. Frames are ROS's base_link, which is the robot's world."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from arm_control.drivers.flexiv.faults import READY, RizonState, judge
from arm_control.drivers.flexiv.gripper import RdkGripper
from arm_control.drivers.flexiv.rdk import JOINTS, NAME, POSES, Rizon
from arm_control.drivers.streaming.faults import ArmFault, LinkFault, link_lost
from arm_control.planning.kinematics import Kinematics
from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.gripper import Gripper

_RATE = 100.0  # Hz: the most that the RDK's examples of discrete commands use
_POLL = 1e-3  # s between looks for a new state
_ENABLE = 20.0  # s until the brakes are released
_CLEAR = 30  # s, as the RDK says of a critical fault
_AWAY, _TURNED = 0.02, 0.05  # m, rad between the profile's URDF and what the robot tells of its flange
_MODES = (JOINTS, POSES)
_ANGULAR = 4.0  # rad per m, as of ServoTo's limits


@dataclass(frozen=True)
class RizonSettings:
    """How to connect.

    ``timeout`` s: silence of the robot that counts as a lost link. ``T_flange_tcp`` 4x4: the grasp frame. ``urdf``: its
    text. ``tracking``: the robot smoothens each target with so many times the profile's acceleration.
    ``gripper``: None where somebody else moves it; ``gripper_name`` in Flexiv Elements.
    """

    serial: str
    timeout: float
    arm: ArmProfile
    urdf: str
    T_flange_tcp: np.ndarray
    tracking: float = 3.0
    gripper: Gripper | None = None
    gripper_name: str = ""
    gripper_init: bool = False
    library: ClassVar[str] = NAME
    connecting: ClassVar[float] = 40.0
    recovering: ClassVar[float] = 60.0
    late: ClassVar[float] = 0.005

    def connect(self) -> RizonLink:
        """See `Link`."""
        return RizonLink(self)


class RizonLink:
    """Connected; ready to move as far as the robot is.

    Raises:
        LinkFault: nobody there, or another arm than the profile's.
    """

    def __init__(self, settings: RizonSettings) -> None:
        self._kinematics = Kinematics(settings.urdf, settings.arm, settings.T_flange_tcp)
        self.settings = settings
        self.period = 1.0 / _RATE
        self._rizon = rizon = Rizon(settings.serial)
        self.version = rizon.version
        limits = np.minimum(self._kinematics.model.upperVelocityLimit, rizon.velocity or np.inf)
        self._velocity = limits.tolist()
        self._acceleration = (settings.tracking * np.array(settings.arm.max_acceleration)).tolist()
        self._stamp, self._seen, self._due = -1.0, time.monotonic(), 0.0
        self._poses = False  # whether it is in the mode for poses
        state = self.next()
        self._check(state)
        if state.status == READY and not rizon.robot.busy():
            self._try(lambda: rizon.switch(JOINTS))
        self.gripper = None
        if settings.gripper is not None:
            self.gripper = RdkGripper(rizon, settings.gripper, settings.gripper_name, settings.gripper_init)

    def next(self) -> RizonState:
        """Wait for the robot's next state; LinkFault after ``timeout`` s without one."""
        time.sleep(max(self._due - time.monotonic(), 0.0))
        while True:
            states, now = self._rizon.states(), time.monotonic()
            seconds, nanoseconds = states.timestamp
            stamp = seconds + nanoseconds * 1e-9
            if stamp != self._stamp and self._rizon.robot.connected():
                break
            if now - self._seen > self.settings.timeout or not self._rizon.robot.connected():
                raise link_lost(now - self._seen)
            time.sleep(_POLL)
        self._stamp, self._seen = stamp, now
        self._due = max(self._due + self.period, now)
        q = np.array(states.q)
        flange = _matrix(states.flange_pose)
        self._T_flange_robots = se3.inverse(flange) @ _matrix(states.tcp_pose)
        return RizonState(
            timestamp=stamp,
            q=q,
            qd=np.array(states.dtheta),  # less noisy than dq, says the RDK
            tcp=flange @ self.settings.T_flange_tcp,
            setpoint=q,
            speed_scaling=1.0,
            status=self._rizon.robot.operational_status().name,
            mode=self._rizon.robot.mode().name,
        )

    def judge(self, state: RizonState) -> ArmFault | None:
        """See `Link`."""
        return judge(state, _MODES)

    def recover(self, state: RizonState) -> None:
        """Clear a fault, enable the robot, and take control; ArmFault when it does not get that far."""
        robot = self._rizon.robot
        self._poses = False
        try:
            if robot.fault() and not robot.ClearFault(_CLEAR):
                raise judge(self.next(), _MODES) or ArmFault("the fault is not cleared: see Flexiv Elements")
            if self.next().status == "NOT_ENABLED":
                robot.Enable()
                deadline = time.monotonic() + _ENABLE
                while self.next().status in ("NOT_ENABLED", "RELEASING_BRAKE") and time.monotonic() < deadline:
                    pass
            state = self.next()
            if state.status == READY:
                self._rizon.switch(JOINTS)
                state = self.next()
        except RuntimeError as error:
            raise ArmFault(f"the robot refuses ({error}): see Flexiv Elements") from error
        problem = judge(state, _MODES)
        if problem is not None:
            raise problem

    def begin_poses(self) -> None:
        """Switch to Cartesian motion; the arm rests."""
        self._poses = True
        self._try(lambda: self._rizon.switch(POSES))

    def servo_joints(self, q: np.ndarray) -> None:
        """Stream a joint target (7,) rad."""
        self._try(lambda: self._rizon.send_joints(q.tolist(), self._velocity, self._acceleration))

    def servo_pose(self, T_base_tcp: np.ndarray) -> None:
        """Stream a target of the grasp frame in base_link, 4x4."""
        arm = self.settings.arm
        T = T_base_tcp @ se3.inverse(self.settings.T_flange_tcp) @ self._T_flange_robots
        speed, acceleration = arm.max_tcp_velocity, self.settings.tracking * arm.linear_acceleration
        limits = (speed, _ANGULAR * speed, acceleration, _ANGULAR * acceleration)
        self._try(lambda: self._rizon.send_pose(_vector(T), limits))

    def end_servo(self) -> None:
        """The robot holds its last target."""
        if self._poses:
            self._poses = False
            self._try(lambda: self._rizon.switch(JOINTS))

    def alive(self) -> None:
        """Nothing to do: no discrete command lasts longer than to its target."""

    def _try(self, command: Callable[[], None]) -> None:
        """What the robot refuses because of its state is told by the next state; ArmFault otherwise."""
        try:
            command()
        except (RuntimeError, ValueError) as error:
            robot = self._rizon.robot
            if not robot.connected():
                raise link_lost(time.monotonic() - self._seen) from error
            if robot.operational_status().name == READY and robot.mode().name in _MODES:
                raise ArmFault(f"the robot refuses a command ({error}): see Flexiv Elements") from error

    def _check(self, state: RizonState) -> None:
        """LinkFault where the profile's arm would be somewhere else than the robot says."""
        wanted = self._kinematics.fk(state.q)
        away = float(np.linalg.norm(wanted[:3, 3] - state.tcp[:3, 3]))
        turned = float(se3.rotation_angle(wanted[:3, :3], state.tcp[:3, :3]))
        if away > _AWAY or turned > _TURNED:
            raise LinkFault(
                f"the robot's flange is {away * 1e3:.0f} mm and {turned:.2f} rad from where arm profile "
                f"{self.settings.arm.name} has it: choose the profile of this model (rizon4, rizon4s, …), and leave "
                "the robot's world frame in its base"
            )


def _matrix(pose: list[float]) -> np.ndarray:
    """4x4 of [x, y, z, qw, qx, qy, qz]."""
    x, y, z, w, *v = pose
    return se3.make(se3.matrix_from_quat([*v, w]), [x, y, z])


def _vector(T: np.ndarray) -> list[float]:
    x, y, z, w = se3.quat_from_matrix(T[:3, :3]).tolist()
    return [*T[:3, 3].tolist(), w, x, y, z]
