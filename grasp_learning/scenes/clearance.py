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
HANDS_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class _Box:
    """One box of the hand in large blocks, all alike, and each of these in small ones.

    side: which way the box moves along x when the hand opens, -1, 0 or 1. low, high: (3,) corners at zero opening.
    large: (C, 3) middles of the large blocks, around: radius of a ball around one. small: (D, 3) middles of the small
    blocks from the middle of a large one, inside: radius of the ball inside of one.
    """

    side: float
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    large: NDArray[np.float32]
    around: float
    small: NDArray[np.float32]
    inside: float

    @classmethod
    def of(cls, centre: NDArray, size: NDArray, side: float, fine: float) -> _Box:
        large = blocks(centre, size, COARSE_CELL)[0]
        block = size / np.ceil(size / COARSE_CELL - 1e-9)
        small, inside = blocks(np.zeros(3), block, fine)
        corners = (centre - size / 2.0).astype(np.float32), (centre + size / 2.0).astype(np.float32)
        around = float(np.linalg.norm(block)) / 2.0
        return cls(side, *corners, large.astype(np.float32), around, small.astype(np.float32), inside)


class Clearance:
    """One gripper, whose parts behind the fingers reach SWEEP farther back than they are long."""

    def __init__(self, gripper: Gripper) -> None:
        centres, sizes = gripper.boxes(0.0)
        sizes = np.array(sizes)
        centres[2:, 2] -= SWEEP / 2.0
        sizes[2:, 2] += SWEEP
        sides, cells = (-1.0, 1.0, 0.0, 0.0), (FINGER_CELL, FINGER_CELL, BODY_CELL, BODY_CELL)
        self._boxes = [_Box.of(*box) for box in zip(centres, sizes, sides, cells, strict=True)]

    def above(self, R: NDArray, t: NDArray, opening: NDArray, support: float) -> NDArray[np.bool_]:
        """(K,) whether hands at R (K, 3, 3), t (K, 3), ``opening`` (K,) m wide, stay above a height, m."""
        lowest = np.full(len(R), np.inf, dtype=np.float32)
        for box in self._boxes:
            middle, half = (box.low + box.high) / 2.0, (box.high - box.low) / 2.0
            z = R[:, 2] @ middle - np.abs(R[:, 2]) @ half + R[:, 2, 0] * (np.float32(box.side / 2.0) * opening)
            np.minimum(lowest, z, out=lowest)
        return lowest + t[:, 2] >= support + ABOVE_SUPPORT

    def free(
        self, obstacles: Obstacles, values: NDArray, R: NDArray, t: NDArray, opening: NDArray
    ) -> NDArray[np.bool_]:
        """(K,) whether hands stay clear of a grid of obstacles. R (K, 3, 3), t (K, 3), opening (K,): float32."""
        free = np.ones(len(R), dtype=bool)
        for few in batches(len(R), HANDS_AT_ONCE):
            alive = np.arange(len(R))[few]
            for box in self._boxes:  # fingers first: they meet something most often
                alive = alive[~_meets(box, obstacles, values, R[alive], t[alive], opening[alive])]
            free[few] = False
            free[alive] = True
        return free


def _meets(
    box: _Box, obstacles: Obstacles, values: NDArray, R: NDArray, t: NDArray, opening: NDArray
) -> NDArray[np.bool_]:
    """(K,) whether a box comes nearer than MARGIN to something: large blocks first, then small ones in what is near."""
    middles = box.large @ np.swapaxes(R, 1, 2)
    middles += (t + (np.float32(box.side / 2.0) * opening)[:, None] * R[:, :, 0])[:, None]
    hand, block = np.nonzero(obstacles.distance(values, middles) < np.float32(box.around + MARGIN))
    places = box.small @ np.swapaxes(R, 1, 2)[hand]
    places += middles[hand, block][:, None]
    met = (obstacles.distance(values, places) < np.float32(box.inside + MARGIN)).any(axis=1)
    hit = np.zeros(len(R), dtype=bool)
    hit[hand[met]] = True
    return hit
