"""Voxels of one or several scenes, and which of them are neighbours, on every level of a U-Net."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from grasp_core.errors import InputError

_MAX_EXTENT = 1 << 17  # voxels along an axis: 655 m at 5 mm, and 17 bits each for three axes leave 12 for the scene
_GRID_CELLS = 1 << 22  # 16 MB: up to here a dense table is faster to look things up in than sorted keys
_HALF = 13  # of the 27 offsets those before the centre; the others mirror them


@dataclass(frozen=True)
class KernelMap:
    """Which rows of the input of a sparse convolution go to which rows of its output, offset by offset.

    Attributes:
        source, target: (P,) int64 rows of input and output, those of offset k in ``bounds[k]:bounds[k + 1]``.
        bounds: K + 1 positions.
        n_source, n_target: number of rows.
        centre: the offset that takes every row to itself, which is not listed; None where there is none.
    """

    source: Tensor
    target: Tensor
    bounds: tuple[int, ...]
    n_source: int
    n_target: int
    centre: int | None = None

    @cached_property
    def transposed(self) -> "KernelMap":
        """The map back: the same pairs with input and output exchanged."""
        return KernelMap(self.target, self.source, self.bounds, self.n_target, self.n_source, self.centre)

    @cached_property
    def table(self) -> Tensor:
        """For each row of the output the row of the input at each offset, (n_target, K) int32; n_source for none."""
        offsets = len(self.bounds) - 1
        table = torch.full((self.n_target, offsets), self.n_source, dtype=torch.int32, device=self.source.device)
        if self.centre is not None:
            table[:, self.centre] = torch.arange(self.n_target, dtype=torch.int32, device=table.device)
        offset = torch.arange(offsets, device=table.device)
        counts = torch.tensor(self.bounds, device=table.device).diff()
        place = self.target * offsets + torch.repeat_interleave(offset, counts)
        table.view(-1)[place] = self.source.int()
        return table

    @property
    def single(self) -> bool:
        """Whether each row of the output has one pair: a map from coarse voxels to the fine ones in them."""
        return self.centre is None and len(self.target) == self.n_target

    @cached_property
    def choice(self) -> Tensor:
        """Of a single map: for each row of the output ``K source + k``, (n_target,) int64."""
        offsets = len(self.bounds) - 1
        offset = torch.arange(offsets, device=self.source.device)
        counts = torch.tensor(self.bounds, device=self.source.device).diff()
        choice = torch.empty(self.n_target, dtype=torch.int64, device=self.source.device)
        choice[self.target] = self.source * offsets + torch.repeat_interleave(offset, counts)
        return choice

    def pairs(self) -> list[tuple[int, Tensor, Tensor]]:
        """Offset, rows of the input and rows of the output, for every offset that has any."""
        ends = zip(self.bounds[:-1], self.bounds[1:], strict=True)
        return [(k, self.source[a:b], self.target[a:b]) for k, (a, b) in enumerate(ends) if b > a]


@dataclass(frozen=True)
class Level:
    """The voxels of one resolution.

    Attributes:
        coords: (N, 4) int32 scene, x, y, z; in lexicographic order, none twice.
        near: the 27 neighbours of each voxel (offset ``9 (dx + 1) + 3 (dy + 1) + dz + 1``).
        down: the 8 children of each voxel of the next level (offset ``4 x + 2 y + z`` of their parities); None on the
            last level.
        parent: (N,) int64 row on the next level; None on the last level.
    """

    coords: Tensor
    near: KernelMap
    down: KernelMap | None = None
    parent: Tensor | None = None

    def __len__(self) -> int:
        return len(self.coords)


def unique_voxels(coords: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Voxels without repetitions, in lexicographic order.

    Args:
        coords: (N, 4) int32 scene, x, y, z in any order.

    Returns:
        coords (V, 4) int32, the row of each input (N,) int64, and how often each voxel occurred (V,) int64.

    Raises:
        InputError: the voxels span more than 131 072 along an axis.
    """
    if len(coords) == 0:
        none = torch.zeros(0, dtype=torch.int64, device=coords.device)
        return coords, none, none
    keys, low, size = _keys(coords, pad=0)
    keys, row, count = torch.unique(keys, return_inverse=True, return_counts=True)
    parts = []
    for extent in size[:0:-1]:
        parts.append(keys % extent)
        keys = keys // extent
    parts.append(keys)
    return (torch.stack(parts[::-1], dim=1) + low).to(torch.int32), row, count


def build_pyramid(coords: Tensor, levels: int) -> list[Level]:
    """Levels from fine to coarse, each with voxels twice as large, and their kernel maps.

    Args:
        coords: (N, 4) int32 as ``unique_voxels`` returns them.
        levels: how many, at least 1.
    """
    found = []
    for last in [False] * (levels - 1) + [True]:
        near = neighbour_map(coords)
        if last:
            found.append(Level(coords, near))
            break
        halved = torch.cat([coords[:, :1], coords[:, 1:] >> 1], dim=1)
        coarse, parent, _ = unique_voxels(halved)
        found.append(Level(coords, near, _down_map(coords, parent, len(coarse)), parent))
        coords = coarse
    return found


def neighbour_map(coords: Tensor, grid_cells: int = _GRID_CELLS) -> KernelMap:
    """The kernel map of a submanifold 3x3x3 convolution.

    Args:
        coords: (N, 4) int32 as ``unique_voxels`` returns them.
        grid_cells: largest dense table to look the neighbours up in; beyond, sorted keys are searched.
    """
    n = len(coords)
    if n == 0:
        return KernelMap(*torch.zeros(2, 0, dtype=torch.int64, device=coords.device), (0,) * 28, 0, 0, _HALF)
    keys, _, size = _keys(coords, pad=1)
    steps = torch.arange(-1, 2, device=coords.device)
    offsets = torch.cartesian_prod(steps, steps, steps)[:_HALF]
    shifts = (offsets[:, 0] * size[2] + offsets[:, 1]) * size[3] + offsets[:, 2]
    wanted = keys + shifts[:, None]
    row = _rows_by_grid(keys, wanted, size) if _cells(size) <= grid_cells else _rows_by_search(keys, wanted)
    offset, target = torch.nonzero(row >= 0, as_tuple=True)
    source = row[offset, target].long()
    counts = torch.bincount(offset, minlength=_HALF).tolist()
    # offset 26 - k is the opposite of k: its pairs are those of k with the roles exchanged, in the order of the targets
    parts = list(zip(source.split(counts), target.split(counts), strict=True))
    mirrored = [(target, source) for source, target in parts[::-1]]
    sources, targets = zip(*parts, *mirrored, strict=True)
    bounds = [0]
    for count in [*counts, 0, *counts[::-1]]:
        bounds.append(bounds[-1] + count)
    return KernelMap(torch.cat(sources), torch.cat(targets), tuple(bounds), n, n, _HALF)


def _down_map(coords: Tensor, parent: Tensor, n_coarse: int) -> KernelMap:
    """The kernel map of a 2x2x2 convolution with stride 2: every fine voxel has one place in one coarse voxel."""
    odd = (coords[:, 1:] & 1).long()
    place = (odd[:, 0] * 2 + odd[:, 1]) * 2 + odd[:, 2]
    order = torch.argsort(place, stable=True)
    bounds = [0, *torch.bincount(place, minlength=8).cumsum(0).tolist()]
    return KernelMap(order, parent[order], tuple(bounds), len(coords), n_coarse)


def _keys(coords: Tensor, pad: int) -> tuple[Tensor, Tensor, list[int]]:
    """One int64 per voxel in lexicographic order, the lowest coordinate (4,), and the size of the box with padding."""
    low, high = coords.amin(0).long(), coords.amax(0).long()
    low[1:] -= pad
    size = (high - low + 1).tolist()
    size[1:] = [extent + pad for extent in size[1:]]
    if max(size[1:]) > _MAX_EXTENT:
        raise InputError(f"the cloud spans {max(size[1:])} voxels along an axis, at most {_MAX_EXTENT} are taken")
    moved = coords.long() - low
    keys = moved[:, 0]
    for axis in (1, 2, 3):
        keys = keys * size[axis] + moved[:, axis]
    return keys, low, size


def _cells(size: list[int]) -> int:
    return size[0] * size[1] * size[2] * size[3]


def _rows_by_grid(keys: Tensor, wanted: Tensor, size: list[int]) -> Tensor:
    table = torch.full((_cells(size),), -1, dtype=torch.int32, device=keys.device)
    table[keys] = torch.arange(len(keys), dtype=torch.int32, device=keys.device)
    return table[wanted]


def _rows_by_search(keys: Tensor, wanted: Tensor) -> Tensor:
    row = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
    return torch.where(keys[row] == wanted, row, -1)
