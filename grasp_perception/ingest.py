"""From one depth image to a cropped, filtered, voxelised cloud in the base frame. Fast enough for 15 Hz on a core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_core import se3
from grasp_core.camera import Camera
from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.errors import InputError

_MIN_VALID = 0.01
_MAX_CELLS = 50_000_000
_MAX_BLOCK = 0.6  # of a voxel: blocks of 2x2 pixels that are smaller are averaged first


class BlindError(InputError):
    """A depth image that shows next to nothing, as near an object: the camera lives, but there is no cloud."""


@dataclass(frozen=True)
class IngestStats:
    """How many pixels or voxels were left after each step."""

    pixels: int
    valid: int  # measured, and between the camera's near and far limits
    smooth: int  # of these, not at a depth edge
    cropped: int  # of these (or of the 2x2 blocks made of them), inside the workspace
    voxels: int
    points: int  # voxels with enough occupied neighbours


class Ingest:
    """Turns depth images into clouds of one workspace; keeps its work memory, so use one per thread.

    Args:
        workspace: what to keep, in the base frame.
        frame: name of the base frame.
        voxel: edge of the voxels in m.
        edge: a pixel is a flying one when its depth differs from both neighbours in a row or in a column by more
            than this part of its depth (0.012: a surface seen at less than about 7 degrees).
        min_neighbours: voxels with fewer occupied ones among the 26 around them are noise.
    """

    def __init__(
        self, workspace: Box, frame: str, voxel: float = 0.005, edge: float = 0.012, min_neighbours: int = 3
    ) -> None:
        if not voxel > 0.0:
            raise InputError(f"voxel size is {voxel} m: expected a size above zero")
        self.workspace, self.frame, self.voxel = workspace, frame, voxel
        self.edge, self.min_neighbours = edge, min_neighbours
        # One empty voxel all around, so that looking at neighbours never leaves the grid.
        self._low = workspace.min - voxel
        self._shape = np.ceil((workspace.max - workspace.min) / voxel).astype(np.int64) + 3
        if np.prod(self._shape) > _MAX_CELLS:
            raise InputError(
                f"a workspace of {(workspace.max - workspace.min).tolist()} m in voxels of {voxel} m needs "
                f"{np.prod(self._shape)} cells (at most {_MAX_CELLS}): enlarge the voxels or narrow the workspace"
            )
        self._labels = np.full(int(np.prod(self._shape)), -1, np.int32)  # voxel -> row of the cloud; -1 when empty

    def __call__(
        self,
        depth: NDArray[np.float32],
        color: NDArray[np.uint8] | None,
        camera: Camera,
        T_base_cam: NDArray[np.float64],
        stamp: int = 0,
    ) -> tuple[Cloud, IngestStats]:
        """The cloud of `depth` (H, W) in m (0, NaN, inf: not measured) and `color` (H, W, 3) uint8 RGB or None.

        InputError: sizes that differ, T_base_cam that is no rigid transform. BlindError: a depth image with less than
        1 % of usable pixels (says what they are instead).
        """
        T = se3.check(T_base_cam, "T_base_cam")
        depth = _checked_depth(depth, color, camera)
        valid = (depth >= camera.near) & (depth <= camera.far)
        n_valid = int(np.count_nonzero(valid))
        if n_valid < _MIN_VALID * depth.size:
            raise BlindError(_why_invalid(depth, camera, n_valid))
        clean = np.where(valid, depth, np.float32(0.0))
        keep = valid & ~flying_pixels(clean, self.edge)
        n_smooth = int(np.count_nonzero(keep))
        mean_depth = clean.sum(where=keep) / max(n_smooth, 1)
        if 2.0 * mean_depth / camera.K[0, 0] < _MAX_BLOCK * self.voxel:
            clean, keep, color, camera = binned(clean, keep, color, camera, self.edge)
        index, points = self._cropped(clean, keep, camera, T)
        rgb = None if color is None else color.reshape(-1, 3)[index]
        points, colors, voxels = self._voxelise(points, rgb)
        stats = IngestStats(depth.size, n_valid, n_smooth, len(index), voxels, len(points))
        return Cloud(points, colors, self.frame, stamp), stats

    def _cropped(
        self, depth: NDArray, keep: NDArray, camera: Camera, T: NDArray
    ) -> tuple[NDArray[np.int64], list[NDArray[np.float32]]]:
        """Flat indices of the kept pixels inside the workspace, and their x, y, z in the base frame."""
        u = ((np.arange(camera.width) - camera.K[0, 2]) / camera.K[0, 0]).astype(np.float32)
        v = ((np.arange(camera.height) - camera.K[1, 2]) / camera.K[1, 1]).astype(np.float32)
        R, t = T[:3, :3].astype(np.float32), T[:3, 3].astype(np.float32)
        low, high = self.workspace.min.astype(np.float32), self.workspace.max.astype(np.float32)
        axes = []
        for i in range(3):
            # The rotated ray is separable: R @ (u, v, 1) = column(v) + row(u).
            p = np.add.outer(R[i, 1] * v + R[i, 2], R[i, 0] * u)
            p *= depth
            p += t[i]
            keep &= p >= low[i]
            keep &= p <= high[i]
            axes.append(p)
        index = np.flatnonzero(keep)
        return index, [p.reshape(-1)[index] for p in axes]

    def _voxelise(
        self, axes: list[NDArray[np.float32]], rgb: NDArray[np.uint8] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None, int]:
        """Mean point and colour of every voxel that is not isolated; and how many voxels there were."""
        _, ny, nz = (int(s) for s in self._shape)
        key = np.zeros(len(axes[0]), np.int32)
        for axis, stride, low in zip(axes, (ny * nz, nz, 1), self._low, strict=True):
            key += ((axis - np.float32(low)) * np.float32(1.0 / self.voxel)).astype(np.int32) * np.int32(stride)
        self._labels[key] = 0
        occupied = np.flatnonzero(self._labels >= 0)
        n = len(occupied)
        self._labels[occupied] = np.arange(n, dtype=np.int32)
        label = self._labels[key]
        kept = self._neighbours(occupied, ny, nz) >= self.min_neighbours
        self._labels[occupied] = -1
        count = np.bincount(label, minlength=n)
        points = np.stack([np.bincount(label, axis, n) / count for axis in axes], axis=1) if n else np.empty((0, 3))
        colors = None
        if rgb is not None:
            means = [np.bincount(label, rgb[:, c], n) / np.maximum(count, 1) for c in range(3)]
            colors = (np.stack(means, axis=1) + 0.5).astype(np.uint8)[kept]
        return points.astype(np.float32)[kept], colors, n

    def _neighbours(self, occupied: NDArray[np.int64], ny: int, nz: int) -> NDArray[np.int64]:
        """How many of the 26 voxels around each occupied one are occupied."""
        total = np.full(len(occupied), -1, np.int64)
        for dx in (-ny * nz, 0, ny * nz):
            for dy in (-nz, 0, nz):
                for dz in (-1, 0, 1):
                    total += self._labels[occupied + (dx + dy + dz)] >= 0
        return total


def binned(
    depth: NDArray[np.float32], keep: NDArray[np.bool_], color: NDArray[np.uint8] | None, camera: Camera, edge: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.uint8] | None, Camera]:
    """Half the resolution: mean depth of the kept pixels of every 2x2 block, mean colour, and the camera for it.

    A block is kept when one of its pixels is, and those that are differ by at most `edge` times their depth.
    """
    h, w = depth.shape[0] // 2, depth.shape[1] // 2
    corners = [(slice(i, 2 * h, 2), slice(j, 2 * w, 2)) for i in (0, 1) for j in (0, 1)]
    known = np.where(keep, depth, np.float32(0.0))
    count, total, far, near = (np.zeros((h, w), np.float32) for _ in range(4))
    near += np.inf
    for corner in corners:
        count += keep[corner]
        total += known[corner]
        np.maximum(far, known[corner], out=far)
        np.minimum(near, known[corner], out=near, where=keep[corner])
    mean = total / np.maximum(count, 1.0)
    kept = (count > 0) & (far - near <= edge * mean)
    if color is not None:
        sums = sum(color[corner].astype(np.uint16) for corner in corners)
        color = ((sums + 2) >> 2).astype(np.uint8)
    K = camera.K * np.array([[0.5], [0.5], [1.0]])
    K[:2, 2] -= 0.25
    small = Camera(K, w, h, camera.depth_scale, camera.frame, camera.near, camera.far)
    return mean, kept, color, small


def flying_pixels(depth: NDArray[np.float32], edge: float) -> NDArray[np.bool_]:
    """(H, W): pixels whose depth jumps by more than `edge` times their depth on both sides, in a row or a column.

    `depth` is 0 where nothing was measured, which counts as a jump; at the image's border one neighbour decides.
    """
    limit = depth * np.float32(edge)
    flying = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        if depth.shape[axis] < 2:
            continue
        d, lim, out = (a if axis == 0 else a.T for a in (depth, limit, flying))
        step = np.abs(d[1:] - d[:-1])
        after = step > lim[:-1]
        before = step > lim[1:]
        out[1:-1] |= before[:-1] & after[1:]
        out[0] |= after[0]
        out[-1] |= before[-1]
    return flying


def _checked_depth(depth: NDArray, color: NDArray | None, camera: Camera) -> NDArray[np.float32]:
    depth = np.asarray(depth, np.float32)
    if depth.shape != (camera.height, camera.width):
        raise InputError(
            f"depth image is {depth.shape[::-1]} (width, height), camera_info of {camera.frame} is for "
            f"{(camera.width, camera.height)}: they must come from the same stream"
        )
    if color is not None and (color.shape != (*depth.shape, 3) or color.dtype != np.uint8):
        raise InputError(
            f"colour image is {color.shape} {color.dtype}, depth is {depth.shape}: expected colour (H, W, 3) uint8 "
            "of the same size (turn depth alignment on: align_depth.enable:=true)"
        )
    return depth


def _why_invalid(depth: NDArray[np.float32], camera: Camera, valid: int) -> str:
    """What a depth image holds that has next to no usable pixel."""
    finite = np.isfinite(depth)
    parts = {
        "are 0 (nothing measured: lens covered, projector off, or everything too near)": finite & (depth <= 0.0),
        "are NaN or inf": ~finite,
        f"are nearer than {camera.near} m": finite & (depth > 0.0) & (depth < camera.near),
        f"are beyond {camera.far} m (saturated, or in another unit than its encoding says)": finite
        & (depth > camera.far),
    }
    what = "; ".join(f"{100.0 * m.mean():.0f} % {name}" for name, m in parts.items() if m.any())
    return f"depth image has {valid} usable pixels of {depth.size} (at least 1 % needed): {what}"
