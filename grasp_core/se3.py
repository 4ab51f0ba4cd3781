"""Rigid transforms as 4x4 float64 matrices, single or batched over leading dimensions.

A transform is named ``T_a_b``: it takes coordinates in frame b to frame a. Quaternions are (x, y, z, w) as in ROS.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from grasp_core.errors import InputError

Matrix = NDArray[np.float64]


def make(rotation: ArrayLike, translation: ArrayLike) -> Matrix:
    """Build transforms from ``rotation`` (..., 3, 3) and ``translation`` (..., 3) in m; returns (..., 4, 4)."""
    rotation = np.asarray(rotation, dtype=np.float64)
    translation = np.asarray(translation, dtype=np.float64)
    shape = np.broadcast_shapes(rotation.shape[:-2], translation.shape[:-1])
    out = np.zeros((*shape, 4, 4))
    out[..., :3, :3] = rotation
    out[..., :3, 3] = translation
    out[..., 3, 3] = 1.0
    return out


def inverse(transform: ArrayLike) -> Matrix:
    """Inverse of rigid transforms (..., 4, 4)."""
    transform = np.asarray(transform, dtype=np.float64)
    rotation_t = np.swapaxes(transform[..., :3, :3], -1, -2)
    return make(rotation_t, -np.einsum("...ij,...j->...i", rotation_t, transform[..., :3, 3]))


def transform(T_a_b: ArrayLike, points: ArrayLike) -> NDArray:
    """Take ``points`` (..., N, 3) in b to a; keeps float32 points float32."""
    points = np.asarray(points)
    matrix = np.asarray(T_a_b, dtype=points.dtype if points.dtype == np.float32 else np.float64)
    return points @ np.swapaxes(matrix[..., :3, :3], -1, -2) + matrix[..., None, :3, 3]


def rotation_angle(rotation_a: ArrayLike, rotation_b: ArrayLike) -> NDArray[np.float64]:
    """Angle in rad between rotations (..., 3, 3); accurate near 0 and pi."""
    relative = np.swapaxes(np.asarray(rotation_a, np.float64), -1, -2) @ np.asarray(rotation_b, np.float64)
    cosine = (np.trace(relative, axis1=-2, axis2=-1) - 1.0) / 2.0
    skew = np.stack(
        [
            relative[..., 2, 1] - relative[..., 1, 2],
            relative[..., 0, 2] - relative[..., 2, 0],
            relative[..., 1, 0] - relative[..., 0, 1],
        ],
        axis=-1,
    )
    return np.arctan2(np.linalg.norm(skew, axis=-1) / 2.0, cosine)


def is_rotation(rotation: ArrayLike, tolerance: float = 1e-4) -> NDArray[np.bool_]:
    """Whether (..., 3, 3) matrices are finite, orthonormal within ``tolerance`` and right-handed."""
    rotation = np.asarray(rotation, dtype=np.float64)
    finite = np.isfinite(rotation).all(axis=(-2, -1))
    safe = np.where(finite[..., None, None], rotation, np.eye(3))
    error = np.abs(np.swapaxes(safe, -1, -2) @ safe - np.eye(3)).max(axis=(-2, -1))
    return finite & (error <= tolerance) & (np.linalg.det(safe) > 0.0)


def quat_from_matrix(rotation: ArrayLike) -> NDArray[np.float64]:
    """Quaternions (..., 4) as x, y, z, w with w >= 0 from rotations (..., 3, 3)."""
    rotation = np.asarray(rotation, dtype=np.float64)
    flat = Rotation.from_matrix(rotation.reshape(-1, 3, 3)).as_quat(canonical=True)
    return flat.reshape(*rotation.shape[:-2], 4)


def matrix_from_quat(quaternion: ArrayLike, tolerance: float = 1e-2) -> Matrix:
    """Rotations (..., 3, 3) from quaternions (..., 4) as x, y, z, w.

    Raises:
        InputError: a quaternion is not finite or its norm differs from 1 by more than ``tolerance``.
    """
    quaternion = np.asarray(quaternion, dtype=np.float64)
    norm = np.linalg.norm(quaternion, axis=-1)
    if not np.all(np.isfinite(norm)) or np.any(np.abs(norm - 1.0) > tolerance):
        raise InputError(f"quaternion is not a unit quaternion (norm {norm}); expected x, y, z, w with norm 1")
    flat = Rotation.from_quat(quaternion.reshape(-1, 4)).as_matrix()
    return flat.reshape(*quaternion.shape[:-1], 3, 3)


def rpy_matrix(roll: float, pitch: float, yaw: float) -> Matrix:
    """Rotation of REP-103 roll, pitch, yaw in rad about the fixed axes x, y, z."""
    return Rotation.from_euler("xyz", [roll, pitch, yaw]).as_matrix()


def exp_so3(vector: ArrayLike) -> Matrix:
    """Rotations (..., 3, 3) from rotation vectors (..., 3) in rad."""
    vector = np.asarray(vector, dtype=np.float64)
    return Rotation.from_rotvec(vector.reshape(-1, 3)).as_matrix().reshape(*vector.shape[:-1], 3, 3)


def log_so3(rotation: ArrayLike) -> NDArray[np.float64]:
    """Rotation vectors (..., 3) in rad of rotations (..., 3, 3)."""
    rotation = np.asarray(rotation, dtype=np.float64)
    return Rotation.from_matrix(rotation.reshape(-1, 3, 3)).as_rotvec().reshape(*rotation.shape[:-2], 3)


def interpolate(T_0: ArrayLike, T_1: ArrayLike, s: ArrayLike) -> Matrix:
    """Between two transforms at fractions ``s`` (K,) or scalar: linear in translation, geodesic in rotation."""
    T_0, T_1 = np.asarray(T_0, np.float64), np.asarray(T_1, np.float64)
    s = np.asarray(s, dtype=np.float64)
    turn = log_so3(T_0[:3, :3].T @ T_1[:3, :3])
    rotation = T_0[:3, :3] @ exp_so3(s[..., None] * turn)
    translation = T_0[:3, 3] + s[..., None] * (T_1[:3, 3] - T_0[:3, 3])
    return make(rotation, translation)


def look_at(eye: ArrayLike, target: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0)) -> Matrix:
    """Pose of an optical frame (z forward, x right, y down) at ``eye`` that looks at ``target``, all (3,) in m.

    Raises:
        InputError: eye and target coincide.
    """
    eye, target, up = (np.asarray(v, np.float64) for v in (eye, target, up))
    forward = target - eye
    length = np.linalg.norm(forward)
    if length < 1e-9:
        raise InputError("look_at: eye and target are the same point")
    forward /= length
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 1e-6:  # looking along up: any horizontal right will do
        right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    return make(np.stack([right, np.cross(forward, right), forward], axis=1), eye)


def check(T: ArrayLike, what: str) -> Matrix:
    """Return ``T`` as a float64 4x4 transform.

    Raises:
        InputError: wrong shape, not finite, or not rigid; names ``what``.
    """
    matrix = np.asarray(T, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise InputError(f"{what}: expected a 4x4 transform, got shape {matrix.shape}")
    if not np.isfinite(matrix).all() or not is_rotation(matrix[:3, :3]):
        raise InputError(f"{what}: not a rigid transform (NaN, or the rotation is not orthonormal)")
    return matrix
