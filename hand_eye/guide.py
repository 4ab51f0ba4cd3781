"""What the views taken so far still lack, in words for somebody who moves an arm by hand."""

from __future__ import annotations

import numpy as np

from grasp_core import se3

TILT = np.deg2rad(15.0)  # of the board against the picture, to each side
TURN = np.deg2rad(35.0)  # about the view, each way
REACH = 1.25  # farthest distance over the nearest
SIDES = {"left": (-1, 0), "right": (1, 0), "above": (0, -1), "below": (0, 1)}  # in the picture


def missing(T_cam_board: np.ndarray, centre: np.ndarray) -> list[str]:
    """What looks (N, 4, 4) at a board, whose face has its `centre` (3,) there, do not cover; empty: enough."""
    if len(T_cam_board) == 0:
        return ["a first view: the whole board in the picture, as large as it fits"]
    out = []
    out += [f"the board seen from {side}, tilted by {_deg(TILT)} or more" for side in _unseen_sides(T_cam_board)]
    turns = turned(T_cam_board)
    for sign, way in ((1, "clockwise"), (-1, "anticlockwise")):
        if (sign * turns).max() < TURN:
            out.append(f"the board turned {way} in the picture by {_deg(TURN)} or more, against the first view")
    distance = np.linalg.norm(se3.transform(T_cam_board, centre[None])[:, 0], axis=1)
    if distance.max() < REACH * distance.min():
        out.append(
            f"another distance: nearer than {distance.max() / REACH:.2f} m or farther than "
            f"{distance.min() * REACH:.2f} m"
        )
    return out


def turned(T_cam_board: np.ndarray) -> np.ndarray:
    """(N,) rad: how far the board's rows are turned in the picture, clockwise, against the first look."""
    angle = np.arctan2(T_cam_board[:, 1, 0], T_cam_board[:, 0, 0])
    return np.angle(np.exp(1j * (angle - angle[0])))


def _unseen_sides(T_cam_board: np.ndarray) -> list[str]:
    """Sides from which no look sees the board: where its normal points, from its face."""
    normal = -T_cam_board[:, :3, 2]
    return [side for side, way in SIDES.items() if (normal[:, :2] @ way).max() < np.sin(TILT)]


def _deg(rad: float) -> str:
    return f"{np.rad2deg(rad):.0f} deg"
