"""Made-up views: corners where a perfect camera would see them, with as much noise as asked for."""

from __future__ import annotations

import numpy as np

from grasp_core import se3
from grasp_core.board import Board
from grasp_core.calibration import Mode
from hand_eye import geometry
from hand_eye.looks import Range, candidates
from hand_eye.views import View, Views

BOARD = Board.load("a4")
K = np.array([[612.0, 0.0, 319.5], [0.0, 612.0, 239.5], [0.0, 0.0, 1.0]])
SIZE = (640, 480)


def truth(mode: Mode, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Camera in its parent and board in what it is fixed to, somewhere sensible."""
    if mode == "eye_in_hand":
        X = se3.make(se3.exp_so3(rng.normal(0, 0.2, 3)), np.array([0.0, -0.075, 0.035]) + rng.normal(0, 0.02, 3))
        return X, se3.make(se3.rpy_matrix(np.pi, 0.0, rng.uniform(-3, 3)), [0.5, rng.uniform(-0.2, 0.2), 0.02])
    X = se3.look_at(np.array([1.2, 0.0, 0.8]) + rng.normal(0, 0.05, 3), [0.5, 0.0, 0.3])
    return X, se3.make(se3.rpy_matrix(*rng.uniform(-0.5, 0.5, 3)), [-0.12, -0.08, 0.1])


def make_views(
    mode: Mode,
    seed: int,
    count: int = 15,
    pixel: float = 0.1,
    arm: tuple[float, float] = (0.0, 0.0),
    looks: np.ndarray | None = None,
) -> tuple[Views, np.ndarray, np.ndarray]:
    """Views, and the true X and Y. `pixel` px, `arm` (m, rad): noise, one standard deviation of a coordinate.

    `looks` (N, 4, 4): the board in the camera; drawn from a wide range when None.
    """
    rng = np.random.default_rng(seed)
    X, Y = truth(mode, rng)
    if looks is None:
        every = candidates(BOARD, K, SIZE, Range())
        looks = every[rng.choice(len(every), count, replace=False)]
    views = []
    for T_cam_board in looks:
        T_parent_other = X @ T_cam_board @ se3.inverse(Y)
        flange = se3.inverse(T_parent_other) if mode == "eye_in_hand" else T_parent_other
        off = np.concatenate([rng.normal(0, arm[0], 3), rng.normal(0, arm[1], 3)]) if any(arm) else np.zeros(6)
        points = se3.transform(T_cam_board, BOARD.corners)
        pixels = points[:, :2] / points[:, 2:] * 612.0 + K[:2, 2] + rng.normal(0, pixel, (len(points), 2))
        views.append(View(geometry.moved(flange, off), np.arange(len(points)), pixels, np.zeros(0)))
    return Views.of(views, mode, K, BOARD.corners), X, Y


def apart(T_a: np.ndarray, T_b: np.ndarray) -> tuple[float, float]:
    """mm and deg between two poses."""
    mm = float(np.linalg.norm(T_a[:3, 3] - T_b[:3, 3]) * 1e3)
    return mm, float(np.rad2deg(se3.rotation_angle(T_a[:3, :3], T_b[:3, :3])))
