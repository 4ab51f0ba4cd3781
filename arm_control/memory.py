"""Grasps that failed in this scene, so that they are not tried again and again."""

from __future__ import annotations

import numpy as np

from grasp_core import se3
from grasp_core.grasps import Grasps

_HALF_TURN = np.diag([-1.0, -1.0, 1.0])


class FailedGrasps:
    """Remembers failed grasps; a grasp is known when it lies within `distance` m and `angle` rad of one of them."""

    def __init__(self, distance: float = 0.015, angle: float = np.deg2rad(20.0)) -> None:
        self._distance = distance
        self._angle = angle
        self._failed: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._failed)

    def remember(self, grasps: Grasps) -> None:
        """Add failed grasps, in the base frame."""
        self._failed.extend(grasps.matrices())

    def forget(self) -> None:
        """Forget all: the scene has changed."""
        self._failed.clear()

    def unknown(self, grasps: Grasps) -> np.ndarray:
        """Which of `grasps` are not near a failed one, (N,) bool; half a turn about the approach is the same grasp."""
        keep = np.ones(len(grasps), bool)
        R, t = np.asarray(grasps.R, np.float64), np.asarray(grasps.t, np.float64)
        for T in self._failed:
            turn = np.minimum(se3.rotation_angle(T[:3, :3], R), se3.rotation_angle(T[:3, :3] @ _HALF_TURN, R))
            keep &= ~((np.linalg.norm(t - T[:3, 3], axis=1) < self._distance) & (turn < self._angle))
        return keep
