"""The joint fit of hand-eye and board pose to all views, by scipy's least_squares with robust losses.

Two stages. The first minimises the reprojection error of every corner. It takes all error for error of the pictures,
which lets the few views of an arm that is off by a millimetre pull the result. The second therefore allows the flange
to be off, too: what a view's picture says of the flange's pose, less what the arm said, is weighted by the sum of both
covariances, and how far off the arm is (one scatter for position, one for angle) is estimated from the same views by
restricted maximum likelihood (Patterson and Thompson, Biometrika 58, 1971). With a perfect arm both stages agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares, minimize

from grasp_core import se3
from hand_eye import geometry
from hand_eye.board_poses import BoardPoses
from hand_eye.views import Views

Kinematics = Callable[[np.ndarray], np.ndarray]
"""Joints (V, dof) rad -> T_base_flange (V, 4, 4)."""

CORNER_SCALE = 1.0  # px: errors beyond count linearly
WHITE_SCALE = 3.0  # standard deviations: the same of the second stage
LEAST_POSITION, LEAST_ANGLE = 2e-5, 5e-5  # m, rad: scatter of the best arms; less is luck
ROUNDS = 4  # of fit and scatter
OFFSET_PRIOR = np.deg2rad(1.0)  # rad: how far joint offsets may be expected to be off 0


@dataclass(frozen=True)
class Scatter:
    """How far the arm's poses are off: one standard deviation of a coordinate, m, and of a rotation vector's, rad."""

    position: float = LEAST_POSITION
    angle: float = LEAST_ANGLE

    @property
    def covariance(self) -> np.ndarray:
        """(6, 6)."""
        return np.diag([self.position**2] * 3 + [self.angle**2] * 3)


@dataclass(frozen=True)
class Fit:
    """X, camera in its parent; Y, board in what it is fixed to; `extra` (E,) more unknowns.

    `covariance` (12 + E, 12 + E) of small motions of X and Y in their own frames, and of the extra unknowns; None
    where the views leave something undetermined.
    """

    X: np.ndarray
    Y: np.ndarray
    extra: np.ndarray
    covariance: np.ndarray | None
    scatter: Scatter


def by_pixels(views: Views, X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first stage: X and Y with the least robust reprojection error."""

    def residuals(xi: np.ndarray) -> np.ndarray:
        T = geometry.board_in_camera(views, geometry.moved(X, xi[:6]), geometry.moved(Y, xi[6:]))
        return geometry.errors(views, T).ravel()

    found = least_squares(residuals, np.zeros(12), loss="soft_l1", f_scale=CORNER_SCALE, x_scale="jac", max_nfev=200)
    return geometry.moved(X, found.x[:6]), geometry.moved(Y, found.x[6:])


class Unknowns:
    """What the second stage looks for beside X and Y: nothing, unless a subclass says otherwise."""

    count = 0
    prior = np.inf  # standard deviation around 0

    def __init__(self, views: Views, poses: BoardPoses) -> None:
        self.views, self.poses = views, poses

    def flange(self, extra: np.ndarray) -> np.ndarray:
        """(V, 4, 4) as the arm tells it."""
        return self.views.T_base_flange

    def seen(self, extra: np.ndarray) -> np.ndarray:
        """(V, 4, 4): the board in the camera."""
        return self.poses.T_cam_board


class Scale(Unknowns):
    """The board is larger by 1 + extra: it then stands farther away by as much."""

    count = 1

    def seen(self, extra: np.ndarray) -> np.ndarray:
        """See the base class."""
        T = self.poses.T_cam_board.copy()
        T[:, :3, 3] *= 1 + extra[0]
        return T


class Zoom(Unknowns):
    """The focal lengths are larger by 1 + extra; `zoomed` are the poses with 1 + STEP."""

    count = 1
    STEP = 0.01

    def __init__(self, views: Views, poses: BoardPoses, zoomed: np.ndarray) -> None:
        super().__init__(views, poses)
        self._way = geometry.motion(poses.T_cam_board, zoomed) / self.STEP

    def seen(self, extra: np.ndarray) -> np.ndarray:
        """See the base class."""
        return geometry.moved(self.poses.T_cam_board, extra[0] * self._way)


class JointOffsets(Unknowns):
    """Every joint but the first and the last reads too little by its offset: those two cannot be told from X and Y."""

    prior = OFFSET_PRIOR

    def __init__(self, views: Views, poses: BoardPoses, kinematics: Kinematics) -> None:
        super().__init__(views, poses)
        self.count = views.joints.shape[1] - 2
        self._kinematics = kinematics

    def flange(self, extra: np.ndarray) -> np.ndarray:
        """See the base class."""
        return self._kinematics(self.views.joints + np.array([0.0, *extra, 0.0]))


def by_poses(unknowns: Unknowns, X: np.ndarray, Y: np.ndarray) -> Fit:
    """The second stage: X, Y and more unknowns, with the arm's scatter estimated from the same views."""
    views, extra = unknowns.views, np.zeros(unknowns.count)
    scatter = Scatter()
    for _ in range(ROUNDS):
        pictures = _picture_covariance(unknowns, X, Y)
        off = _off(unknowns, X, Y, extra)
        scatter = _scatter(off, pictures, 12 + unknowns.count)
        X, Y, extra, slope = _weighted(unknowns, X, Y, extra, pictures + scatter.covariance)
    return Fit(X, Y, extra, _inverse(slope, len(views)), scatter)


def _off(unknowns: Unknowns, X: np.ndarray, Y: np.ndarray, extra: np.ndarray) -> np.ndarray:
    """(V, 6): the motion from the flange where the arm says it is to where the pictures say."""
    flange = geometry.flange_from_board(unknowns.views, X, Y, unknowns.seen(extra))
    return geometry.motion(unknowns.flange(extra), flange)


def _picture_covariance(unknowns: Unknowns, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(V, 6, 6) of the flange's pose as the pictures tell it, from the scatter of their corners."""
    views, poses = unknowns.views, unknowns.poses
    flange = geometry.flange_from_board(views, X, Y, poses.T_cam_board)

    def errors(xi: np.ndarray) -> np.ndarray:
        return geometry.errors(views, geometry.board_in_camera(views, X, Y, geometry.moved(flange, xi)))

    known = geometry.information(views, geometry.derivative(errors, views))
    return poses.sigma**2 * np.linalg.inv(known + 1e-9 * np.eye(6))


def _scatter(off: np.ndarray, pictures: np.ndarray, unknowns: int) -> Scatter:
    """The likeliest scatter of the arm behind `off` (V, 6), beside the pictures' (V, 6, 6)."""
    freedom = max(0.1, 1.0 - unknowns / off.size)

    def cost(logs: np.ndarray) -> float:
        W = pictures + Scatter(*np.exp(logs)).covariance
        fit = np.einsum("vi,vij,vj->", off, np.linalg.inv(W), off)
        return float(fit + freedom * np.linalg.slogdet(W)[1].sum())

    least, most = np.log([LEAST_POSITION, LEAST_ANGLE]), np.log([0.05, 0.2])
    start = np.log(np.maximum([off[:, :3].std(), off[:, 3:].std()], 1e-6))
    found = minimize(cost, np.clip(start, least, most), method="L-BFGS-B", bounds=list(zip(least, most, strict=True)))
    return Scatter(*np.exp(found.x).tolist())


def _weighted(
    unknowns: Unknowns, X: np.ndarray, Y: np.ndarray, extra: np.ndarray, W: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X, Y and extra for covariances W (V, 6, 6), and the derivative of the whitened residuals."""
    whiten = np.linalg.inv(np.linalg.cholesky(W))

    def residuals(x: np.ndarray) -> np.ndarray:
        off = _off(unknowns, geometry.moved(X, x[:6]), geometry.moved(Y, x[6:12]), x[12:])
        white = np.einsum("vij,vj->vi", whiten, off).ravel()
        return np.concatenate([white, x[12:] / unknowns.prior]) if np.isfinite(unknowns.prior) else white

    start = np.concatenate([np.zeros(12), extra])
    found = least_squares(residuals, start, loss="soft_l1", f_scale=WHITE_SCALE, x_scale="jac", max_nfev=200)
    x = found.x
    return geometry.moved(X, x[:6]), geometry.moved(Y, x[6:12]), x[12:], found.jac


def _inverse(slope: np.ndarray, views: int) -> np.ndarray | None:
    """Covariance of the unknowns; None where some direction is not determined by the views."""
    information = slope.T @ slope
    scale = np.sqrt(np.diag(information))
    if views < 3 or not (scale > 0).all():
        return None
    scaled = information / np.outer(scale, scale)
    if np.linalg.eigvalsh(scaled)[0] < 1e-12:
        return None
    return np.linalg.inv(scaled) / np.outer(scale, scale)


def rotation_and_position(covariance: np.ndarray) -> tuple[float, float]:
    """Standard deviations of a pose from the covariance (6, 6) of its small motions: position m, angle rad."""
    return float(np.sqrt(np.trace(covariance[:3, :3]))), float(np.sqrt(np.trace(covariance[3:, 3:])))


def view_errors(views: Views, X: np.ndarray, Y: np.ndarray, poses: BoardPoses) -> tuple[np.ndarray, np.ndarray]:
    """(V,) m and (V,) rad: between where the board was seen and where it should have been, at its centre."""
    should = geometry.board_in_camera(views, X, Y)
    centre = views.board.mean(axis=0)
    apart = se3.transform(poses.T_cam_board, centre[None]) - se3.transform(should, centre[None])
    return np.linalg.norm(apart[:, 0], axis=1), se3.rotation_angle(poses.T_cam_board[:, :3, :3], should[:, :3, :3])
