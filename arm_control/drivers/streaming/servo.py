"""Targets of the grasp frame that come when they come, turned into a smooth stream within limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grasp_core import se3
from grasp_core.errors import ErrorCode, ExecutionError, SeegraspError, StaleError

_GAIN = 8.0  # 1/s: how fast a small distance to the target is closed
_STILL = 1e-3  # m/s and rad/s


@dataclass(frozen=True)
class ServoLimits:
    """What a stream keeps: m/s, m/s^2, rad/s, rad/s^2.

    ``low``, ``high`` (3,) m: the workspace in base_link. ``max_age`` s of a target until the arm stops. ``position`` m
    and ``rotation`` rad: near enough to a target that does not move.
    """

    speed: float
    acceleration: float
    angular_speed: float
    angular_acceleration: float
    low: np.ndarray
    high: np.ndarray
    max_age: float
    position: float
    rotation: float


def check_target(T_base_tcp: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The target as a rigid 4x4; InputError, or ExecutionError OUT_OF_LIMITS outside of the workspace."""
    T = se3.check(T_base_tcp, "servo target")
    p = T[:3, 3]
    if (p < low).any() or (p > high).any():
        raise ExecutionError(
            f"servo target {p.round(3).tolist()} m lies outside of the workspace {np.round(low, 3).tolist()} .. "
            f"{np.round(high, 3).tolist()} of the cell profile",
            ErrorCode.OUT_OF_LIMITS,
        )
    return T


class PoseStream:
    """Moves a commanded pose towards the newest target; `step` is called once in every cycle of the robot."""

    def __init__(self, limits: ServoLimits, T_base_tcp: np.ndarray) -> None:
        """Begins at rest at ``T_base_tcp`` (4x4)."""
        self._limits = limits
        self._pose = np.array(T_base_tcp)
        self._twist = np.zeros(6)  # linear, then angular, in base axes
        self._target: np.ndarray | None = None
        self._since = 0.0  # s, when the target came
        self.failure: SeegraspError | None = None

    @property
    def still(self) -> bool:
        """Whether the commanded pose is at rest."""
        return bool(np.abs(self._twist).max() < _STILL)

    @property
    def arrived(self) -> bool:
        """Whether it rests at its target."""
        if self._target is None or not self.still:
            return False
        linear, angular = self._error(self._target)
        limits = self._limits
        return bool(np.linalg.norm(linear) <= limits.position and np.linalg.norm(angular) <= limits.rotation)

    def aim(self, T_base_tcp: np.ndarray, time: float) -> None:
        """A new target at steady time ``time`` s; one that cannot be taken ends the stream."""
        try:
            self._target = check_target(T_base_tcp, self._limits.low, self._limits.high)
            self._since = time
        except SeegraspError as error:
            self.fail(error)

    def fail(self, error: SeegraspError) -> None:
        """Come to rest; the first failure stays."""
        self.failure = self.failure or error

    def step(self, time: float, dt: float) -> np.ndarray:
        """The commanded pose, 4x4, ``dt`` s later; ``time``: now, steady."""
        limits = self._limits
        if self._target is not None and self.failure is None and time - self._since > limits.max_age:
            age, allowed = (time - self._since) * 1e3, limits.max_age * 1e3
            self.fail(StaleError(f"the newest servo target is {age:.0f} ms old (allowed {allowed:.0f}): the arm stops"))
        linear = angular = np.zeros(3)
        if self._target is not None and self.failure is None:
            linear, angular = self._error(self._target)
            linear = _approach(linear, limits.speed, limits.acceleration)
            angular = _approach(angular, limits.angular_speed, limits.angular_acceleration)
        self._twist[:3] = _towards(self._twist[:3], linear, limits.acceleration * dt)
        self._twist[3:] = _towards(self._twist[3:], angular, limits.angular_acceleration * dt)
        self._pose[:3, 3] += self._twist[:3] * dt
        self._pose[:3, :3] = se3.exp_so3(self._twist[3:] * dt) @ self._pose[:3, :3]
        return self._pose

    def _error(self, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return target[:3, 3] - self._pose[:3, 3], se3.log_so3(target[:3, :3] @ self._pose[:3, :3].T)


def _approach(error: np.ndarray, speed: float, acceleration: float) -> np.ndarray:
    """The velocity that closes ``error`` and can still be braked in time."""
    distance = float(np.linalg.norm(error))
    if distance < 1e-9:
        return np.zeros(3)
    brakable = float(np.sqrt(max(acceleration * distance, 0.0)))  # half of what the limit would allow: no overshoot
    return error / distance * min(speed, _GAIN * distance, brakable)


def _towards(now: np.ndarray, wanted: np.ndarray, step: float) -> np.ndarray:
    change = wanted - now
    size = float(np.linalg.norm(change))
    return wanted.copy() if size <= step else now + change * (step / size)
