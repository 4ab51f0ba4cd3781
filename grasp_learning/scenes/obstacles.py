"""A grid of distances to everything in a scene but one object, for each of its objects in turn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

STEP = 0.0025  # m between grid points
FAR = 0.030  # m: distances beyond are not told apart
WALLS = -1  # owner of what belongs to no object


class Obstacles:
    """Distances to the surfaces of a scene: of all objects but one and of the bin's walls, not of the support.

    Inside of something distances are positive too: nothing that reaches there stays clear of the surface.
    """

    def __init__(self, surfaces: Sequence[NDArray[np.float32]], boxes: Sequence[tuple[NDArray, NDArray]]) -> None:
        """surfaces: points (S, 3) of each object, m in base. boxes: middle and edges (3,) of each wall."""
        everything = [*surfaces, *(centre + sign * size / 2.0 for centre, size in boxes for sign in (-1.0, 1.0))]
        low = np.min([points.min(axis=0) for points in map(np.atleast_2d, everything)], axis=0)
        high = np.max([points.max(axis=0) for points in map(np.atleast_2d, everything)], axis=0)
        self._low = (low - FAR - STEP).astype(np.float32)
        self._shape = tuple(np.ceil((high - low + 2.0 * (FAR + STEP)) / STEP).astype(int) + 1)
        self._nearest = self._walls(boxes)
        self._second = np.full(self._shape, FAR, dtype=np.float32)
        self._owner = np.full(self._shape, WALLS, dtype=np.int16)
        self._parts = [self._add(index, points) for index, points in enumerate(surfaces)]

    def without(self, index: int) -> NDArray[np.float32]:
        """The grid without one of the objects."""
        part = self._parts[index]
        values = self._nearest.copy()
        values[part] = np.where(self._owner[part] == index, self._second[part], self._nearest[part])
        return values

    def distance(self, values: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.float32]:
        """(...,) m at points (..., 3) float32 in base, FAR at most, 2 mm exact; values: what ``without`` gave."""
        cells = points - (self._low - np.float32(STEP / 2.0))
        cells *= np.float32(1.0 / STEP)
        np.clip(cells, 0.0, np.array(self._shape, dtype=np.float32) - 1.0, out=cells)
        nearest = cells.astype(np.int32)
        row = (nearest[..., 0] * self._shape[1] + nearest[..., 1]) * self._shape[2] + nearest[..., 2]
        return values.ravel()[row]

    def _walls(self, boxes: Sequence[tuple[NDArray, NDArray]]) -> NDArray[np.float32]:
        values = np.full(self._shape, FAR, dtype=np.float32)
        axes = [low + STEP * np.arange(n, dtype=np.float32) for low, n in zip(self._low, self._shape, strict=True)]
        for centre, size in boxes:
            x, y, z = (
                np.maximum(np.abs(axis - c) - s / 2.0, 0.0).astype(np.float32) ** 2
                for axis, c, s in zip(axes, centre, size, strict=True)
            )
            np.minimum(values, np.sqrt(np.add.outer(np.add.outer(x, y), z)), out=values)
        return values

    def _add(self, index: int, points: NDArray[np.float32]) -> tuple[slice, ...]:
        """Enter an object; returns the part of the grid that it reaches."""
        cells = np.rint((points - self._low) / np.float32(STEP)).astype(np.int64)
        reach = int(np.ceil(FAR / STEP))
        low = np.maximum(cells.min(axis=0) - reach, 0)
        high = np.minimum(cells.max(axis=0) + reach + 1, self._shape)
        part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        distance = self._distances(points - (self._low + STEP * low).astype(np.float32), cells - low, high - low)
        nearest, second, owner = self._nearest[part], self._second[part], self._owner[part]
        closer = distance < nearest
        np.minimum(second, np.where(closer, nearest, distance), out=second)
        np.copyto(nearest, distance, where=closer)
        owner[closer] = index
        return part

    @staticmethod
    def _distances(points: NDArray, cells: NDArray, shape: NDArray) -> NDArray[np.float32]:
        """From each grid point to the surface point that stands for the nearest cell with any."""
        row = np.ravel_multi_index(tuple(cells.T), tuple(shape))
        stands = np.zeros(int(np.prod(shape)), dtype=np.int64)
        stands[row] = np.arange(len(points))
        empty = np.ones(tuple(shape), dtype=bool)
        empty.ravel()[row] = False
        nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
        found = points[stands[np.ravel_multi_index(tuple(nearest), tuple(shape))]]
        for axis in range(3):
            places = np.float32(STEP) * np.arange(shape[axis], dtype=np.float32)
            found[..., axis] -= places.reshape([-1 if i == axis else 1 for i in range(3)])
        return np.minimum(np.sqrt(np.einsum("xyzi,xyzi->xyz", found, found)), np.float32(FAR))
