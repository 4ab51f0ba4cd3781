"""Points sorted into cells, so that a search in many frames looks only at the cells that can hold an answer."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from grasp_perception.dense.voxels import unique_voxels

_CHUNK = 128  # frames at a time: their tables of cells stay in the cache
_SLACK = 1e-5  # m, more than float32 errs within metres

# x, y, z in the frame, the frame's size, and by how much the shape is grown, m; all but the last of one shape
Shape = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]


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
        """Sort ``points`` (N, 3) into cells of edge ``size`` (m); deterministic."""
        coords = torch.floor(points / size).to(torch.int32)
        cells, row, count = unique_voxels(torch.cat([torch.zeros_like(coords[:, :1]), coords], dim=1))
        order = torch.argsort(row, stable=True)
        centre = (cells[:, 1:].to(points.dtype) + 0.5) * size
        start = torch.cumsum(count, 0) - count
        return cls(points[order].T.contiguous(), order, start, count, centre.T.contiguous(), size * 3**0.5 / 2)

    def search(self, R: Tensor, t: Tensor, size: Tensor, shape: Shape) -> Found:
        """All points inside a shape that is given in each of M frames; deterministic.

        Args:
            R: (M, 3, 3), t: (M, 3): the frames in the points' frame.
            size: (M,) what the shape may depend on, m.
            shape: which points are inside; a shape grown by g holds all points nearer than g to the shape.
        """
        parts = [
            self._cells(R[i : i + _CHUNK], t[i : i + _CHUNK], size[i : i + _CHUNK], shape)
            for i in range(0, len(t), _CHUNK)
        ]
        none = torch.zeros(2, 0, dtype=torch.int64, device=t.device)
        frame, cell = torch.cat([none, *(p + p.new_tensor([[i * _CHUNK], [0]]) for i, p in enumerate(parts))], dim=1)
        asked, row = self._expand(cell)
        frame = frame[asked]
        local = self._local(R, t, frame, row)
        inside = torch.nonzero(shape(*local, size[frame], 0.0))[:, 0]
        return Found(frame[inside], self.index[row[inside]], local[:, inside])

    def _cells(self, R: Tensor, t: Tensor, size: Tensor, shape: Shape) -> Tensor:
        """Frame and cell (2, K) wherever the cell may hold points of the shape."""
        moved = (t[:, :, None] * R).sum(1)
        x, y, z = (torch.addmm(-moved[:, axis, None], R[:, :, axis], self.centre) for axis in range(3))
        return torch.nonzero(shape(x, y, z, size[:, None].expand_as(x), self.radius + _SLACK)).T

    def _expand(self, cell: Tensor) -> tuple[Tensor, Tensor]:
        """All points of cells: for each the position of its cell in ``cell`` (K,) and its column in ``points``."""
        count = self.count[cell]
        asked = torch.repeat_interleave(count)
        first = self.start[cell] - (torch.cumsum(count, 0) - count)
        return asked, torch.arange(len(asked), device=cell.device) + first[asked]

    def _local(self, R: Tensor, t: Tensor, frame: Tensor, row: Tensor) -> Tensor:
        """Points ``row`` (P,) in frames ``frame`` (P,): (3, P)."""
        moved = self.points.index_select(1, row)
        moved -= t.T.contiguous().index_select(1, frame)
        columns = R.permute(2, 1, 0).contiguous()  # [axis of the frame][coordinate][frame]
        local = torch.empty_like(moved)
        for axis in range(3):
            torch.mul(columns[axis, 0].index_select(0, frame), moved[0], out=local[axis])
            local[axis].addcmul_(columns[axis, 1].index_select(0, frame), moved[1])
            local[axis].addcmul_(columns[axis, 2].index_select(0, frame), moved[2])
        return local
