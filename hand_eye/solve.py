"""From views to the camera's pose: closed forms, joint refinement, and views that do not fit left out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grasp_core import se3
from grasp_core.errors import InputError
from hand_eye import board_poses, geometry, linear, refine
from hand_eye.board_poses import BoardPoses
from hand_eye.linear import Candidate
from hand_eye.views import Views

FEWEST_VIEWS = 3  # two turns about axes that are not parallel
LEAST_TURN = 3.0  # deg, RMS about the second axis: with less the answer is noise
OUTLIER = 3.0  # times the median error of all views: 1 in 10^4 of normal ones
LEAST_MM, LEAST_DEG = 2.0, 0.3  # a view that is off by less is never left out
MOST_LEFT_OUT = 1 / 3
SAME_RMS = 1.2  # of the two poses that a flat board may have, the expected one unless the other is so much better


@dataclass(frozen=True)
class Solution:
    """What the views say.

    Attributes:
        views: all of them, without wrong corners. used: (V,) bool. poses: of the board, by each view alone.
        X: (4, 4) camera in its parent. Y: (4, 4) board in what it is fixed to. fit: with its covariance.
        mm, deg: (V,) error of every view at the board's centre. pixels: RMS error of the used corners, px.
        candidates: the closed forms, best first.
        joint_offsets: (dof,) rad, or None where they were not asked for.
    """

    views: Views
    used: np.ndarray
    poses: BoardPoses
    fit: refine.Fit
    mm: np.ndarray
    deg: np.ndarray
    pixels: float
    candidates: tuple[Candidate, ...]
    joint_offsets: np.ndarray | None = None

    @property
    def X(self) -> np.ndarray:
        """(4, 4): the camera in its parent."""
        return self.fit.X

    @property
    def Y(self) -> np.ndarray:
        """(4, 4): the board in what it is fixed to."""
        return self.fit.Y

    @property
    def residual(self) -> tuple[float, float]:
        """RMS of the used views' errors: mm, deg."""
        mm, deg = self.mm[self.used], self.deg[self.used]
        return float(np.sqrt((mm**2).mean())), float(np.sqrt((deg**2).mean()))

    @property
    def uncertainty(self) -> tuple[float, float]:
        """One standard deviation of X: mm, deg; infinite where something is not determined."""
        if self.fit.covariance is None:
            return np.inf, np.inf
        position, angle = refine.rotation_and_position(self.fit.covariance[:6, :6])
        return position * 1e3, float(np.rad2deg(angle))


def solve(views: Views, kinematics: refine.Kinematics | None = None) -> Solution:
    """The best pose of the camera. `kinematics`: also look for joint offsets, for which the views need joints.

    Raises:
        InputError: fewer than three views, turns about one axis only, or none of the solvers has an answer.
    """
    if len(views) < FEWEST_VIEWS:
        raise InputError(f"{len(views)} views: expected {FEWEST_VIEWS} at least")
    turns = turns_deg(views)
    if turns[1] < LEAST_TURN:
        raise InputError(
            f"the flange turned by {turns[0]:.1f} deg (RMS) about one axis, and by {turns[1]:.1f} deg about a second "
            "one: turn about two axes at least, by 20 deg and more; shifts alone tell nothing"
        )
    if kinematics is not None and views.joints.shape[1] < 3:
        raise InputError("joint offsets need the joint positions of every view, of three joints or more")
    views, poses = _clean(views)
    found = linear.candidates(views, poses.T_cam_board)
    used = np.ones(len(views), bool)
    X, Y = found[0].X, found[0].Y
    for _ in range(3):
        X, Y = refine.by_pixels(views.keep(used), X, Y)
        poses = _expected(views, poses, geometry.board_in_camera(views, X, Y))
        fits = _fitting(views, X, Y, poses)
        if (fits == used).all():
            break
        used = fits
    kept, kept_poses = views.keep(used), replace(poses, T_cam_board=poses.T_cam_board[used], rms=poses.rms[used])
    plain = refine.Unknowns(kept, kept_poses)
    unknowns = plain if kinematics is None else refine.JointOffsets(kept, kept_poses, kinematics)
    fit = refine.by_poses(unknowns, X, Y)
    offsets = None
    told = views
    if kinematics is not None:
        offsets = np.array([0.0, *fit.extra, 0.0])
        told = replace(views, T_base_flange=kinematics(views.joints + offsets))
    metres, rad = refine.view_errors(told, fit.X, fit.Y, poses)
    error = geometry.errors(told, geometry.board_in_camera(told, fit.X, fit.Y))[used[views.view]]
    pixels = float(np.sqrt((error**2).mean()))
    return Solution(views, used, poses, fit, metres * 1e3, np.rad2deg(rad), pixels, tuple(found), offsets)


def turns_deg(views: Views) -> np.ndarray:
    """(3,) RMS of the flange's turns about its three principal axes around the mean, the largest first."""
    R = views.T_base_flange[:, :3, :3]
    turns = se3.log_so3(geometry.mean_pose(views.T_base_flange)[:3, :3].T @ R)
    return np.rad2deg(np.linalg.svd(turns, compute_uv=False)[:3]) / np.sqrt(len(views))


def _clean(views: Views) -> tuple[Views, BoardPoses]:
    """Without the corners that do not fit the others of their view."""
    poses = board_poses.fit(views, board_poses.first_guess(views))
    wrong = board_poses.wrong_corners(views, poses)
    if not wrong.any():
        return views, poses
    views = views.keep_corners(~wrong)
    return views, board_poses.fit(views, poses.T_cam_board)


def _expected(views: Views, poses: BoardPoses, should: np.ndarray) -> BoardPoses:
    """A flat board has two poses that look almost alike: of them the one nearer to where it should be."""
    again = board_poses.fit(views, should)
    take = again.rms <= SAME_RMS * poses.rms
    T = np.where(take[:, None, None], again.T_cam_board, poses.T_cam_board)
    return board_poses.fit(views, T)


def _fitting(views: Views, X: np.ndarray, Y: np.ndarray, poses: BoardPoses) -> np.ndarray:
    """(V,) bool: views that fit the others; all, when too many would have to go for that to mean anything."""
    metres, rad = refine.view_errors(views, X, Y, poses)
    mm, deg = metres * 1e3, np.rad2deg(rad)
    fits = (mm <= max(LEAST_MM, OUTLIER * np.median(mm))) & (deg <= max(LEAST_DEG, OUTLIER * np.median(deg)))
    enough = max(FEWEST_VIEWS, (1 - MOST_LEFT_OUT) * len(views))
    return fits if fits.sum() >= enough else np.ones(len(views), bool)
