"""Splines through trajectory points, as joint_trajectory_controller of ros2_control interpolates them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grasp_core.errors import InputError


@dataclass(frozen=True)
class State:
    """Position, velocity and acceleration of all joints: (dof,) each; rad, rad/s, rad/s^2."""

    q: np.ndarray
    qd: np.ndarray
    qdd: np.ndarray

    @classmethod
    def at_rest(cls, q: np.ndarray) -> State:
        """Standing still at ``q``."""
        q = np.array(q, dtype=np.float64)
        return cls(q, np.zeros_like(q), np.zeros_like(q))


class Spline:
    """A piecewise polynomial of degree 5 through points in time.

    Between two points: quintic where both have velocity and acceleration, cubic where both have velocities, else
    linear. Before the first point it stands at the first, after the last at the last.
    """

    def __init__(
        self,
        times: Sequence[float],
        positions: np.ndarray,
        velocities: np.ndarray | None = None,
        accelerations: np.ndarray | None = None,
    ) -> None:
        """``times`` (M,) s, strictly rising, M >= 2; the others (M, dof). InputError on wrong shapes or NaN."""
        self.times = np.asarray(times, dtype=np.float64)
        q = np.asarray(positions, dtype=np.float64)
        given = [a for a in (velocities, accelerations) if a is not None]
        if len(self.times) < 2 or q.ndim != 2 or any(np.shape(a) != q.shape for a in given):
            raise InputError("a spline needs at least 2 points with the same number of joints each")
        if len(self.times) != len(q) or not np.all(np.diff(self.times) > 0):
            raise InputError("a spline needs one strictly rising time per point")
        if not all(np.isfinite(a).all() for a in (self.times, q, *given)):
            raise InputError("a spline needs finite times, positions, velocities and accelerations")
        self._coefficients = _coefficients(np.diff(self.times)[:, None], q, velocities, accelerations)
        self._last = State.at_rest(q[-1])
        self._first = State.at_rest(q[0])

    @property
    def duration(self) -> float:
        """Time of the last point, s."""
        return float(self.times[-1])

    def sample(self, t: float) -> State:
        """State at time ``t`` s."""
        if t >= self.times[-1]:
            return self._last
        if t < self.times[0]:
            return self._first
        i = int(np.searchsorted(self.times, t, side="right")) - 1
        s = t - self.times[i]
        c0, c1, c2, c3, c4, c5 = self._coefficients[:, i]
        q = c0 + s * (c1 + s * (c2 + s * (c3 + s * (c4 + s * c5))))
        qd = c1 + s * (2 * c2 + s * (3 * c3 + s * (4 * c4 + s * 5 * c5)))
        qdd = 2 * c2 + s * (6 * c3 + s * (12 * c4 + s * 20 * c5))
        return State(q, qd, qdd)

    def sample_many(self, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Times (K,), positions and velocities (K, dof) at most ``step`` s apart, end points included."""
        count = max(2, int(np.ceil((self.times[-1] - self.times[0]) / step)) + 1)
        times = np.linspace(self.times[0], self.times[-1], count)
        states = [self.sample(t) for t in times]
        return times, np.array([s.q for s in states]), np.array([s.qd for s in states])


def _coefficients(h: np.ndarray, q: np.ndarray, qd: np.ndarray | None, qdd: np.ndarray | None) -> np.ndarray:
    """(6, M-1, dof) coefficients of rising powers; ``h`` (M-1, 1) are the durations."""
    out = np.zeros((6, len(q) - 1, q.shape[1]))
    step = q[1:] - q[:-1]
    out[0] = q[:-1]
    if qd is None:
        out[1] = step / h
        return out
    v0, v1 = np.asarray(qd, float)[:-1], np.asarray(qd, float)[1:]
    out[1] = v0
    if qdd is None:
        out[2] = (3 * step / h - 2 * v0 - v1) / h
        out[3] = (v0 + v1 - 2 * step / h) / h**2
        return out
    a0, a1 = np.asarray(qdd, float)[:-1], np.asarray(qdd, float)[1:]
    out[2] = a0 / 2
    out[3] = (20 * step - (8 * v1 + 12 * v0) * h - (3 * a0 - a1) * h**2) / (2 * h**3)
    out[4] = (-30 * step + (14 * v1 + 16 * v0) * h + (3 * a0 - 2 * a1) * h**2) / (2 * h**4)
    out[5] = (12 * step - 6 * (v1 + v0) * h + (a1 - a0) * h**2) / (2 * h**5)
    return out


class Stop:
    """Braking along the present direction of motion: all joints come to rest at the same time."""

    def __init__(self, state: State, max_deceleration: np.ndarray) -> None:
        """``max_deceleration`` (dof,) rad/s^2."""
        self._start = state
        self.duration = float(np.max(np.abs(state.qd) / max_deceleration))

    def sample(self, t: float) -> State:
        """State ``t`` s after the start of braking."""
        start = self._start
        if self.duration <= 0.0:
            return State.at_rest(start.q)
        t = min(max(t, 0.0), self.duration)
        rate = start.qd / self.duration
        q = start.q + start.qd * t - rate * t * t / 2
        return State(q, start.qd - rate * t, -rate if t < self.duration else np.zeros_like(rate))
