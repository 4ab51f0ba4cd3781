"""Pairs of the library's frames to `DepthFrame`s: filtered, aligned to colour, rectified, stamped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from grasp_core.camera import Camera
from grasp_core.errors import ConfigError
from grasp_perception.realsense.align import Aligner
from grasp_perception.realsense.clock import HostClock
from grasp_perception.realsense.filters import DepthFilters
from grasp_perception.realsense.lens import Rectifier, matrix
from grasp_perception.realsense.library import realsense
from grasp_perception.realsense.source import DepthFrame, SourceError


class FrameMaker:
    """Makes a `DepthFrame` of every pair of frames of two streams."""

    def __init__(self, color: Any, filters: DepthFilters, frame: str, near: float, far: float, now: Callable) -> None:
        """`color`: the stream's profile; `frame`: name of its optical frame; `near`, `far` in m; `now`: ns of the host.

        ConfigError: a lens whose distortion is not handled.
        """
        rs = realsense()
        self._color = color
        self._intrinsics = color.as_video_stream_profile().get_intrinsics()
        self._rectifier = Rectifier(self._intrinsics)
        self._filters, self._aligner = filters, None
        self._clock, self._now = HostClock(), now
        self._frame, self._near, self._far = frame, near, far
        self._bgr = (rs.format.bgr8, rs.format.bgra8)
        self._camera: Camera | None = None
        self.domain = ""  # whose clock the newest timestamps are of

    @property
    def shift(self) -> float:
        """Largest shift by the colour lens's distortion, px, that is taken out of the pictures."""
        return self._rectifier.shift

    def __call__(self, depth: Any, color: Any) -> DepthFrame:
        """Own copies of both pictures, stamped as depth; SourceError when the library's filters fail."""
        arrived, domain = self._now(), depth.get_frame_timestamp_domain()
        self.domain = domain.name
        stamp = self._clock.stamp(depth.get_timestamp(), domain, arrived)
        try:
            filtered = self._filters(depth).as_depth_frame()
            aligned = self._aligner_of(filtered)(np.asanyarray(filtered.get_data()))
        except RuntimeError as error:
            raise SourceError(f"depth could not be filtered and aligned to colour: {error}") from error
        pixels = np.asanyarray(color.get_data())
        rgb = pixels[..., 2::-1] if color.get_profile().format() in self._bgr else pixels[..., :3]
        return DepthFrame(aligned, self._rectifier.color(rgb), self._camera, stamp)

    def _aligner_of(self, depth: Any) -> Aligner:
        """Made for the first frame: filters change size and intrinsics of depth."""
        if self._aligner is None:
            profile = depth.get_profile().as_video_stream_profile()
            scale = float(np.format_float_positional(np.float32(depth.get_units())))  # 0.001, not its 32 bit neighbour
            intrinsics = profile.get_intrinsics()
            _check_depth_lens(intrinsics)
            i = self._intrinsics
            self._camera = Camera(matrix(i), i.width, i.height, scale, self._frame, self._near, self._far)
            self._aligner = Aligner(intrinsics, i, profile.get_extrinsics_to(self._color), scale)
        return self._aligner

    def close(self) -> None:
        """Let the library's objects go."""
        if self._aligner is not None:
            self._aligner.close()


def _check_depth_lens(intrinsics: Any) -> None:
    if np.any(intrinsics.coeffs):
        raise ConfigError(
            f"the depth stream has distortion ({intrinsics.model}, {list(intrinsics.coeffs)}): expected none, as depth "
            "is computed from rectified images; calibrate the camera again"
        )
