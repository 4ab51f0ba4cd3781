"""Where the board was in the camera, by each view alone: the start of the solvers and the measure of their result."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from grasp_core import se3
from hand_eye import geometry
from hand_eye.views import FEWEST_CORNERS, Views

ROUNDS = 20
DONE = 1e-9  # m and rad
OUTLIER = 4.0  # times the scatter of a view's corners
LEAST_OUTLIER = 1.0  # px: nearer is never taken for a wrong corner


@dataclass(frozen=True)
class BoardPoses:
    """The board in the camera at each view, by that view alone.

    Attributes:
        T_cam_board: (V, 4, 4). sigma: px, scatter of one coordinate of a corner.
        rms: (V,) px, of each view.
    """

    T_cam_board: np.ndarray
    sigma: float
    rms: np.ndarray


def first_guess(views: Views) -> np.ndarray:
    """(V, 4, 4): poses by OpenCV's closed form for planes (IPPE), the likelier of its two answers."""
    poses = []
    for i in range(len(views)):
        seen = views.view == i
        _, turn, place = cv2.solvePnP(
            views.points[seen], views.pixels[seen], views.K, np.zeros(5), flags=cv2.SOLVEPNP_IPPE
        )
        poses.append(se3.make(se3.exp_so3(turn[:, 0]), place[:, 0]))
    return np.array(poses)


def fit(views: Views, start: np.ndarray) -> BoardPoses:
    """Refine poses (V, 4, 4) to the least reprojection error of each view (Gauss-Newton)."""
    T = start
    for _ in range(ROUNDS):
        J = geometry.derivative(lambda xi, at=T: geometry.errors(views, geometry.moved(at, xi)), views)
        r = geometry.errors(views, T)
        slope = geometry.per_view(views, np.einsum("mai,ma->mi", J, r))
        damped = geometry.information(views, J) + 1e-9 * np.eye(6)
        step = -np.linalg.solve(damped, slope[..., None])[..., 0]
        T = geometry.moved(T, np.clip(step, -0.2, 0.2))
        if np.abs(step).max() < DONE:
            break
    squares = (geometry.errors(views, T) ** 2).sum(axis=1)
    free = 2 * len(squares) - 6 * len(views)
    sums = geometry.per_view(views, squares)
    return BoardPoses(T, float(np.sqrt(sums.sum() / max(free, 1))), np.sqrt(sums / (2 * views.counts)))


def wrong_corners(views: Views, found: BoardPoses) -> np.ndarray:
    """(M,) bool: corners that do not fit the others of their view; never so many that a view has too few left."""
    size = np.linalg.norm(geometry.errors(views, found.T_cam_board), axis=1)
    middle = np.array([np.median(size[views.view == i]) for i in range(len(views))])
    wrong = size > np.maximum(LEAST_OUTLIER, OUTLIER * middle[views.view])
    left = views.counts - geometry.per_view(views, wrong.astype(float))
    return wrong & (left[views.view] >= FEWEST_CORNERS)
