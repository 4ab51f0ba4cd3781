"""Choosing seeds that spread over what can be grasped, and the points around each of them."""

import torch
from torch import Tensor

from grasp_perception.dense.buckets import Buckets

_GROUPS = 16
_MORTON_BITS = 10
_CELL = 0.025  # m, of the cells that the neighbours are searched in


def farthest_points(points: Tensor, valid: Tensor, count: int) -> Tensor:
    """Farthest-point sampling in several sets of points at once.

    Args:
        points: (B, N, 3) m.
        valid: (B, N) bool, which of them exist; at least one per set.
        count: how many to take.

    Returns:
        (B, count) int64, each set's first valid point first; points repeat once all valid ones are taken.
    """
    sets = torch.arange(len(points), device=points.device)
    far = torch.where(valid, torch.inf, -1.0).to(points.dtype)
    x, y, z = points.permute(2, 0, 1).contiguous()
    chosen = torch.empty(len(points), count, dtype=torch.int64, device=points.device)
    pick = far.argmax(1)
    for i in range(count):
        chosen[:, i] = pick
        distance = (x - x[sets, pick, None]).square_()
        distance += (y - y[sets, pick, None]).square_()
        distance += (z - z[sets, pick, None]).square_()
        torch.minimum(far, distance, out=far)
        pick = far.argmax(1)
    return chosen


def spread(points: Tensor, count: int, groups: int = _GROUPS) -> Tensor:
    """``count`` points far from each other, (min(count, N),) int64 without repetition; deterministic.

    Exact farthest-point sampling takes one step after the other. Here the points are sorted along a Morton curve and
    cut into ``groups`` compact pieces of equal size, sampled side by side: ``groups`` times fewer steps. Points of a
    voxelised surface have the same density everywhere, so every piece deserves as many samples.

    Args:
        points: (N, 3) m.
        count: how many to take, at least 1.
        groups: number of pieces; 1 is exact.
    """
    n = len(points)
    if n <= count:
        return torch.arange(n, device=points.device)
    groups = max(1, min(groups, count))
    steps, rest = divmod(count, groups)
    order = torch.argsort(_morton(points), stable=True)
    edges = torch.arange(groups + 1, device=points.device) * n // groups
    size = edges[1:] - edges[:-1]
    place = edges[:-1, None] + torch.arange(int(size.max()), device=points.device)
    rows = order[place.clamp(max=n - 1)]
    chosen = farthest_points(points[rows], place < edges[1:, None], steps + (rest > 0))
    taken = rows.gather(1, chosen)
    largest = torch.argsort(size, descending=True, stable=True)[:rest]  # these have a point more to give
    return torch.cat([taken[:, :steps].reshape(-1), taken[largest, steps:].reshape(-1)])


def _morton(points: Tensor) -> Tensor:
    """Position of each point along a space-filling curve, int64."""
    low = points.amin(0)
    span = (points.amax(0) - low).max().clamp(min=1e-9)
    cell = ((points - low) * ((2**_MORTON_BITS - 1) / span)).long()
    key = torch.zeros_like(cell[:, 0])
    for bit in range(_MORTON_BITS):
        for axis in range(3):
            key |= ((cell[:, axis] >> bit) & 1) << (3 * bit + axis)
    return key


def first_per_cell(cell: Tensor, cells: int) -> Tensor:
    """The first point of each cell that has any, int64 rising with the cell.

    Which of its points stands for a cell must not hang on rounding: the middle one would, where there are two.

    Args:
        cell: (N,) int64 in 0..cells - 1, the cell of each point.
        cells: how many there are.
    """
    rows = torch.arange(len(cell), device=cell.device)
    first = torch.full((cells,), len(cell), device=cell.device).scatter_reduce_(0, cell, rows, "amin")
    return first[first < len(cell)]


def cylinder_groups(
    seeds: Tensor, rotation: Tensor, points: Tensor, radius: float, below: float, above: float, samples: int
) -> tuple[Tensor, Tensor]:
    """A fixed number of the points in a cylinder around each seed, evenly picked; deterministic.

    Args:
        seeds: (M, 3) m.
        rotation: (M, 3, 3) of the frames whose z is the axis of the cylinder.
        points: (N, 3) m.
        radius, below, above: the cylinder: its radius and its ends along z from the seed, m.
        samples: points taken from each; where a cylinder holds fewer they repeat.

    Returns:
        index (M, samples) int64 into ``points``, -1 in all places of a cylinder that holds none; and the points in the
        frame of the seed (M, samples, 3), m, zeros where there is none.
    """

    def inside(x: Tensor, y: Tensor, z: Tensor, _: Tensor, grow: float) -> Tensor:
        return (x * x + y * y <= (radius + grow) ** 2) & (z >= below - grow) & (z <= above + grow)

    bounds = ((-radius, radius), (-radius, radius), (below, above))
    found = Buckets.build(points, _CELL).search(rotation, seeds, seeds.new_zeros(len(seeds)), inside, bounds)
    count = torch.bincount(found.frame, minlength=len(seeds))
    first = torch.cumsum(count, 0) - count
    even = (torch.arange(samples, device=seeds.device) + 0.5) / samples
    pick = first[:, None] + (even * count[:, None]).long()
    if len(found.frame) == 0:
        return torch.full_like(pick, -1), seeds.new_zeros(len(seeds), samples, 3)
    pick = pick.clamp(max=len(found.frame) - 1)
    none = (count == 0)[:, None]
    local = found.local.T[pick]
    return torch.where(none, -1, found.point[pick]), torch.where(none[..., None], 0.0, local)
