"""Depth moved to where the colour camera sees it, by the library's own alignment."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasp_perception.realsense.library import realsense
from grasp_perception.realsense.settings import Mode
from grasp_perception.realsense.soft import SoftStream
from grasp_perception.realsense.source import SourceError

_TRIES = 10  # the syncer gives the first frames of its streams away alone
_STEP_MS = 1e3 / 30


class Aligner:
    """Aligns depth pictures to a colour camera without distortion.

    The pictures go through a device of software, because what `rs.align` makes of a real colour lens depends on the
    build: the SSE version ignores all distortion models but modified_brown_conrady, the plain one takes them all. Here
    the colour camera has none, so aligned depth always fits the rectified colour picture.
    """

    def __init__(self, depth: Any, color: Any, extrinsics: Any, scale: float) -> None:
        """`depth`, `color`: intrinsics of the streams, of which the colour's distortion is left out; `extrinsics` from
        depth to colour; `scale`: m per unit of depth.
        """
        rs = realsense()
        self._mode, self._color_mode = (Mode(i.width, i.height, 30) for i in (depth, color))
        self._scale, self._number = scale, 0
        device = rs.software_device()
        self._depth, self._color = SoftStream(device, "depth", "depth"), SoftStream(device, "color", "grey")
        self._depth.sensor.add_read_only_option(rs.option.depth_units, scale)
        profiles = [self._depth.offer(self._mode, depth, 0), self._color.offer(self._color_mode, _ideal(color), 1)]
        profiles[0].register_extrinsics_to(profiles[1], extrinsics)
        self._device, self._syncer, self._align = device, rs.syncer(2), rs.align(rs.stream.color)
        self._nothing = np.zeros((color.height, color.width), np.uint8)
        for stream, profile in zip((self._depth, self._color), profiles, strict=True):
            stream.sensor.open([profile])
            stream.sensor.start(self._syncer)

    def __call__(self, depth: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """(H, W) of the colour picture from (h, w) of the depth picture, both in units of `scale`; 0: not measured."""
        for _ in range(_TRIES):
            frames = self._through(depth)
            if frames is not None:
                aligned = self._align.process(frames).as_frameset().get_depth_frame()
                return np.array(aligned.get_data())
        raise SourceError("librealsense does not align depth: this build of pyrealsense2 does not work")

    def _through(self, depth: NDArray[np.uint16]) -> Any | None:
        """The frameset made of this picture; None when the syncer tore it apart."""
        system = realsense().timestamp_domain.system_time
        self._number += 1
        stamp = self._number * _STEP_MS
        self._depth.send(self._mode, depth, self._number, stamp, system, self._scale)
        self._color.send(self._color_mode, self._nothing, self._number, stamp, system, 0.0)
        found = None
        while frames := self._syncer.poll_for_frames():
            if frames.size() == 2 and frames.get_frame_number() == self._number:
                found = frames
        return found

    def close(self) -> None:
        """Let the device go."""
        for stream in (self._depth, self._color):
            stream.sensor.stop()
            stream.sensor.close()


def _ideal(intrinsics: Any) -> Any:
    """The same camera without distortion."""
    ideal = realsense().intrinsics()
    for name in ("width", "height", "fx", "fy", "ppx", "ppy"):
        setattr(ideal, name, getattr(intrinsics, name))
    ideal.model, ideal.coeffs = realsense().distortion.none, [0.0] * 5
    return ideal
