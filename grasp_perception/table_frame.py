"""A frame to grasp in when the camera's pose is not known: the dominant table plane, found by RANSAC."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from grasp_core import se3
from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.errors import InputError

_HYPOTHESES = 600
_BAND = 0.008  # m, inliers
_SAMPLE = 0.012  # m, spacing of the points that vote
_MAX_LEAN = np.deg2rad(80.0)  # between the plane's normal and the camera's up
_GRID = 0.02  # m
_MIN_INLIERS = 100
_NEAR = 2.0  # what is farther than this times the nearest things is the floor or the background


@dataclass(frozen=True)
class TableFrame:
    """Where the table is.

    Attributes:
        T_table_cam: (4, 4) pose of the camera in the table frame: z up from the surface, origin on it.
        region: the space above the table's visible part.
        outline: (K, 2) counter-clockwise corners of the convex hull of the visible part, m.
        inliers: number of voting points on the plane.
    """

    T_table_cam: NDArray[np.float64]
    region: Box
    outline: NDArray[np.float64]
    inliers: int

    def above(self, points: NDArray[np.floating], margin: float = 0.01) -> NDArray[np.bool_]:
        """Which points (N, 3) of the table frame lie over the visible part, ``margin`` m inside its outline or more."""
        edge = np.roll(self.outline, -1, axis=0) - self.outline
        inwards = np.stack([-edge[:, 1], edge[:, 0]], axis=1) / np.linalg.norm(edge, axis=1, keepdims=True)
        distance = ((np.asarray(points)[:, None, :2] - self.outline) * inwards).sum(axis=-1)
        return (distance > margin).all(axis=1)


def find(points: NDArray[np.float32], height: float = 0.35, reach: float = 2.0) -> TableFrame:
    """Find the table in points (N, 3) of a camera's optical frame (z forward, y down), nearer than ``reach`` m.

    Planes whose normal leans more than 80 degrees from the image's up direction are walls. Points vote with the inverse
    square of their distance, as a camera sees them.

    Raises:
        InputError: no plane that could be a table.
    """
    ahead = points[points[:, 2] > 0]
    ahead = Cloud(ahead[ahead[:, 2] < reach]).voxel_downsample(_SAMPLE).points.astype(np.float64)
    limit = min(reach, _NEAR * float(np.percentile(ahead[:, 2], 5))) if len(ahead) else reach
    votes = ahead[ahead[:, 2] < limit]
    if len(votes) < _MIN_INLIERS:
        raise InputError(
            f"no table found: only {len(votes)} points within {limit:.1f} m of the camera; check the depth"
        )
    weight = 1.0 / np.maximum((votes**2).sum(axis=1), 0.04)
    normal, offset = _ransac(votes, weight)
    for _ in range(3):
        on = np.abs(votes @ normal - offset) < _BAND
        if on.sum() < _MIN_INLIERS:
            raise InputError("no table found: no plane below the objects; give T_base_cam in the camera file instead")
        centre = votes[on].mean(axis=0)
        normal = np.linalg.eigh(np.cov((votes[on] - centre).T))[1][:, 0]
        normal *= -1.0 if normal @ centre > 0 else 1.0  # towards the camera
        offset = normal @ centre
    x = np.array([1.0, 0.0, 0.0]) - normal * normal[0]
    x /= np.linalg.norm(x)
    R = np.stack([x, np.cross(normal, x), normal])  # rows: table axes in the camera's frame
    flat = ahead[np.abs(ahead @ normal - offset) < _BAND] @ R.T
    patch = _largest_patch(flat[:, :2])
    low, high = patch.min(axis=0), patch.max(axis=0)
    origin = np.array([*(low + high) / 2.0, offset])
    half = (high - low) / 2.0
    outline = patch[ConvexHull(patch).vertices] - origin[:2]
    return TableFrame(se3.make(R, -origin), Box([*-half, 0.005], [*half, height]), outline, int(on.sum()))


def _ransac(votes: NDArray[np.float64], weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    rng = np.random.default_rng(0)
    picks = votes[rng.integers(0, len(votes), (_HYPOTHESES, 3))]
    normals = np.cross(picks[:, 1] - picks[:, 0], picks[:, 2] - picks[:, 0])
    length = np.linalg.norm(normals, axis=1)
    fine = length > 1e-6
    normals = normals[fine] / length[fine, None]
    normals *= np.where((normals * picks[fine, 0]).sum(axis=1, keepdims=True) > 0, -1.0, 1.0)
    upright = -normals[:, 1] > np.cos(_MAX_LEAN)
    normals, picks = normals[upright], picks[fine][upright]
    if len(normals) == 0:
        raise InputError("no table found: every plane is upright; is the camera lying on its side?")
    offsets = (normals * picks[:, 0]).sum(axis=1)
    score = (np.abs(normals @ votes.T - offsets[:, None]) < _BAND) @ weight
    best = int(score.argmax())
    return normals[best], float(offsets[best])


def _largest_patch(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest connected patch of points (N, 2), holes and narrow gaps ignored."""
    low = xy.min(axis=0)
    cell = ((xy - low) / _GRID).astype(int)
    grid = np.zeros(cell.max(axis=0) + 1, dtype=bool)
    grid[cell[:, 0], cell[:, 1]] = True
    label, _ = ndimage.label(ndimage.binary_dilation(grid, iterations=2))
    mine = label[cell[:, 0], cell[:, 1]]
    return xy[mine == np.bincount(mine).argmax()]
