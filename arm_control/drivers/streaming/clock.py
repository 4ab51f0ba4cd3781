"""The robot's own time stamps on the clock of everybody else."""

from __future__ import annotations

from collections import deque

_WINDOW = 5.0  # s of robot time


class RobotClock:
    """Takes the robot's timestamps to ns of another clock, by the difference of both over the last seconds.

    A state that arrives late makes the difference too large, so the smallest counts. Where the other clock is itself
    told over the network (`simulated`: /clock), it is that one which lags, and the largest counts.
    """

    def __init__(self, simulated: bool) -> None:
        self._worse = (lambda old, new: old <= new) if simulated else (lambda old, new: old >= new)
        self._seen: deque[tuple[float, int]] = deque()  # robot time and difference, the best first

    def stamp(self, timestamp: float, now_ns: int) -> int:
        """When a state of robot time ``timestamp`` s, which arrives now, was true; ns."""
        ns = round(timestamp * 1e9)
        if self._seen and timestamp < self._seen[-1][0]:  # another robot, or the same started again
            self._seen.clear()
        difference = now_ns - ns
        while self._seen and self._worse(self._seen[-1][1], difference):
            self._seen.pop()
        self._seen.append((timestamp, difference))
        while self._seen[0][0] < timestamp - _WINDOW:
            self._seen.popleft()
        return ns + self._seen[0][1]
