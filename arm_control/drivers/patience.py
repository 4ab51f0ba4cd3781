"""How long to wait for something physical: in the time that the robot lives in, without trusting it to go on."""

from __future__ import annotations

import time
from collections.abc import Callable

FROZEN = 3.0  # s of steady time without any progress of ROS time: whatever gives the time is dead


class Patience:
    """A limit of `limit` s in ROS time, which a slow simulator stretches and a dead one stops.

    On a robot ROS time is the system's time and this is an ordinary timeout. ROS time that jumps back (a restarted
    simulator) starts the wait anew.
    """

    def __init__(self, limit: float, now_ns: Callable[[], int], steady: Callable[[], float] = time.monotonic) -> None:
        self._limit_ns = int(limit * 1e9)
        self._now_ns, self._steady = now_ns, steady
        self._start = self._last = now_ns()
        self._progress = steady()

    def left(self) -> float:
        """Seconds until the limit, <= 0 when it is reached."""
        now = self._now_ns()
        if now != self._last:
            if now < self._last:
                self._start = now
            self._last, self._progress = now, self._steady()
        return (self._start + self._limit_ns - now) / 1e9

    def frozen(self) -> bool:
        """Whether ROS time has not moved for `FROZEN` s; call `left` first."""
        return self._steady() - self._progress > FROZEN
