"""Points sorted into cells, so that a search in many frames looks only at the cells that can hold an answer."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from grasp_perception.dense.voxels import unique_voxels

_CHUNK = 256  # frames at a time: memory has a limit
_NEAR = 64  # frames whose surroundings are looked at together: small enough to stay in the cache
_SLACK = 1e-5  # m, more than float32 errs within metres

# x, y, z in the frame, the frame's size, and by how much the shape is grown, m; all but the last of one length
Shape = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]
Bounds = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]  # m: along x, y and z of the frame


@dataclass(frozen=True)
class Found:
    """P pairs of a frame and a point in its shape; frame after frame where nothing was given up.

    Attributes:
        frame: (P,) int64.
        point: (P,) int64 among the points that the buckets were built from.
        local: (3, P) the point in the frame, m.
    """

    frame: Tensor
    point: Tensor
    local: Tensor

    def __getitem__(self, chosen: Tensor) -> "Found":
        return Found(self.frame[chosen], self.point[chosen], self.local[:, chosen])


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

    def search(
        self, R: Tensor, t: Tensor, size: Tensor, shape: Shape, bounds: Bounds, most: int | None = None
    ) -> Found:
        """All points inside a shape that is given in each of M frames; deterministic.

        It is fastest when frames that follow each other are near each other: some are looked at together.

        Args:
            R: (M, 3, 3), t: (M, 3): the frames in the points' frame.
            size: (M,) what the shape may depend on, m.
            shape: which points are inside; a shape grown by g holds all points nearer than g to the shape.
            bounds: a box in the frame that holds the shape, whatever its size.
            most: a shape that holds more points than this may be given up with more than this found.
        """
        low, high = R.new_tensor(bounds).T
        middle, half = (low + high) / 2, (high - low) / 2 + self.radius + _SLACK
        frames = _Frames(R.permute(2, 1, 0).contiguous(), t.T.contiguous(), size)
        none = torch.zeros(0, dtype=torch.int64, device=t.device)
        found = [Found(none, none, t.new_zeros(3, 0))]
        for start in range(0, len(t), _CHUNK):
            stop = min(start + _CHUNK, len(t))
            pairs = [self._cells(R, t, middle, half, i, min(i + _NEAR, stop)) for i in range(start, stop, _NEAR)]
            frame, cell = (torch.cat(part) for part in zip(*pairs, strict=True))
            found += self._inside(frames, shape, frame, cell, most)
        parts = zip(*((f.frame, f.point, f.local) for f in found), strict=True)
        return Found(*(torch.cat(part, dim=-1) for part in parts))

    def _cells(
        self, R: Tensor, t: Tensor, middle: Tensor, half: Tensor, start: int, stop: int
    ) -> tuple[Tensor, Tensor]:
        """Frames from ``start`` to ``stop`` and cells (K,) wherever a cell's centre lies within ``half`` (3,) of the
        ``middle`` (3,) of a box."""
        R, t = R[start:stop], t[start:stop]
        box, reach = t + R @ middle, R.abs() @ half
        low, high = (box - reach).amin(0)[:, None], (box + reach).amax(0)[:, None]
        around = torch.nonzero(((self.centre >= low) & (self.centre <= high)).all(0))[:, 0]
        scaled = (R / half).transpose(1, 2)  # rows: axes of the frame, on which the box has the edges -1 and 1
        offset = (scaled @ t[:, :, None])[:, :, 0] + middle / half
        place = torch.addmm(-offset.reshape(-1, 1), scaled.reshape(-1, 3), self.centre[:, around])
        farthest = place.abs_().view(len(t), 3, len(around)).amax(1)
        frame, cell = torch.nonzero(farthest <= 1.0, as_tuple=True)
        return frame + start, around[cell]

    def _inside(self, frames: "_Frames", shape: Shape, frame: Tensor, cell: Tensor, most: int | None) -> list[Found]:
        """The points in the shape, of the cells (K,) that are looked at in the frames (K,)."""
        local = frames.local(frame, self.centre, cell)
        near = torch.nonzero(shape(*local, frames.size[frame], self.radius + _SLACK))[:, 0]
        frame, cell = frame[near], cell[near]
        given_up = []
        if most is not None:  # one point of every cell tells of most shapes that hold too many
            some = self._points_inside(frames, shape, frame, self.start[cell])
            full = torch.bincount(some.frame, minlength=len(frames.size)) > most
            left = torch.nonzero(~full[frame])[:, 0]
            given_up, frame, cell = [some[full[some.frame]]], frame[left], cell[left]
        asked, row = self._expand(cell)
        return [*given_up, self._points_inside(frames, shape, frame[asked], row)]

    def _points_inside(self, frames: "_Frames", shape: Shape, frame: Tensor, row: Tensor) -> Found:
        """Which points ``row`` (K,) lie in the shapes of the frames (K,)."""
        local = frames.local(frame, self.points, row)
        inside = torch.nonzero(shape(*local, frames.size[frame], 0.0))[:, 0]
        return Found(frame[inside], self.index[row[inside]], local[:, inside])

    def _expand(self, cell: Tensor) -> tuple[Tensor, Tensor]:
        """All points of cells: for each the position of its cell in ``cell`` (K,) and its column in ``points``."""
        count = self.count[cell]
        asked = torch.repeat_interleave(count)
        first = self.start[cell] - (torch.cumsum(count, 0) - count)
        return asked, torch.arange(len(asked), device=cell.device) + first[asked]


@dataclass(frozen=True)
class _Frames:
    """Frames as rows of numbers: columns [axis of the frame][coordinate][frame], t (3, M), size (M,)."""

    columns: Tensor
    t: Tensor
    size: Tensor

    def local(self, frame: Tensor, points: Tensor, row: Tensor) -> Tensor:
        """Points ``row`` (P,) of ``points`` (3, N) in frames ``frame`` (P,): (3, P)."""
        moved = points.index_select(1, row)
        moved -= self.t.index_select(1, frame)
        local = torch.empty_like(moved)
        for axis in range(3):
            column = self.columns[axis]
            torch.mul(column[0].index_select(0, frame), moved[0], out=local[axis])
            local[axis].addcmul_(column[1].index_select(0, frame), moved[1])
            local[axis].addcmul_(column[2].index_select(0, frame), moved[2])
        return local
