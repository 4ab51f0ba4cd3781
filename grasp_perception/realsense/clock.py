"""From a camera's timestamps to the host's clock, which is ROS time without a simulator."""

from __future__ import annotations

from collections import deque
from typing import Any

from grasp_perception.realsense.library import realsense

_MS = 1_000_000
_WINDOW_NS = 10_000_000_000  # a crystal drifts by at most 50 ppm: 0.5 ms in this time


class HostClock:
    """Stamps of frames in ns of the host's clock.

    `global_time` (the library fits the device's clock to the host's) and `system_time` (when the host got the frame)
    are the host's already. A `hardware_clock` counts from the device's start: the frame that came fastest in the last
    10 s tells the offset, so stamps are late by the shortest way of a frame to the host, some ms.
    """

    def __init__(self) -> None:
        self._offsets: deque[tuple[int, int]] = deque()  # (arrival, arrival - device time), offsets rising

    def stamp(self, timestamp_ms: float, domain: Any, arrival_ns: int) -> int:
        """ns of the host's clock for a timestamp in ms of the domain (rs.timestamp_domain), arrived at `arrival_ns`."""
        device_ns = round(timestamp_ms * _MS)
        if domain != realsense().timestamp_domain.hardware_clock:
            return device_ns
        offset = arrival_ns - device_ns
        while self._offsets and self._offsets[-1][1] >= offset:
            self._offsets.pop()
        self._offsets.append((arrival_ns, offset))
        while self._offsets[0][0] < arrival_ns - _WINDOW_NS:
            self._offsets.popleft()
        return device_ns + self._offsets[0][1]
