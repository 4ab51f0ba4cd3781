"""The library's post-processing of depth, in the order that librealsense recommends."""

from __future__ import annotations

from typing import Any

from grasp_perception.realsense.library import realsense
from grasp_perception.realsense.settings import Settings


class DepthFilters:
    """Decimation, smoothing in disparity, threshold: what the settings ask for.

    Keeps state (the temporal filter does): make a new one for every start.
    """

    def __init__(self, settings: Settings, stereo: bool, near: float, far: float) -> None:
        """`stereo`: whether depth comes from two imagers, so that noise is even in disparity; `near`, `far` in m."""
        rs = realsense()
        self._blocks: list[Any] = []
        if settings.decimation > 1:
            self._blocks.append(rs.decimation_filter(float(settings.decimation)))
        smoothing = [rs.spatial_filter()] if settings.spatial else []
        smoothing += [rs.temporal_filter()] if settings.temporal else []
        if smoothing and stereo:
            smoothing = [rs.disparity_transform(True), *smoothing, rs.disparity_transform(False)]
        self._blocks += smoothing
        if settings.threshold:
            self._blocks.append(rs.threshold_filter(near, far))

    def __call__(self, frame: Any) -> Any:
        """The depth frame, filtered."""
        for block in self._blocks:
            frame = block.process(frame)
        return frame
