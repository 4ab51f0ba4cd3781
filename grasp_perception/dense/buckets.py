"""Points sorted into cells, so that a search in many frames looks only at the cells that can hold an answer."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from grasp_perception.dense.voxels import unique_voxels

_CHUNK = 128  # frames at a time: what they need stays in the cache, and memory has a limit
_SLACK = 1e-5  # m, more than float32 errs within metres

# x, y, z in the frame, the frame's size, and by how much the shape is grown, m; all but the last of one length
Shape = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]
Bounds = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]  # m: along x, y and z of the frame


@dataclass(frozen=True)
class Found:
    """P pairs of a frame and a point in its shape, frame after frame.

    Attributes:
        frame: (P,) int64.
        point: (P,) int64 among the points that the buckets were built from.
        local: (3, P) the point in the frame, m.
    """

    frame: Tensor
    point: Tensor
    local: Tensor


@dataclass(frozen=True)
class Buckets:
    """Points by the cell that they lie in.

    Attributes:
        points: (3, N) m, cell after cell.
        index: (N,) int64 where each was among the points given.
        start, count: (C,) int64 of each cell.
        centre: (3, C) m.
        radius: of a ball around the centre that holds the cell, m.
    """

    points: Tensor
    index: Tensor
    start: Tensor
    count: Tensor
    centre: Tensor
    radius: float

    @classmethod
    def build(cls, points: Tensor, size: float) -> "Buckets":
        """Sort ``points`` (N, 3) into cells of edge ``size`` (m), counted from their lowest corner; deterministic."""
        low = points.amin(0) if len(points) else points.new_zeros(3)
        coords = torch.floor((points - low) / size).to(torch.int32)
        cells, row, count = unique_voxels(torch.cat([torch.zeros_like(coords[:, :1]), coords], dim=1))
        order = torch.argsort(row, stable=True)
        centre = (cells[:, 1:].to(points.dtype) + 0.5) * size + low
        start = torch.cumsum(count, 0) - count
        return cls(points[order].T.contiguous(), order, start, count, centre.T.contiguous(), size * 3**0.5 / 2)

    def search(self, R: Tensor, t: Tensor, size: Tensor, shape: Shape, bounds: Bounds) -> Found:
        """All points inside a shape that is given in each of M frames; deterministic.

        Args:
            R: (M, 3, 3), t: (M, 3): the frames in the points' frame.
            size: (M,) what the shape may depend on, m.
            shape: which points are inside; a shape grown by g holds all points nearer than g to the shape.
            bounds: a box in the frame that holds the shape, whatever its size.
        """
        low, high = R.new_tensor(bounds).T
        middle, half = (low + high) / 2, (high - low) / 2 + self.radius + _SLACK
        none = torch.zeros(0, dtype=torch.int64, device=t.device)
        found = [Found(none, none, t.new_zeros(3, 0))]
        for i in range(0, len(t), _CHUNK):
            part = slice(i, i + _CHUNK)
            frame, cell = self._cells(R[part], t[part], middle, half)
            found.append(self._inside(R, t, size, shape, frame + i, cell))
        parts = zip(*((f.frame, f.point, f.local) for f in found), strict=True)
        return Found(*(torch.cat(part, dim=-1) for part in parts))

    def _cells(self, R: Tensor, t: Tensor, middle: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
        """Frames and cells (K,) wherever a cell's centre lies within ``half`` (3,) of the ``middle`` (3,) of a box."""
        scaled = (R / half).transpose(1, 2)  # rows: axes of the frame, on which the box has the edges -1 and 1
        offset = (scaled @ t[:, :, None])[:, :, 0] + middle / half
        place = torch.addmm(-offset.reshape(-1, 1), scaled.reshape(-1, 3), self.centre)
        farthest = place.abs_().view(len(t), 3, self.centre.shape[1]).amax(1)
        return torch.nonzero(farthest <= 1.0, as_tuple=True)

    def _inside(self, R: Tensor, t: Tensor, size: Tensor, shape: Shape, frame: Tensor, cell: Tensor) -> Found:
        """The points in the shape, of the cells (K,) that are looked at in the frames (K,)."""
        grow = self.radius + _SLACK
        near = torch.nonzero(shape(*_local(R, t, frame, self.centre, cell), size[frame], grow))[:, 0]
        asked, row = self._expand(cell[near])
        frame = frame[near][asked]
        local = _local(R, t, frame, self.points, row)
        inside = torch.nonzero(shape(*local, size[frame], 0.0))[:, 0]
        return Found(frame[inside], self.index[row[inside]], local[:, inside])

    def _expand(self, cell: Tensor) -> tuple[Tensor, Tensor]:
        """All points of cells: for each the position of its cell in ``cell`` (K,) and its column in ``points``."""
        count = self.count[cell]
        asked = torch.repeat_interleave(count)
        first = self.start[cell] - (torch.cumsum(count, 0) - count)
        return asked, torch.arange(len(asked), device=cell.device) + first[asked]


def _local(R: Tensor, t: Tensor, frame: Tensor, points: Tensor, row: Tensor) -> Tensor:
    """Points ``row`` (P,) of ``points`` (3, N) in frames ``frame`` (P,): (3, P)."""
    moved = points.index_select(1, row)
    moved -= t.T.contiguous().index_select(1, frame)
    columns = R.permute(2, 1, 0).contiguous()  # [axis of the frame][coordinate][frame]
    local = torch.empty_like(moved)
    for axis in range(3):
        torch.mul(columns[axis, 0].index_select(0, frame), moved[0], out=local[axis])
        local[axis].addcmul_(columns[axis, 1].index_select(0, frame), moved[1])
        local[axis].addcmul_(columns[axis, 2].index_select(0, frame), moved[2])
    return local
