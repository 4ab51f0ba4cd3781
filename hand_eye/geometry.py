"""Where corners of the board appear, and how that changes with poses. All views at once.

Small motions are 6-vectors (translation m, rotation vector rad) in the frame that moves: T exp(xi).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grasp_core import se3
from hand_eye.views import Views

STEP = 1e-6  # m and rad, of numeric derivatives: pixels change by 1e-3, far above rounding


def moved(T: np.ndarray, xi: np.ndarray) -> np.ndarray:
    """Poses T (..., 4, 4) moved by xi (..., 6) in their own frames."""
    return T @ se3.make(se3.exp_so3(xi[..., 3:]), xi[..., :3])


def motion(T_0: np.ndarray, T_1: np.ndarray) -> np.ndarray:
    """(..., 6) that moves T_0 to T_1; the inverse of `moved`."""
    T = se3.inverse(T_0) @ T_1
    return np.concatenate([T[..., :3, 3], se3.log_so3(T[..., :3, :3])], axis=-1)


def board_in_camera(views: Views, X: np.ndarray, Y: np.ndarray, T_base_flange: np.ndarray | None = None) -> np.ndarray:
    """(V, 4, 4): where the board should be seen.

    X is the camera in what it is fixed to, Y the board in what it is fixed to. `T_base_flange`: in place of the views'.
    """
    if T_base_flange is None:
        T_parent_other = views.T_parent_other
    else:
        T_parent_other = se3.inverse(T_base_flange) if views.mode == "eye_in_hand" else T_base_flange
    return se3.inverse(X) @ T_parent_other @ Y


def flange_from_board(views: Views, X: np.ndarray, Y: np.ndarray, T_cam_board: np.ndarray) -> np.ndarray:
    """(V, 4, 4): where the flange should be, for the board to be where it was seen."""
    T_parent_other = X @ T_cam_board @ se3.inverse(Y)
    return se3.inverse(T_parent_other) if views.mode == "eye_in_hand" else T_parent_other


def errors(views: Views, T_cam_board: np.ndarray, scale: float = 1.0, zoom: float = 1.0) -> np.ndarray:
    """(M, 2) px: where corners should be seen, less where they were. `scale` of the board, `zoom` of the focal lengths.

    A corner that should be behind the camera counts as just in front of it, which is far off in any picture.
    """
    T = T_cam_board[views.view]
    points = np.einsum("mij,mj->mi", T[:, :3, :3], scale * views.points) + T[:, :3, 3]
    focal, centre = zoom * np.diag(views.K)[:2], views.K[:2, 2]
    return focal * points[:, :2] / np.maximum(points[:, 2:], 1e-3) + centre - views.pixels


def derivative(function: Callable[[np.ndarray], np.ndarray], views: Views) -> np.ndarray:
    """(M, 2, 6) px per m and rad: of errors by a motion xi (V, 6) of each view's own, at 0."""
    columns = []
    for axis in np.eye(6) * STEP:
        xi = np.tile(axis, (len(views), 1))
        columns.append((function(xi) - function(-xi)) / (2 * STEP))
    return np.stack(columns, axis=-1)


def per_view(views: Views, values: np.ndarray) -> np.ndarray:
    """(V, ...): sums of values (M, ...) of the corners over each view."""
    out = np.zeros((len(views), *values.shape[1:]))
    np.add.at(out, views.view, values)
    return out


def information(views: Views, J: np.ndarray) -> np.ndarray:
    """(V, 6, 6): J^T J of each view for J (M, 2, 6)."""
    return per_view(views, np.einsum("mai,maj->mij", J, J))


def mean_pose(T: np.ndarray) -> np.ndarray:
    """(4, 4): the rotation nearest to all of T (N, 4, 4), and the mean position."""
    u, _, vt = np.linalg.svd(T[:, :3, :3].mean(axis=0))
    return se3.make(u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt, T[:, :3, 3].mean(axis=0))
