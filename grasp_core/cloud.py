"""Point clouds as arrays: crop, voxelise, clean."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from grasp_core import se3
from grasp_core.cell import Box
from grasp_core.errors import InputError


@dataclass(frozen=True)
class Cloud:
    """Points with optional colours in one frame.

    Attributes:
        points: (N, 3) float32, m, finite.
        colors: (N, 3) uint8 RGB, or None.
        frame: name of the frame that the points are in.
        stamp: ns, time of the measurement.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.uint8] | None = None
    frame: str = "base_link"
    stamp: int = 0

    def __post_init__(self) -> None:
        points = np.ascontiguousarray(self.points, dtype=np.float32)
        object.__setattr__(self, "points", points)
        if points.ndim != 2 or points.shape[1] != 3:
            raise InputError(f"cloud in {self.frame}: expected points (N, 3), got {points.shape}")
        if self.colors is not None:
            colors = np.ascontiguousarray(self.colors, dtype=np.uint8)
            object.__setattr__(self, "colors", colors)
            if colors.shape != points.shape:
                raise InputError(f"cloud in {self.frame}: {points.shape[0]} points but colours {colors.shape}")

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: NDArray | slice) -> "Cloud":
        colors = None if self.colors is None else self.colors[index]
        return replace(self, points=self.points[index], colors=colors)

    def finite(self) -> "Cloud":
        """Only the points without NaN or infinity."""
        mask = np.isfinite(self.points).all(axis=1)
        return self if mask.all() else self[mask]

    def crop(self, box: Box) -> "Cloud":
        """Only the points inside ``box``, which is in the cloud's frame."""
        return self[box.contains(self.points)]

    def transformed(self, T_a_frame: NDArray[np.float64], frame: str) -> "Cloud":
        """The same points in another frame."""
        return replace(self, points=se3.transform(T_a_frame, self.points), frame=frame)

    def voxel_downsample(self, size: float) -> "Cloud":
        """One point for each occupied voxel of edge ``size`` in m: the mean of its points and colours."""
        if len(self) == 0:
            return self
        low = self.points.min(axis=0)
        cells = np.floor((self.points - low) / np.float32(size)).astype(np.int64)
        extent = cells.max(axis=0) + 1
        keys = (cells[:, 0] * extent[1] + cells[:, 1]) * extent[2] + cells[:, 2]
        order = np.argsort(keys)
        starts = np.flatnonzero(np.r_[True, np.diff(keys[order]) != 0])
        counts = np.diff(np.r_[starts, len(keys)])

        def sums(values: NDArray, dtype: type) -> NDArray:  # column by column: several times faster than along axis 0
            columns = [np.add.reduceat(values[order, axis], starts, dtype=dtype) for axis in range(3)]
            return np.stack(columns, axis=1)

        points = sums(self.points, np.float64) / counts[:, None]
        colors = None if self.colors is None else sums(self.colors, np.uint32) // counts[:, None]
        return replace(self, points=points.astype(np.float32), colors=colors)

    def without_outliers(self, radius: float, neighbours: int) -> "Cloud":
        """Drop points with fewer than ``neighbours`` others within ``radius`` in m."""
        if len(self) == 0:
            return self
        counts = cKDTree(self.points).query_ball_point(self.points, radius, return_length=True, workers=1)
        return self[counts > neighbours]
