"""The newest joint states, with every reason not to trust them."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from grasp_core.errors import ErrorCode, ExecutionError

_JUMP_NS = 1_000_000_000  # stamps that go back further than this mean that the clock was restarted


@dataclass(frozen=True)
class JointSample:
    """Positions `q` (dof,) rad and velocities `qd` (dof,) rad/s in the profile's order; `stamp` ns of the oldest."""

    q: np.ndarray
    qd: np.ndarray
    stamp: int


@dataclass(frozen=True)
class _Joint:
    position: float
    velocity: float
    stamp: int
    received: float


class JointStateMonitor:
    """Keeps the last state of every joint. Thread-safe; states of one robot may come in several messages.

    Args:
        joints: the arm's joints in the profile's order.
        gripper_joint: the joint that tells the gripper's opening, or None.
        max_age: s; older than this on the steady clock since arrival, or by stamp against `now_ns`, is stale.
        now_ns: ROS time in ns (it freezes with a simulator that died: hence both ages).
        topic: named in the errors.
    """

    def __init__(
        self,
        joints: Sequence[str],
        gripper_joint: str | None,
        max_age: float,
        now_ns: Callable[[], int],
        topic: str = "/joint_states",
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.joints = tuple(joints)
        self.gripper_joint = gripper_joint
        self.max_age = max_age
        self.topic = topic
        self.restarts = 0  # how often the stamps jumped back: the driver or simulator behind the topic was restarted
        self._now_ns = now_ns
        self._steady = steady
        self._lock = threading.Lock()
        self._latest: dict[str, _Joint] = {}

    def update(self, names: Sequence[str], positions: Sequence[float], velocities: Sequence[float], stamp: int) -> None:
        """Take in one message; `velocities` may be empty (they are then differences of the positions)."""
        received = self._steady()
        wanted = {*self.joints, self.gripper_joint}
        with self._lock:
            for i, name in enumerate(names):
                if name not in wanted or i >= len(positions):
                    continue
                last = self._latest.get(name)
                if last is not None and stamp < last.stamp - _JUMP_NS:
                    self.restarts += 1
                    self._latest.clear()
                    last = None
                if i < len(velocities):
                    velocity = float(velocities[i])
                elif last is None or stamp <= last.stamp:
                    velocity = 0.0
                else:
                    velocity = (float(positions[i]) - last.position) / ((stamp - last.stamp) * 1e-9)
                self._latest[name] = _Joint(float(positions[i]), velocity, stamp, received)

    def arm(self) -> JointSample:
        """The arm's joints; ExecutionError NO_JOINT_STATES when one is missing, stale or not finite."""
        states = self._fresh(self.joints)
        q, qd = np.array([s.position for s in states]), np.array([s.velocity for s in states])
        return JointSample(q, np.where(np.isfinite(qd), qd, np.inf), min(s.stamp for s in states))

    def gripper_position(self) -> float:
        """Position of the gripper's joint (rad or m, as its driver speaks); NO_JOINT_STATES as in `arm`."""
        if self.gripper_joint is None:
            raise ExecutionError("no gripper joint is configured", ErrorCode.CONFIG)
        return self._fresh((self.gripper_joint,))[0].position

    def age(self) -> float:
        """Seconds (steady) since the oldest of the arm's joints was heard of; infinite before all were."""
        with self._lock:
            received = [self._latest[j].received if j in self._latest else -math.inf for j in self.joints]
        return self._steady() - min(received)

    def settled(self, threshold: float) -> bool:
        """Whether every arm joint is slower than `threshold` rad/s."""
        return bool(np.abs(self.arm().qd).max() < threshold)

    def _fresh(self, names: Sequence[str]) -> list[_Joint]:
        with self._lock:
            states = {name: self._latest.get(name) for name in names}
        missing = [name for name, state in states.items() if state is None]
        if missing:
            raise self._error(f"no state of {', '.join(missing)} was received: is the driver running?")
        found = [state for state in states.values() if state is not None]
        age = self._steady() - min(s.received for s in found)
        if age > self.max_age:
            raise self._error(
                f"the last states arrived {age:.1f} s ago (allowed: {self.max_age} s): the driver has stopped"
            )
        offset = (self._now_ns() - min(s.stamp for s in found)) * 1e-9
        if abs(offset) > self.max_age:
            when = f"{offset:.1f} s old" if offset > 0 else f"{-offset:.1f} s in the future"
            raise self._error(
                f"states are stamped {when} (allowed: {self.max_age} s): clocks differ, or use_sim_time is wrong"
            )
        bad = [name for name, state in states.items() if not math.isfinite(state.position)]
        if bad:
            raise self._error(f"position of {', '.join(bad)} is not a finite number")
        return found

    def _error(self, what: str) -> ExecutionError:
        return ExecutionError(f"{self.topic}: {what}", ErrorCode.NO_JOINT_STATES)
