"""How rough an object must be for the fingers to hold it, and how far they must open: flat pads, cast by rays.

A fingertip is not a point but a pad. Moving along the closing direction it touches where the object reaches out most
towards it, which is rarely on the line between the very tips. So every pad is a raster of rays, and what the first of
them meets, with all that lies no deeper than the rubber gives, is what the pad touches. Two fingers hold the object if
a line from a touched point of the one to a touched point of the other lies in both friction cones (Nguyen 1988).

Rows of the rasters lie on levels that all depths share, so that a ray serves several candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_core.gripper import Gripper
from grasp_eval.bench.surfaces import Surfaces
from grasp_perception.dense.template import DEPTHS

MAX_FRICTION = 1.25  # what needs more is no grasp
LEVEL = 0.005  # m between rows of rays; all DEPTHS are multiples
BEHIND = 0.04  # m back from the tips that a finger is looked at: behind the pad it is nearly as far out as the pad
ROOM = 0.001  # m between object and each finger of the wide open hand; what leaves less is too wide
OFF_CENTRE = (
    0.01  # m between the middles of fingers and object: more, and the first finger turns it away from the other
)
EDGE = 0.001  # m that the outer columns stay inside of the pad
GIVE = 0.004  # m that a pad yields: what is not farther away than that is touched too


@dataclass(frozen=True)
class Raster:
    """Rays of a gripper's pads. columns (C,): their y, m, the middle first. levels (L,): how deep past the surface
    point each row lies, m. rows (DEPTHS, R): which levels a pad covers, from the tip back."""

    columns: NDArray[np.float64]
    levels: NDArray[np.float64]
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, gripper: Gripper) -> Raster:
        """The raster of a gripper's pads."""
        behind = np.arange(round(min(gripper.finger.length, BEHIND) / LEVEL) + 1)
        tips = np.round(np.array(DEPTHS) / LEVEL).astype(np.int64)
        lowest = tips[0] - behind[-1]
        outer = max(gripper.finger.width / 2.0 - EDGE, gripper.finger.width / 4.0)
        return cls(
            columns=np.array([0.0, -outer, outer]),
            levels=LEVEL * np.arange(lowest, tips[-1] + 1),
            rows=tips[:, None] - behind - lowest,
        )


@dataclass(frozen=True)
class _Lines:
    """What the two fingers meet along lines of F frames: reach (F, L, C, 2) m from the middle outwards, -inf for
    nothing; normal (F, L, C, 2, 3) in the grasp frame; inside (F, L, C): a finger stands in the object."""

    reach: NDArray[np.float32]
    normal: NDArray[np.float32]
    inside: NDArray[np.bool_]


class PadContacts:
    """Pads of one gripper on one object."""

    def __init__(self, surfaces: Surfaces, gripper: Gripper) -> None:
        self._surfaces = surfaces
        self._raster = Raster.of(gripper)
        self._half = gripper.max_width / 2.0

    def __call__(self, points: NDArray, R: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Grasps of every depth at surface points (F, 3) with frames R (F, 3, 3).

        Returns: friction (F, DEPTHS), inf for no grasp, and width (F, DEPTHS) m, the least opening around the middle.
        """
        raster = self._raster
        shape = (len(points), len(raster.levels), len(raster.columns))
        lines = _Lines(
            np.full((*shape, 2), -np.inf, dtype=np.float32),
            np.zeros((*shape, 2, 3), dtype=np.float32),
            np.zeros(shape, dtype=bool),
        )
        wanted = np.zeros(shape, dtype=bool)
        wanted[..., 0] = True
        self._cast(lines, wanted, points, R)
        friction, width = np.full((shape[0], len(DEPTHS)), np.inf), np.zeros((shape[0], len(DEPTHS)))
        held = np.isfinite(lines.reach[:, raster.rows, 0]).all(axis=-1).any(axis=-1)
        frame, depth = self._promising(lines, *np.nonzero(held), columns=1)[:2]
        wanted[:] = False
        wanted[frame[:, None], raster.rows[depth], 1:] = True
        self._cast(lines, wanted, points, R)
        frame, depth, needed, reach = self._promising(lines, frame, depth, columns=len(raster.columns))
        fits = (reach.max(axis=1) <= self._half - ROOM) & (np.abs(reach[:, 1] - reach[:, 0]) <= 2.0 * OFF_CENTRE)
        frame, depth = frame[fits], depth[fits]
        friction[frame, depth], width[frame, depth] = needed[fits], 2.0 * reach[fits].max(axis=1)
        return friction, width

    def _cast(self, lines: _Lines, wanted: NDArray[np.bool_], points: NDArray, R: NDArray) -> None:
        """Cast the wanted lines (F, L, C); what the first finger does not meet, the second does not either."""
        frame, level, column = np.nonzero(wanted)
        for side, sign in enumerate((-1.0, 1.0)):
            closing = R[frame, :, 0]
            start = points[frame] + self._raster.levels[level, None] * R[frame, :, 2]
            start += self._raster.columns[column, None] * R[frame, :, 1] + sign * self._half * closing
            hits = self._surfaces.first_hits(start, -sign * closing)
            met = np.isfinite(hits.distance) & (hits.distance <= 2.0 * self._half)
            frame, level, column = frame[met], level[met], column[met]
            normal = np.einsum("ki,kij->kj", hits.normal[met], R[frame])
            lines.reach[frame, level, column, side] = self._half - hits.distance[met]
            lines.normal[frame, level, column, side] = normal
            lines.inside[frame, level, column] |= sign * normal[:, 0] <= 0.0

    def _promising(
        self, lines: _Lines, frame: NDArray, depth: NDArray, columns: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Of the candidates (K,), (K,) those that hold by the first ``columns``: frame, depth, friction
        and how far from the middle each finger (K, 2) stops, m."""
        rows = self._raster.rows[depth]
        clear = ~lines.inside[frame[:, None], rows, :columns].any(axis=(1, 2))
        frame, depth, rows = frame[clear], depth[clear], rows[clear]
        rays = rows.shape[1] * columns
        reach = lines.reach[frame[:, None], rows, :columns].reshape(-1, rays, 2)
        normal = lines.normal[frame[:, None], rows, :columns].reshape(-1, rays, 2, 3)
        friction = pad_friction(reach, normal)
        good = friction <= MAX_FRICTION
        return frame[good], depth[good], friction[good], reach[good].max(axis=1).astype(np.float64)


def pad_friction(reach: NDArray, normal: NDArray) -> NDArray[np.float64]:
    """(K,) least friction coefficient at which two pads hold what their rays met, inf for none.

    reach (K, N, 2): m from the middle outwards to what the ray of each finger met, -inf for nothing. normal
    (K, N, 2, 3): of the surface there, outward, in the grasp frame.
    """
    touched = (np.isfinite(reach) & (reach >= reach.max(axis=1, keepdims=True) - np.float32(GIVE))).all(axis=-1)
    cosine = normal[..., 0] * np.array([-1.0, 1.0], dtype=np.float32)  # to the closing line, out of the object
    sine = np.hypot(normal[..., 1], normal[..., 2])
    tangent = np.divide(sine, cosine, out=np.full_like(sine, np.inf), where=cosine > 0)
    needed = np.where(touched, tangent.max(axis=-1), np.float32(np.inf))
    return needed.min(axis=1, initial=np.inf).astype(np.float64)
