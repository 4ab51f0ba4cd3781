"""How well a calibration predicts: where the corners of a board are, seen from poses that it was not made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grasp_core import se3
from grasp_core.errors import InputError
from hand_eye import board_poses
from hand_eye.views import Views

FEWEST = 3
GOOD_MM = 2.5


@dataclass(frozen=True)
class Check:
    """What views with a known camera say of the board that does not move.

    Attributes:
        mm: (V,) RMS distance of the board's corners, by each view, from where all views together have them.
        places: (B, 3) m: the corners in what the board is fixed to. Y: (4, 4) the board there.
    """

    mm: np.ndarray
    places: np.ndarray
    Y: np.ndarray

    @property
    def rms(self) -> float:
        """mm: RMS over all views and corners."""
        return float(np.sqrt((self.mm**2).mean()))

    @property
    def good(self) -> bool:
        """Whether the error is what a trustworthy calibration leaves."""
        return self.rms <= GOOD_MM

    def __str__(self) -> str:
        lines = [f"  view {i + 1}: corners off by {mm:.2f} mm" for i, mm in enumerate(self.mm)]
        lines.append(f"corners of the board, seen from {len(self.mm)} poses, scatter by {self.rms:.2f} mm (RMS)")
        if not self.good:
            lines.append(f"more than {GOOD_MM:g} mm: calibrate again; if the board lay still, the mounting has changed")
        return "\n".join(lines)


def check(views: Views, X: np.ndarray) -> Check:
    """The scatter of the corners for a camera at X (4, 4) in its parent.

    Raises:
        InputError: fewer than three views: two that are nearly the same would agree with any X.
    """
    if len(views) < FEWEST:
        raise InputError(f"{len(views)} views: {FEWEST} at least are needed to check a calibration")
    T_cam_board = board_poses.fit(views, board_poses.first_guess(views)).T_cam_board
    T_other_board = se3.inverse(views.T_parent_other) @ X @ T_cam_board
    places = se3.transform(T_other_board, views.board)
    middle = places.mean(axis=0)
    unbiased = np.sqrt(len(views) / (len(views) - 1))
    mm = np.sqrt(((places - middle) ** 2).sum(axis=-1).mean(axis=-1)) * unbiased * 1e3
    return Check(mm, middle, _rigid_fit(views.board, middle))


def _rigid_fit(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(4, 4) that takes points (B, 3) to places (B, 3) with the least squares (Kabsch)."""
    a, b = points.mean(axis=0), places.mean(axis=0)
    u, _, vt = np.linalg.svd((points - a).T @ (places - b))
    R = vt.T @ np.diag([1.0, 1.0, np.linalg.det(vt.T @ u.T)]) @ u.T
    return se3.make(R, b - R @ a)


def touch_poses(T_base_board: np.ndarray, corners: np.ndarray, height: float, T_base_tcp: np.ndarray) -> np.ndarray:
    """(5, 4, 4) grasp-frame poses with the fingertips `height` m above the outermost corners and the middle one.

    The approach points into the board; of the turns about it the one nearest to the present T_base_tcp is taken.
    """
    middle = corners[:, :2].mean(axis=0)
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    chosen = [int(np.argmax((corners[:, :2] - middle) @ s)) for s in signs]
    chosen.append(int(np.argmin(np.linalg.norm(corners[:, :2] - middle, axis=1))))
    down = T_base_board[:3, 2]
    x = T_base_tcp[:3, 0] - down * (T_base_tcp[:3, 0] @ down)
    if np.linalg.norm(x) < 1e-3:
        raise InputError("the gripper's closing direction points into the board: turn the gripper first")
    x /= np.linalg.norm(x)
    R = np.stack([x, np.cross(down, x), down], axis=1)
    return se3.make(R, se3.transform(T_base_board, corners[chosen]) - height * down)
