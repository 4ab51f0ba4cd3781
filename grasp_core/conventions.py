"""Other people's grasp conventions, to and from ours (z approach, x closing, origin midway between the fingertips).

GraspNet (graspnetAPI, ``grasp.py``): 17 floats ``score, width, height, depth, R(9, row-major), t(3), object_id`` with
x = approach, y = closing direction, z = jaw height, t at the seed point, fingertips ``depth`` ahead of it along x.
VGN (ethz-asl/vgn, ``grasp.py``, ``simulation.py``): z = approach, y = closing (the Panda hand's axes); origin at the
hand's TCP. GraspGen (NVlabs/GraspGen, gripper description): z = approach, x = closing; origin at the gripper's base,
``base_to_tip`` behind the fingertips.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grasp_core import se3
from grasp_core.errors import InputError
from grasp_core.grasps import Grasps

GRASPNET_HEIGHT = 0.02  # m: the fixed jaw height of GraspNet-1Billion
# columns: our x, y, z in GraspNet's axes (x = its y, y = its z, z = its x)
_GRASPNET_FROM_OURS = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
# our x (closing) is VGN's y, our y is VGN's -x
_VGN_FROM_OURS = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def to_graspnet(grasps: Grasps) -> NDArray[np.float64]:
    """The (N, 17) array of graspnetAPI; track_id goes to its object_id column."""
    R = grasps.R.astype(np.float64)
    seed = grasps.t - grasps.depth[:, None].astype(np.float64) * R[:, :, 2]
    out = np.empty((len(grasps), 17))
    out[:, 0], out[:, 1] = grasps.score, grasps.width
    out[:, 2], out[:, 3] = GRASPNET_HEIGHT, grasps.depth
    out[:, 4:13] = (R @ _GRASPNET_FROM_OURS.T).reshape(-1, 9)
    out[:, 13:16], out[:, 16] = seed, grasps.track_id
    return out


def from_graspnet(array: ArrayLike, detector: str = "graspnet") -> Grasps:
    """Grasps from an (N, 17) array of graspnetAPI; stability is unknown there and set to 1.

    Raises:
        InputError: wrong shape, NaN, or rows whose rotation is none.
    """
    array = np.asarray(array, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 17:
        raise InputError(f"GraspNet array: expected shape (N, 17), got {array.shape}")
    R = array[:, 4:13].reshape(-1, 3, 3)
    bad = np.flatnonzero(~se3.is_rotation(R, tolerance=1e-3) | ~np.isfinite(array).all(axis=1))
    if len(bad):
        raise InputError(f"GraspNet array: row {bad[0]} is not finite or its R is no rotation ({len(bad)} such rows)")
    ours = R @ _GRASPNET_FROM_OURS
    tips = array[:, 13:16] + array[:, 3:4] * ours[:, :, 2]
    return Grasps.create(
        ours, tips, array[:, 1], array[:, 3], array[:, 0], track_id=array[:, 16].astype(np.int32), detector=detector
    )


def to_vgn(grasps: Grasps, tcp_to_tip: float = 0.0) -> NDArray[np.float64]:
    """Poses (N, 4, 4) in VGN's axes, origin ``tcp_to_tip`` m behind the fingertips."""
    back = se3.make(_VGN_FROM_OURS.T, [0.0, 0.0, -tcp_to_tip])
    return grasps.matrices() @ back


def from_vgn(
    poses: ArrayLike, width: ArrayLike, score: ArrayLike = 0.0, tcp_to_tip: float = 0.0, detector: str = "vgn"
) -> Grasps:
    """Grasps from VGN poses (N, 4, 4), openings and qualities."""
    back = se3.make(_VGN_FROM_OURS.T, [0.0, 0.0, -tcp_to_tip])
    T = _checked(poses, "VGN poses") @ se3.inverse(back)
    return Grasps.create(T[:, :3, :3], T[:, :3, 3], np.asarray(width), score=np.asarray(score), detector=detector)


def to_graspgen(grasps: Grasps, base_to_tip: float) -> NDArray[np.float64]:
    """Poses (N, 4, 4) of the gripper's base, ``base_to_tip`` m behind the fingertips."""
    return grasps.matrices() @ se3.make(np.eye(3), [0.0, 0.0, -base_to_tip])


def from_graspgen(
    poses: ArrayLike, base_to_tip: float, width: ArrayLike, score: ArrayLike = 0.0, detector: str = "graspgen"
) -> Grasps:
    """Grasps from poses (N, 4, 4) of the gripper's base."""
    T = _checked(poses, "GraspGen poses") @ se3.make(np.eye(3), [0.0, 0.0, base_to_tip])
    return Grasps.create(T[:, :3, :3], T[:, :3, 3], np.asarray(width), score=np.asarray(score), detector=detector)


def _checked(poses: ArrayLike, what: str) -> NDArray[np.float64]:
    poses = np.asarray(poses, dtype=np.float64)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4):
        raise InputError(f"{what}: expected shape (N, 4, 4), got {poses.shape}")
    if not np.isfinite(poses).all() or not se3.is_rotation(poses[:, :3, :3], tolerance=1e-3).all():
        raise InputError(f"{what}: not finite, or a rotation is not orthonormal")
    return poses
