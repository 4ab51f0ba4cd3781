"""Motions of the controller: set points, cycle by cycle, within limits of velocity and acceleration.

A motion takes the present set point and returns the next. The servo's filter is an approximation: Universal Robots does
not publish theirs.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from grasp_core import se3
from grasp_core.trajectory import State, Stop
from grasp_sim.ur_controller.kinematics import Kinematics
from grasp_sim.ur_controller.models import UrModel

STOP_ACCELERATION = 15.0  # rad/s^2 of a joint when a program ends or a safety stop brakes it


class MotionError(Exception):
    """The arm cannot go on; ``protective`` says whether the controller answers with a protective stop."""

    def __init__(self, message: str, protective: bool = True) -> None:
        super().__init__(message)
        self.protective = protective


class Motion(Protocol):
    """Something that moves the set point."""

    def step(self, now: State, dt: float) -> State:
        """The set point ``dt`` s later; MotionError."""
        ...

    @property
    def done(self) -> bool:
        """Whether it has ended; one that tracks never does."""
        ...


def trapezoid(length: float, speed: float, acceleration: float, t: float) -> tuple[float, float, bool]:
    """Way and speed at time ``t`` s of a move from rest to rest, and whether it has ended; any unit of length."""
    ramp = min(speed / acceleration, (length / acceleration) ** 0.5)
    top = acceleration * ramp
    cruise = max(length / top - ramp, 0.0) if top > 0 else 0.0
    if t >= 2 * ramp + cruise:
        return length, 0.0, True
    if t < ramp:
        return acceleration * t * t / 2, acceleration * t, False
    if t < ramp + cruise:
        return top * (t - ramp / 2), top, False
    left = 2 * ramp + cruise - t
    return length - acceleration * left * left / 2, acceleration * left, False


class Brake:
    """All joints come to rest at the same time; ``deceleration`` rad/s^2 of the fastest."""

    def __init__(self, now: State, deceleration: float = STOP_ACCELERATION) -> None:
        self._stop = Stop(now, np.full(len(now.q), max(deceleration, 0.1)))
        self._t = 0.0
        self.done = False

    def step(self, now: State, dt: float) -> State:
        """See `Motion`."""
        self._t += dt
        self.done = self._t >= self._stop.duration
        state = self._stop.sample(self._t)
        return State.at_rest(state.q) if self.done else state


class MoveJ:
    """Joints move straight to a target; ``speed`` rad/s and ``acceleration`` rad/s^2 of the leading one."""

    def __init__(self, now: State, target: np.ndarray, speed: float, acceleration: float) -> None:
        self._start, self._way = now.q, target - now.q
        self._length = float(np.abs(self._way).max())
        self._speed, self._acceleration, self._t = speed, acceleration, 0.0
        self.done = self._length < 1e-9

    def step(self, now: State, dt: float) -> State:
        """See `Motion`."""
        if self._length < 1e-9:
            return now
        self._t += dt
        way, speed, self.done = trapezoid(self._length, self._speed, self._acceleration, self._t)
        qd = self._way * (speed / self._length)
        return State(self._start + self._way * (way / self._length), qd, (qd - now.qd) / dt)


class MoveL:
    """The tool moves straight to a pose; ``speed`` m/s and ``acceleration`` m/s^2, in rad where it only turns."""

    def __init__(self, now: State, target: np.ndarray, speed: float, acceleration: float, arm: Kinematics) -> None:
        """``target`` 4x4."""
        self._arm, self._from, self._to = arm, arm.forward(now.q), target
        distance = float(np.linalg.norm(target[:3, 3] - self._from[:3, 3]))
        self._length = distance if distance > 1e-6 else float(se3.rotation_angle(self._from[:3, :3], target[:3, :3]))
        self._speed, self._acceleration, self._t = speed, acceleration, 0.0
        self.done = self._length < 1e-9

    def step(self, now: State, dt: float) -> State:
        """See `Motion`."""
        if self._length < 1e-9:
            return now
        self._t += dt
        way, _, self.done = trapezoid(self._length, self._speed, self._acceleration, self._t)
        q = self._arm.inverse(se3.interpolate(self._from, self._to, way / self._length), now.q)
        if q is None:
            raise MotionError("the straight line leaves the reach of the arm")
        if self.done:
            return State.at_rest(q)
        qd = (q - now.q) / dt
        return State(q, qd, (qd - now.qd) / dt)


class Speed:
    """Joint rates (``speedj``), or the tool's velocity in base axes (``speedl``), approached with an acceleration."""

    done = False

    def __init__(self, arm: Kinematics | None = None) -> None:
        """``arm``: for the tool's velocity."""
        self._arm = arm
        self._now = np.zeros(6)
        self.target, self.acceleration = np.zeros(6), 1.0

    def step(self, now: State, dt: float) -> State:
        """See `Motion`."""
        limit = self.acceleration * dt
        self._now = self._now + np.clip(self.target - self._now, -limit, limit)
        qd = self._now
        if self._arm is not None:
            _, jacobian = self._arm.jacobian(now.q)
            qd = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + 1e-6 * np.eye(6), self._now)
        return State(now.q + qd * dt, qd, (qd - now.qd) / dt)


class Servo:
    """Follows a target that is sent anew all the time (``servoj``): a critically damped filter of second order.

    It lags a steadily moving target by ``lookahead`` s, and holds the last one.
    """

    done = False

    def __init__(self, model: UrModel, target: np.ndarray, lookahead: float) -> None:
        self.target, self.lookahead = target, lookahead
        self._velocity = np.asarray(model.velocity)
        self._acceleration = model.acceleration

    def step(self, now: State, dt: float) -> State:
        """See `Motion`."""
        w = 2.0 / self.lookahead
        qdd = np.clip(w * w * (self.target - now.q) - 2 * w * now.qd, -self._acceleration, self._acceleration)
        qd = np.clip(now.qd + qdd * dt, -self._velocity, self._velocity)
        return State(now.q + qd * dt, qd, (qd - now.qd) / dt)
