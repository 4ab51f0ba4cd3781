"""Whether a hand that comes straight in stays clear of a scene, for very many grasps of one object at once.

Cheap tests first: the support against the hand's corners; then balls around large blocks of the hand, which tell what
is free for sure; then balls inside small blocks, as in ``hand_collision``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_core.gripper import Gripper
from grasp_learning.engine import batches
from grasp_learning.hand_collision import BODY_CELL, FINGER_CELL, blocks
from grasp_learning.scenes.obstacles import Obstacles

SWEEP = 0.05  # m that the hand comes straight, along its approach
MARGIN = 0.002  # m by which the hand is taken to be larger: what the grid is inexact by
ABOVE_SUPPORT = 0.001  # m that the hand stays above what the objects stand on
COARSE_CELL = 0.030  # m, largest edge of a large block
FINGERS = (-1.0, 1.0, 0.0, 0.0)  # of each box of a gripper: which way it moves along x when the hand opens
HANDS_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class _Balls:
    """centres (C, 3) at zero opening, radii (C,), side (C,) as FINGERS."""

    centres: NDArray[np.float32]
    radii: NDArray[np.float32]
    side: NDArray[np.float32]


class Clearance:
    """One gripper, whose parts behind the fingers reach SWEEP farther back than they are long."""

    def __init__(self, gripper: Gripper) -> None:
        centres, sizes = gripper.boxes(0.0)
        sizes = np.array(sizes)
        centres[2:, 2] -= SWEEP / 2.0
        sizes[2:, 2] += SWEEP
        self._corners = np.stack([centres - sizes / 2.0, centres + sizes / 2.0]).astype(np.float32)  # (2, 4, 3)
        fine = (FINGER_CELL, FINGER_CELL, BODY_CELL, BODY_CELL)
        self._outer = _balls(centres, sizes, [COARSE_CELL] * 4, around=True)
        self._inner = _balls(centres, sizes, fine, around=False)

    def above(self, R: NDArray, t: NDArray, opening: NDArray, support: float) -> NDArray[np.bool_]:
        """(K,) whether hands at R (K, 3, 3), t (K, 3), ``opening`` (K,) m wide, stay above a height, m."""
        lowest = np.full(len(R), np.inf, dtype=np.float32)
        for box, side in enumerate(FINGERS):
            low, high = self._corners[:, box]
            middle, half = (low + high) / 2.0, (high - low) / 2.0
            z = R[:, 2] @ middle - np.abs(R[:, 2]) @ half + R[:, 2, 0] * (np.float32(side / 2.0) * opening)
            np.minimum(lowest, z, out=lowest)
        return lowest + t[:, 2] >= support + ABOVE_SUPPORT

    def free(
        self, obstacles: Obstacles, values: NDArray, R: NDArray, t: NDArray, opening: NDArray
    ) -> NDArray[np.bool_]:
        """(K,) whether hands stay clear of a grid of obstacles. R (K, 3, 3), t (K, 3), opening (K,): float32."""
        free = np.ones(len(R), dtype=bool)
        for few in batches(len(R), HANDS_AT_ONCE):
            free[few] = self._free(obstacles, values, R[few], t[few], opening[few])
        return free

    def _free(self, obstacles: Obstacles, values: NDArray, R: NDArray, t: NDArray, opening: NDArray) -> NDArray:
        near = _meet(self._outer, obstacles, values, R, t, opening)
        free = ~near.any(axis=1)
        unsure = np.flatnonzero(~free)
        for side in (True, False):  # fingers first: they meet something most often
            part = (self._inner.side != 0) == side
            balls = _Balls(self._inner.centres[part], self._inner.radii[part], self._inner.side[part])
            met = _meet(balls, obstacles, values, R[unsure], t[unsure], opening[unsure]).any(axis=1)
            unsure = unsure[~met]
        free[unsure] = True
        return free


def _meet(
    balls: _Balls, obstacles: Obstacles, values: NDArray, R: NDArray, t: NDArray, opening: NDArray
) -> NDArray[np.bool_]:
    """(K, C) which balls come nearer than MARGIN to something."""
    local = balls.centres[None] + np.float32(0.5) * opening[:, None, None] * (
        balls.side[:, None] * np.array([1.0, 0.0, 0.0], dtype=np.float32)
    )
    places = local @ np.swapaxes(R, 1, 2)
    places += t[:, None]
    return obstacles.distance(values, places) < balls.radii + np.float32(MARGIN)


def _balls(centres: NDArray, sizes: NDArray, edges: list[float] | tuple[float, ...], around: bool) -> _Balls:
    """Of each box: the balls around its blocks, or those inside of them."""
    cut = [blocks(c, s, e) for c, s, e in zip(centres, sizes, edges, strict=True)]
    radii = []
    for (middles, inside), size, edge in zip(cut, sizes, edges, strict=True):
        outside = np.linalg.norm(size / np.ceil(size / edge - 1e-9)) / 2.0
        radii.append(np.full(len(middles), outside if around else inside))
    return _Balls(
        np.concatenate([middles for middles, _ in cut]).astype(np.float32),
        np.concatenate(radii).astype(np.float32),
        np.repeat(FINGERS, [len(middles) for middles, _ in cut]).astype(np.float32),
    )
