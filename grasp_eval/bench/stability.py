"""Whether a detector finds the same grasps again: the best ones of a frame, looked for in the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_core import se3
from grasp_core.grasps import Grasps

TOP = 10
NEAR = 0.01  # m between the fingertip middles of what counts as the same grasp
TURNED = np.deg2rad(15.0)  # between their frames
HALF_TURN = np.diag([-1.0, -1.0, 1.0])  # about the approach: the same grasp with the fingers swapped


@dataclass(frozen=True)
class Stability:
    """How many of the best grasps of a frame are there in the next.

    among_all: share that has one of all grasps of the next frame near. among_top: share that has one of its best near.
    displacement: median distance of those found among all to the nearest that counts as the same, m; None: none found.
    """

    among_all: float
    among_top: float
    displacement: float | None


def stability(before: Grasps, after: Grasps, top: int = TOP) -> Stability | None:
    """Compare two consecutive frames, both in one fixed frame; None where the first has no grasp."""
    if len(before) == 0:
        return None
    best = before.sorted()[:top]
    ranked = after.sorted()
    distance = same(best, ranked)
    found = np.isfinite(distance)
    among_all = found.any(axis=1)
    nearest = distance.min(axis=1, initial=np.inf)[among_all]
    return Stability(
        among_all=float(among_all.mean()),
        among_top=float(found[:, :top].any(axis=1).mean()),
        displacement=float(np.median(nearest)) if len(nearest) else None,
    )


def same(a: Grasps, b: Grasps) -> NDArray[np.float64]:
    """Distance (A, B) in m of grasps that count as the same one, inf for the others."""
    distance = np.linalg.norm(a.t[:, None].astype(np.float64) - b.t[None].astype(np.float64), axis=-1)
    R_a, R_b = a.R[:, None].astype(np.float64), b.R[None].astype(np.float64)
    turn = np.minimum(se3.rotation_angle(R_a, R_b), se3.rotation_angle(R_a @ HALF_TURN, R_b))
    return np.where((distance <= NEAR) & (turn <= TURNED), distance, np.inf)
