"""Whether the hand's boxes meet an object, for very many poses of the hand at once.

The object becomes a grid of distances to its surface, the hand a set of cells: every box is cut into equal blocks, and
the largest ball in each block, a little enlarged, must stay clear of the object. What comes nearer than MARGIN counts
as a collision; what is missed reaches into the corner of a block only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, cKDTree

from grasp_core.gripper import Gripper
from grasp_eval.bench.surfaces import Surfaces

STEP = 0.002  # m between grid points
FAR = 0.010  # m: distances beyond are not told apart; more than the radius of any cell plus a grid step
SAMPLES = 1.0 / 0.0012**2  # surface points per m2 from which distances are taken
FINGER_CELL = 0.0055  # m, largest edge of a block of a finger
OFF_GRID = np.float32(STEP * np.sqrt(3.0) / 2.0)  # m that a point is at most away from the nearest grid point
MARGIN = 0.001  # m by which the hand is taken to be larger, for what the balls leave out in the corners
BODY_CELL = 0.012  # m, of the parts behind the fingers


class DistanceField:
    """Distances to the surface of an object around it, negative inside: +FAR farther outside, -FAR deeper inside."""

    def __init__(self, surfaces: Surfaces) -> None:
        points = surfaces.scatter(SAMPLES)[0]
        corners = surfaces.triangles.reshape(-1, 3)
        self.corners = corners[ConvexHull(corners).vertices].astype(np.float32)  # (H, 3) of the convex hull
        self._low = points.min(axis=0) - FAR - STEP
        self._shape = np.ceil((points.max(axis=0) + FAR + STEP - self._low) / STEP).astype(np.int64) + 1
        distance = np.full(self._shape, FAR, dtype=np.float32)
        occupied = np.ones(self._shape, dtype=bool)
        occupied[tuple(np.round((points - self._low) / STEP).astype(np.int64).T)] = False
        near = np.argwhere(ndimage.distance_transform_edt(occupied) * STEP < FAR + 2 * STEP)
        exact = cKDTree(points).query(self._low + STEP * near, distance_upper_bound=FAR)[0]
        distance[tuple(near.T)] = np.minimum(exact, FAR)
        # The surface's own cells part the grid; what the corner of the grid does not reach is the inside.
        labels, _ = ndimage.label(distance > 0.9 * STEP)
        inside = (labels != labels[0, 0, 0]) & (labels > 0)
        self._values = np.where(inside, -distance, distance)

    def below(self, points: ArrayLike, limit: ArrayLike) -> NDArray[np.bool_]:
        """(...,) whether points (..., 3) in the object's frame are nearer to it than ``limit`` (...,), m, or inside."""
        cells = np.asarray(points, dtype=np.float32) - self._low.astype(np.float32)
        cells *= np.float32(1.0 / STEP)
        np.clip(cells, 0.0, (self._shape - 1).astype(np.float32), out=cells)
        nearest = (cells + np.float32(0.5)).astype(np.int32)
        coarse = self._values.ravel()[
            (nearest[..., 0] * int(self._shape[1]) + nearest[..., 1]) * int(self._shape[2]) + nearest[..., 2]
        ]
        limit = np.broadcast_to(np.asarray(limit, dtype=np.float32), coarse.shape)
        below = coarse < limit
        unsure = np.abs(coarse - limit) < OFF_GRID
        below[unsure] = ndimage.map_coordinates(self._values, cells[unsure].T, order=1, mode="nearest") < limit[unsure]
        return below


class HandCells:
    """The balls that stand for a gripper's boxes, in the grasp frame.

    centres (C, 3) and radii (C,) at zero opening; side (C,): -1 and 1 for the fingers, which move along x by half the
    opening, 0 for what does not move.
    """

    def __init__(self, gripper: Gripper) -> None:
        centres, sizes = gripper.boxes(0.0)
        cut = [
            blocks(centre, size, FINGER_CELL if index < 2 else BODY_CELL)
            for index, (centre, size) in enumerate(zip(centres, sizes, strict=True))
        ]
        sides = (-1.0, 1.0, 0.0, 0.0)
        self.centres = np.concatenate([centres for centres, _ in cut]).astype(np.float32)
        self.radii = np.concatenate([np.full(len(c), r) for c, r in cut]).astype(np.float32)
        self._behind = gripper.finger.length  # m from the tips to what is behind the fingers
        self.side = np.repeat(np.array(sides, dtype=np.float32), [len(c) for c, _ in cut])

    def hits(self, field: DistanceField, R: NDArray, t: NDArray, opening: NDArray) -> NDArray[np.bool_]:
        """(K,) whether hands at R (K, 3, 3), t (K, 3) with the fingers ``opening`` (K,) m apart meet the object."""
        R, t = np.asarray(R, dtype=np.float32), np.asarray(t, dtype=np.float32)
        half = np.asarray(opening, dtype=np.float32) / 2.0
        hit = self._meets(field, R, t, half, self.side != 0)
        behind = np.einsum("ki,ki->k", t, R[:, :, 2]) - (R[:, :, 2] @ field.corners.T).min(axis=1)
        rest = np.flatnonzero(~hit & (behind > self._behind - MARGIN))  # else all of the object is before the knuckles
        hit[rest] = self._meets(field, R[rest], t[rest], half[rest], self.side == 0)
        return hit

    def _meets(
        self, field: DistanceField, R: NDArray, t: NDArray, half: NDArray, part: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """(K,) whether one of the balls of a part of the hand meets the object."""
        cells = np.einsum("kij,cj->kci", R, self.centres[part], optimize=True) + t[:, None]
        cells += (half[:, None] * self.side[part])[..., None] * R[:, None, :, 0]
        return field.below(cells, self.radii[part] + np.float32(MARGIN)).any(axis=1)


def blocks(centre: NDArray, size: NDArray, edge: float) -> tuple[NDArray[np.float64], float]:
    """Centres (C, 3) of equal blocks, no longer than ``edge``, that fill a box; radius of the ball inside each."""
    counts = np.ceil(size / edge - 1e-9).astype(int)
    axes = [c + s * ((np.arange(n) + 0.5) / n - 0.5) for c, s, n in zip(centre, size, counts, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3), float((size / counts).min() / 2.0)
