"""A height map of the scene as the solid that a gripper must respect.

One view shows the upper surfaces only. Whatever lies below a visible surface is taken to be solid down to the support
(the hidden sides of an object are then the vertical walls below its outline), so that one look-up of the map tells
whether a point of the gripper, or of the space between its fingers, is inside matter.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage

from grasp_core.errors import InputError

_BORDER = 0.16  # m of empty map around the points, so that no sample of a gripper near them leaves the map
_MAX_CELLS = 4_000_000


@dataclass(frozen=True)
class HeightMap:
    """Heights over a horizontal grid of the base frame (z up); flat tensors index x-major: ``ix * ny + iy``.

    Attributes:
        origin: (2,) float32, lower corner of the grid, m.
        cell: edge of one cell, m.
        nx, ny: number of cells.
        support: height of the surface that the objects stand on, m.
        height: (nx*ny,) float32, top of the solid in each cell, ``support`` where there is none.
        unknown: (nx*ny,) float32, 1 where nothing was seen in the cell, else 0.
        label: (nx*ny,) int64, number of the object-like segment, 0 for the support.
        centroid: (segments + 1, 3) float32, estimated centre of mass per segment; row 0 is unused.
        extent: (segments + 1,) float32, larger horizontal size of the segment's bounding box, m.
    """

    origin: torch.Tensor
    cell: float
    nx: int
    ny: int
    support: float
    height: torch.Tensor
    unknown: torch.Tensor
    label: torch.Tensor
    centroid: torch.Tensor
    extent: torch.Tensor

    def index(self, xy: torch.Tensor) -> torch.Tensor:
        """Flat int64 cell index of points (..., 2); points outside go to the border."""
        grid = ((xy - self.origin) / self.cell).long()
        ix = grid[..., 0].clamp_(0, self.nx - 1)
        return ix.mul_(self.ny).add_(grid[..., 1].clamp_(0, self.ny - 1))

    def solid(self, points: torch.Tensor) -> torch.Tensor:
        """Which of ``points`` (..., 3) lie inside the solid."""
        return self.height[self.index(points[..., :2])] > points[..., 2]

    def dilated(self, radius: float) -> torch.Tensor:
        """The height map grown sideways by ``radius`` m, flat like ``height``."""
        return _pool(self.height.view(self.nx, self.ny), 2 * round(radius / self.cell) + 1).reshape(-1)


def _pool(grid: torch.Tensor, kernel: int) -> torch.Tensor:
    """Maximum over a kernel x kernel window, done one axis after the other."""
    half = kernel // 2
    grid = F.max_pool2d(grid[None, None], (kernel, 1), 1, (half, 0))
    return F.max_pool2d(grid, (1, kernel), 1, (0, half))[0, 0]


def build(
    points: torch.Tensor, support: float, floor_noise: float, cell: float, point_size: float, step: float, hole: float
) -> HeightMap:
    """Height map of a cloud.

    Args:
        points: (N, 3) float32, base frame, m.
        support: height of the support, m.
        floor_noise: heights up to this much above the support count as the support, m.
        cell: grid size, m.
        point_size: each point covers a square of this edge (the voxel size of the cloud), m.
        step: neighbouring cells that differ by more belong to different segments, m.
        hole: unseen gaps narrower than this are closed with the lower of their surroundings, m.

    Raises:
        InputError: the cloud covers an area too large for the grid.
    """
    low = points[:, :2].amin(0) - _BORDER
    span = (points[:, :2].amax(0) + _BORDER - low) / cell
    nx, ny = int(span[0].ceil()), int(span[1].ceil())
    if nx * ny > _MAX_CELLS:
        raise InputError(
            f"cloud spans {nx * cell:.1f} x {ny * cell:.1f} m, too large for a {cell * 1000:.0f} mm height map; "
            "crop it to the workspace or give a region"
        )
    half = 0.2 * point_size  # less than half: the outline must not grow; gaps between points are closed below
    corners = points.new_tensor([[0, 0], [-half, -half], [-half, half], [half, -half], [half, half]])
    grid = ((points[:, None, :2] + corners - low) / cell).long()
    flat = (grid[..., 0] * ny + grid[..., 1]).reshape(-1)
    tops = torch.full((nx * ny,), -torch.inf, device=points.device)
    tops.scatter_reduce_(0, flat, points[:, 2:].expand(-1, len(corners)).reshape(-1), "amax")
    seen = torch.isfinite(tops)
    kernel = 2 * round(hole / cell / 2) + 1
    closed = -_pool(-_pool(tops.view(nx, ny), kernel), kernel).reshape(-1)
    height = torch.where(seen, tops, closed)
    small = ~seen & torch.isfinite(height) & (_pool(tops.view(nx, ny), 3).reshape(-1) > -torch.inf)
    height = torch.where(height > support + floor_noise, height, torch.full_like(height, support))
    label, centroid, extent = _segments(height.view(nx, ny).cpu().numpy(), support, step, cell, low.cpu().numpy())
    tensor = {"device": points.device}
    return HeightMap(
        origin=low,
        cell=cell,
        nx=nx,
        ny=ny,
        support=support,
        height=height,
        unknown=(~seen & ~small).float(),
        label=torch.as_tensor(label.reshape(-1), dtype=torch.int64, **tensor),
        centroid=torch.as_tensor(centroid, dtype=torch.float32, **tensor),
        extent=torch.as_tensor(extent, dtype=torch.float32, **tensor),
    )


def _segments(
    height: NDArray[np.float32], support: float, step: float, cell: float, origin: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    """Split the map where the height jumps; returns labels, centroids (n+1, 3) and extents (n+1,)."""
    above = height > support
    flat = np.zeros_like(above)
    jump_x = np.abs(np.diff(height, axis=0)) > step
    jump_y = np.abs(np.diff(height, axis=1)) > step
    edge = np.zeros_like(above)
    edge[1:] |= jump_x & (height[1:] < height[:-1])  # the lower side of a jump is the seam
    edge[:-1] |= jump_x & (height[:-1] < height[1:])
    edge[:, 1:] |= jump_y & (height[:, 1:] < height[:, :-1])
    edge[:, :-1] |= jump_y & (height[:, :-1] < height[:, 1:])
    flat = above & ~edge
    label, count = ndimage.label(flat)
    for _ in range(3):  # seams go to a neighbouring segment
        grown = ndimage.maximum_filter(label, size=3)
        label = np.where((label == 0) & above, grown, label)
    rest, extra = ndimage.label(above & (label == 0))
    label = np.where(rest > 0, rest + count, label)
    count += extra
    weight = np.where(above, height - support, 0.0).ravel()
    ids = label.ravel()
    mass = np.maximum(np.bincount(ids, weight, count + 1), 1e-9)
    ix, iy = np.divmod(np.arange(ids.size), height.shape[1])
    moments = [np.bincount(ids, weight * value, count + 1) / mass for value in (ix, iy)]
    middle = support + 0.5 * np.bincount(ids, weight * weight, count + 1) / mass
    centroid = np.stack([*(origin[k] + (moments[k] + 0.5) * cell for k in range(2)), middle], axis=1)
    extent = np.zeros(count + 1)
    for i, window in enumerate(ndimage.find_objects(label, max_label=count), start=1):
        if window is not None:
            extent[i] = cell * max(s.stop - s.start for s in window)
    return label, centroid, extent
