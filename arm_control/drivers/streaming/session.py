"""One connection to the robot, cycle by cycle, until it breaks or the driver ends it."""

from __future__ import annotations

import contextlib
import select
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

import numpy as np

from arm_control.cancel import Cancelled
from arm_control.drivers.streaming import messages as m
from arm_control.drivers.streaming.faults import ArmFault, ArmState, LinkFault
from arm_control.drivers.streaming.link import Link, LinkSettings
from arm_control.drivers.streaming.servo import PoseStream
from grasp_core.errors import ErrorCode, SeegraspError
from grasp_core.follower import Goal, Outcome, TrajectoryFollower

_REPORT = 0.0075  # s between updates of the driver: 125 Hz
_ALIVE = 0.0075  # s between kicks of the robot's watchdog while nothing moves
_STILL = 0.01  # rad/s
_REST = 0.5  # s after the end of a motion in which the arm comes to rest under the servo
_QUIT = 2.0  # s for braking at the end
_OUTCOMES = {
    Outcome.SUCCEEDED: ErrorCode.NONE,
    Outcome.CANCELLED: ErrorCode.CANCELLED,
    Outcome.PREEMPTED: ErrorCode.CANCELLED,
}


@dataclass(frozen=True)
class SessionSettings:
    """``joints`` and ``deceleration`` (dof,) rad/s^2: of the arm, for tolerances and braking.

    ``realtime``: ask for real-time priority.
    """

    link: LinkSettings
    joints: tuple[str, ...]
    deceleration: np.ndarray
    realtime: bool = True


class Session:
    """Follows trajectories and streams poses over one link, and reports."""

    def __init__(self, link: Link, pipe: Connection, settings: SessionSettings) -> None:
        self._link, self._pipe = link, pipe
        state = link.next()
        self._follower = TrajectoryFollower(state.q, settings.joints, settings.deceleration)
        self._time = 0.0  # s of the trajectory's time: the robot's, stretched by its speed slider
        self._stamp = state.timestamp
        self._goal: tuple[int, Goal] | None = None
        self._stream: PoseStream | None = None
        self._servo: m.Servo | None = None
        self._arrived = 0.0  # s at rest at the servo's target
        self._servoing = False
        self._moved = 0.0  # steady time of the last motion
        self._fault: ArmFault | None = None
        self._reported = self._kicked = self._woken = 0.0
        self._late = self._cycles = 0
        self._quit = 0.0
        self._allowed = settings.link.late

    def run(self) -> None:
        """Until the driver wants an end; ArmFault and LinkFault end it, too."""
        while True:
            state = self._link.next()
            now = time.monotonic()
            self._count(now)
            dt, self._stamp = min(max(state.timestamp - self._stamp, 0.0), 0.1), state.timestamp
            for message in self._messages():
                if isinstance(message, m.Resume):
                    state = self._resume(state)
                else:
                    self._take(message, state)
            self._fault = self._fault or self._link.judge(state)
            if self._fault is not None:
                self._stopped(state)
            else:
                self._drive(state, now, dt)
            gripped = [] if self._link.gripper is None else self._link.gripper.ended()
            if gripped:
                self._reported = 0.0  # where the fingers have come to rest is told first
            self._report(state, now)
            for ended in gripped:
                self._send(m.Gripped(*ended))
            if self._quit and (now > self._quit or not (self._busy or self._servoing)):
                return

    @property
    def _busy(self) -> bool:
        return self._goal is not None or self._stream is not None

    def _count(self, now: float) -> None:
        if self._busy:
            self._cycles += 1
            self._late += abs(now - self._woken - self._link.period) > self._allowed
        self._woken = now

    # what the driver wants

    def _messages(self) -> list[object]:
        found = []
        try:
            while self._pipe.poll():
                found.append(self._pipe.recv())
        except (EOFError, ConnectionError):  # the driver's process has ended
            found.append(m.Quit())
        return found

    def _take(self, message: object, state: ArmState) -> None:
        if isinstance(message, m.Aim):
            if self._stream is not None:
                self._stream.aim(message.T_base_tcp, message.time)
        elif isinstance(message, m.Follow | m.Servo):
            self._start(message, state)
        elif isinstance(message, m.Grip) and self._link.gripper is not None:
            self._link.gripper.move(message.number, message.width, message.force)
        elif isinstance(message, m.HaltGripper) and self._link.gripper is not None:
            self._link.gripper.halt()
        elif isinstance(message, m.Cancel):
            self._cancel(message.number)
        elif isinstance(message, m.Quit) and not self._quit:
            self._quit = time.monotonic() + _QUIT
            self._brake("the driver ends")

    def _start(self, message: m.Follow | m.Servo, state: ArmState) -> None:
        self._fault = self._fault or self._link.judge(state)
        if self._fault is not None:
            self._end(message.number, self._fault.code, str(self._fault))
        elif self._busy:
            self._brake("a newer motion was asked for")
            self._end(
                message.number, ErrorCode.BUSY, "another motion was under way: it is ended, and the arm comes to rest"
            )
        elif isinstance(message, m.Follow):
            if not self._servoing:
                self._follower.reset(state.q)
            goal = Goal(message.spline, self._time, message.tolerances)
            self._goal = (message.number, goal)
            self._follower.follow(goal)
        else:
            self._link.begin_poses()
            self._servo, self._arrived = message, 0.0
            self._stream = PoseStream(message.limits, state.tcp)

    def _cancel(self, number: int) -> None:
        if self._running == number:
            self._brake("cancelled: the arm brakes and holds")

    @property
    def _running(self) -> int | None:
        if self._goal is not None:
            return self._goal[0]
        return None if self._stream is None else self._servo.number

    def _brake(self, why: str) -> None:
        if self._goal is not None:
            self._follower.cancel(self._goal[1], self._time)
        if self._stream is not None:
            self._stream.fail(Cancelled(why))

    def _resume(self, state: ArmState) -> ArmState:
        """Out of a stop, if the robot lets it; the state afterwards."""
        try:
            self._send(m.Quiet())
            self._link.recover(state)
            self._fault = None
            self._send(m.Resumed(""))
        except LinkFault:
            raise
        except ArmFault as error:
            self._send(m.Resumed(str(error)))
        return self._link.next()

    # moving

    def _stopped(self, state: ArmState) -> None:
        """The robot stands, or brakes by itself: whatever was wanted is over."""
        number = self._running
        if number is not None:
            self._end(number, self._fault.code, str(self._fault))
        self._goal = self._stream = self._servo = None
        self._servoing = False
        self._follower.reset(state.q)

    def _drive(self, state: ArmState, now: float, dt: float) -> None:
        if self._stream is not None:
            self._servoing, self._moved = True, now
            self._link.servo_pose(self._stream.step(now, dt))
            self._finish_stream(dt)
        elif self._goal is not None or self._follower.moving:
            # Braking is not stretched by a speed slider at 0.
            self._time += dt * (state.speed_scaling if self._follower.goal is not None else 1.0)
            self._servoing, self._moved = True, now
            self._link.servo_joints(self._follower.update(self._time, state.q, state.qd).q)
            self._finish_goal(state)
        elif self._servoing:
            self._link.servo_joints(self._follower.setpoint.q)
            if np.abs(state.qd).max() < _STILL or now - self._moved > _REST:
                self._link.end_servo()
                self._servoing = False
        elif now - self._kicked > _ALIVE:
            self._kicked = now
            self._link.alive()

    def _finish_goal(self, state: ArmState) -> None:
        if self._goal is None:
            return
        number, goal = self._goal
        if goal.outcome is None or self._follower.moving:
            return
        if goal.outcome is not Outcome.SUCCEEDED and np.abs(state.qd).max() > _STILL:
            return  # it has ended when the arm stands
        code = _OUTCOMES.get(goal.outcome, ErrorCode.CONTROLLER_ABORTED)
        self._goal = None
        self._end(number, code, goal.message, goal.outcome)

    def _finish_stream(self, dt: float) -> None:
        stream, servo = self._stream, self._servo
        self._arrived = self._arrived + dt if stream.arrived else 0.0
        if stream.failure is not None and stream.still:
            failure: SeegraspError | None = stream.failure
        elif servo.settle > 0 and self._arrived >= servo.settle:
            failure = None
        else:
            return
        self._stream = self._servo = None
        self._link.end_servo()
        self._servoing = False
        if failure is None:
            self._end(servo.number, ErrorCode.NONE, "")
        else:
            self._end(servo.number, failure.code, str(failure))

    # telling

    def _end(self, number: int, code: ErrorCode, message: str, outcome: Outcome | None = None) -> None:
        self._send(m.Ended(number, code, message, outcome))

    def _report(self, state: ArmState, now: float) -> None:
        if now - self._reported < _REPORT:
            return
        self._reported = now
        if self._servoing and self._stream is None:
            state = replace(state, setpoint=self._follower.setpoint.q)
        if select.select([], [self._pipe], [], 0)[1]:  # a driver that hangs must not make the arm's stream hang
            fault = "" if self._fault is None else str(self._fault)
            gripper = None if self._link.gripper is None else self._link.gripper.report()
            self._send(m.Update(state, fault, self._late, self._cycles, gripper))

    def _send(self, message: object) -> None:
        tell(self._pipe, message)  # a driver that has ended is seen by `_messages`


def tell(pipe: Connection, message: object) -> None:
    """To the driver, if it is still there."""
    with contextlib.suppress(ConnectionError):
        pipe.send(message)
