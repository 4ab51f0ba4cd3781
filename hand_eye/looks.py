"""Which look at the board helps most next: those whose predicted uncertainty of the camera's pose is least.

A look is a pose of the board in the camera. Looks are chosen one by one (A-optimal design, greedily): each candidate's
information about X and Y, for the arm's and the pictures' expected errors, is added to what is known already.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grasp_core import se3
from grasp_core.board import Board
from grasp_core.calibration import Mode
from hand_eye import geometry
from hand_eye.refine import Scatter

ARM = Scatter(1e-3, float(np.deg2rad(0.1)))  # of an arm without a calibration of its own, roughly
ANGLE_AS_LENGTH = 0.5  # m/rad: an error of the angle moves what is seen half a metre away
PRIOR = np.array([0.3] * 3 + [1.0] * 3)  # m, rad: how far off a nominal pose may be
MARGIN = 12  # px that the board stays off the picture's border


@dataclass(frozen=True)
class Range:
    """Where looks may be: distances m, tilts of the board against the view rad, turns about the view rad."""

    distances: tuple[float, ...] = (0.35, 0.45, 0.6)
    tilts: tuple[float, ...] = tuple(np.deg2rad([0.0, 20.0, 40.0]).tolist())
    turns: tuple[float, ...] = tuple(np.deg2rad([-90.0, -60.0, -30.0, 0.0, 30.0, 60.0, 90.0]).tolist())
    directions: int = 8  # of a tilt


def candidates(board: Board, K: np.ndarray, size: tuple[int, int], span: Range, upright: float = 0.0) -> np.ndarray:
    """(N, 4, 4): poses of the board in the camera that show all of it in a picture of `size` (width, height).

    `upright` rad: how the board lies in the picture where a turn is 0.
    """
    grid = np.stack(np.meshgrid(span.distances, span.tilts, span.turns, indexing="ij"), -1).reshape(-1, 3)
    ways = np.arange(span.directions) * 2 * np.pi / span.directions
    rows = [(d, t, r, w) for d, t, r in grid for w in (ways if t > 0 else ways[:1])]
    d, t, r, w = np.array(rows).T
    tilt = se3.exp_so3(t[:, None] * np.stack([np.cos(w), np.sin(w), np.zeros_like(w)], -1))
    turn = se3.exp_so3((r + upright)[:, None] * np.array([0.0, 0.0, 1.0]))
    R = tilt @ turn
    T = se3.make(R, np.stack([0 * d, 0 * d, d], -1) - R @ board.centre)
    return T[in_picture(board, K, size, T)]


def in_picture(board: Board, K: np.ndarray, size: tuple[int, int], T_cam_board: np.ndarray) -> np.ndarray:
    """(N,) bool: whether the whole face of the board is seen, for poses (N, 4, 4)."""
    x, y = board.size
    rim = np.array([[0, 0, 0], [x, 0, 0], [x, y, 0], [0, y, 0]], np.float64)
    points = se3.transform(T_cam_board, rim)
    pixels = points[..., :2] / np.maximum(points[..., 2:], 1e-6) * np.diag(K)[:2] + K[:2, 2]
    inside = (pixels > MARGIN) & (pixels < np.array(size) - 1 - MARGIN) & (points[..., 2:] > 0)
    return inside.all(axis=(1, 2))


@dataclass(frozen=True)
class Design:
    """Values the information of looks, for a mode and rough poses X of the camera and Y of the board."""

    mode: Mode
    X: np.ndarray
    Y: np.ndarray
    arm: Scatter = ARM

    def flange(self, T_cam_board: np.ndarray) -> np.ndarray:
        """(N, 4, 4): T_base_flange of looks (N, 4, 4)."""
        T_parent_other = self.X @ T_cam_board @ se3.inverse(self.Y)
        return se3.inverse(T_parent_other) if self.mode == "eye_in_hand" else T_parent_other

    def information(self, T_cam_board: np.ndarray) -> np.ndarray:
        """(N, 12, 12): what looks (N, 4, 4) tell of small motions of X and Y."""
        base, step, scatter = self.flange(T_cam_board), 1e-6, np.sqrt(np.diag(self.arm.covariance))
        columns = []
        for axis in np.eye(12) * step:
            other = Design(self.mode, geometry.moved(self.X, axis[:6]), geometry.moved(self.Y, axis[6:]))
            columns.append(geometry.motion(base, other.flange(T_cam_board)) / step / scatter)
        J = np.stack(columns, axis=-1)
        return np.einsum("nia,nib->nab", J, J)

    def known(self, T_cam_board: np.ndarray) -> np.ndarray:
        """(12, 12): what is known after looks (N, 4, 4), and before them."""
        prior = np.diag(np.tile(PRIOR, 2) ** -2.0)
        return prior + self.information(T_cam_board).sum(axis=0) if len(T_cam_board) else prior

    def order(self, T_cam_board: np.ndarray, known: np.ndarray, count: int) -> list[int]:
        """The `count` looks of (N, 4, 4) that tell most beside what is `known` (12, 12), each once, the best first."""
        gain = self.information(T_cam_board)
        chosen: list[int] = []
        for _ in range(min(count, len(T_cam_board))):
            cost = expected(known + gain)
            cost[chosen] = np.inf
            chosen.append(int(np.argmin(cost)))
            known = known + gain[chosen[-1]]
        return chosen


def expected(known: np.ndarray) -> np.ndarray:
    """(...,) m: the expected error of X, its angle taken as a length, for information (..., 12, 12)."""
    variance = np.diagonal(np.linalg.inv(known), axis1=-2, axis2=-1)
    return np.sqrt(variance[..., :3].sum(-1) + ANGLE_AS_LENGTH**2 * variance[..., 3:6].sum(-1))
