"""OpenCV's closed-form solvers: where a refinement starts, and a check on it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from grasp_core import se3
from grasp_core.errors import InputError
from hand_eye import geometry
from hand_eye.views import Views

HAND_EYE = {
    "tsai": cv2.CALIB_HAND_EYE_TSAI,
    "park": cv2.CALIB_HAND_EYE_PARK,
    "horaud": cv2.CALIB_HAND_EYE_HORAUD,
    "andreff": cv2.CALIB_HAND_EYE_ANDREFF,
    "daniilidis": cv2.CALIB_HAND_EYE_DANIILIDIS,
}
ROBOT_WORLD = {
    "robot_world_shah": cv2.CALIB_ROBOT_WORLD_HAND_EYE_SHAH,
    "robot_world_li": cv2.CALIB_ROBOT_WORLD_HAND_EYE_LI,
}


@dataclass(frozen=True)
class Candidate:
    """A solver's answer: X, the camera in its parent; Y, the board in what it is fixed to; RMS error in px."""

    name: str
    X: np.ndarray
    Y: np.ndarray
    rms: float


def candidates(views: Views, T_cam_board: np.ndarray) -> list[Candidate]:
    """The answers of all solvers that have one, the best first; T_cam_board (V, 4, 4).

    Raises:
        InputError: no solver has an answer.
    """
    found, failed = [], []
    for name in (*HAND_EYE, *ROBOT_WORLD):
        try:
            found.append(_solve(name, views, T_cam_board))
        except (cv2.error, InputError) as error:
            failed.append(f"{name}: {' '.join(str(error).split())[:80]}")
    if not found:
        raise InputError(f"no solver has an answer for these {len(views)} views ({'; '.join(failed)})")
    return sorted(found, key=lambda c: c.rms)


def _solve(name: str, views: Views, T_cam_board: np.ndarray) -> Candidate:
    T_other_parent = se3.inverse(views.T_parent_other)
    if name in HAND_EYE:
        R, t = cv2.calibrateHandEye(*_split(T_other_parent), *_split(T_cam_board), method=HAND_EYE[name])
        X = _rigid(R, t, name)
    else:
        _, _, R, t = cv2.calibrateRobotWorldHandEye(
            *_split(T_cam_board), *_split(views.T_parent_other), method=ROBOT_WORLD[name]
        )
        X = se3.inverse(_rigid(R, t, name))
    Y = geometry.mean_pose(T_other_parent @ X @ T_cam_board)
    error = geometry.errors(views, geometry.board_in_camera(views, X, Y))
    return Candidate(name, X, Y, float(np.sqrt((error**2).mean())))


def _split(T: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return list(T[:, :3, :3]), list(T[:, :3, 3])


def _rigid(R: np.ndarray, t: np.ndarray, name: str) -> np.ndarray:
    """A transform of a solver's answer; some leave the rotation a little skewed."""
    if not (np.isfinite(R).all() and np.isfinite(t).all()) or np.linalg.det(R) <= 0:
        raise InputError(f"{name}: not a rigid transform")
    u, _, vt = np.linalg.svd(R)
    return se3.check(se3.make(u @ vt, t[:, 0]), name)
