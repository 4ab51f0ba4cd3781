"""Streams of a device made of software: pictures of one's own as frames of the library."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasp_perception.realsense.library import realsense
from grasp_perception.realsense.settings import Mode

_KINDS = {"depth": ("depth", "z16", 2), "color": ("color", "rgb8", 3), "grey": ("color", "y8", 1)}


class SoftStream:
    """One stream of a software device (`rs.software_device`) on a sensor of its own."""

    def __init__(self, device: Any, sensor_name: str, kind: str) -> None:
        """`kind`: depth (uint16), color (RGB), or grey, which stands for colour where nobody looks at it."""
        self.sensor = device.add_sensor(sensor_name)
        self._stream, self._format, self._bytes = _KINDS[kind]
        self._profiles: dict[Mode, Any] = {}

    def offer(self, mode: Mode, intrinsics: Any, uid: int) -> Any:
        """Add a profile; `uid` is a number of its own within the device."""
        rs = realsense()
        video = rs.video_stream()
        video.type, video.fmt = getattr(rs.stream, self._stream), getattr(rs.format, self._format)
        video.width, video.height, video.fps = mode.width, mode.height, mode.fps
        video.bpp, video.index, video.uid, video.intrinsics = self._bytes, 0, uid, intrinsics
        self._profiles[mode] = self.sensor.add_video_stream(video)
        return self._profiles[mode]

    def send(
        self, mode: Mode, picture: NDArray, number: int, timestamp_ms: float, domain: Any, units: float = 0.0
    ) -> None:
        """Put in a frame; `units`: m per unit of depth."""
        frame = realsense().software_video_frame()
        frame.pixels = np.ascontiguousarray(picture)
        frame.bpp, frame.stride = self._bytes, self._bytes * mode.width
        frame.timestamp, frame.domain, frame.frame_number = timestamp_ms, domain, number
        frame.profile = self._profiles[mode].as_video_stream_profile()
        frame.depth_units = units
        self.sensor.on_video_frame(frame)
