"""Poses, transforms and regions <-> 4x4 matrices and boxes."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, TransformStamped, Vector3
from seegrasp_msgs.msg import Region
from tf2_msgs.msg import TFMessage

from grasp_core import se3
from grasp_core.cell import Box
from grasp_core.errors import InputError
from grasp_ros.conversions.stamps import ns_to_stamp

_UNIT_TOLERANCE = 1e-3


def rotations_from_quats(quats: np.ndarray, what: str) -> np.ndarray:
    """(..., 3, 3) rotations of (..., 4) xyzw quaternions; InputError on NaN or a norm off 1 by more than 0.001."""
    if not np.isfinite(quats).all():
        raise InputError(f"{what} has a quaternion with NaN or inf: expected four finite numbers")
    norm = np.linalg.norm(quats, axis=-1, keepdims=True)
    worst = np.abs(norm - 1.0).max(initial=0.0)
    if worst > _UNIT_TOLERANCE:
        raise InputError(
            f"{what} has a quaternion that is not of unit length (off by {worst:.3g}): normalise it; "
            "all zeros means that the orientation was never set (identity is w=1)"
        )
    return se3.matrix_from_quat(quats / norm)


def _to_matrix(position: Point | Vector3, rotation: Quaternion, what: str) -> np.ndarray:
    t = np.array([position.x, position.y, position.z])
    if not np.isfinite(t).all():
        raise InputError(f"{what} has position {t.tolist()}: expected finite numbers in m")
    quat = np.array([rotation.x, rotation.y, rotation.z, rotation.w])
    return se3.make(rotations_from_quats(quat, what), t)


def _quat(T: np.ndarray, what: str) -> Quaternion:
    if T.shape != (4, 4) or not np.isfinite(T).all() or not np.all(se3.is_rotation(T[:3, :3])):
        raise InputError(f"{what}: expected a finite 4x4 rigid transform, got {T.tolist()}")
    x, y, z, w = (float(v) for v in se3.quat_from_matrix(T[:3, :3]))
    return Quaternion(x=x, y=y, z=z, w=w)


def pose_to_matrix(pose: Pose, what: str = "pose") -> np.ndarray:
    """(4, 4) float64; InputError on NaN or a quaternion that is not of unit length. `what` names it in the error."""
    return _to_matrix(pose.position, pose.orientation, what)


def matrix_to_pose(T: np.ndarray) -> Pose:
    """Pose of a (4, 4) rigid transform; InputError when it is none."""
    T = np.asarray(T, np.float64)
    quat = _quat(T, "pose")
    x, y, z = (float(v) for v in T[:3, 3])
    return Pose(position=Point(x=x, y=y, z=z), orientation=quat)


def transform_to_matrix(transform: Transform, what: str = "transform") -> np.ndarray:
    """(4, 4) float64; InputError on NaN or a quaternion that is not of unit length."""
    return _to_matrix(transform.translation, transform.rotation, what)


def matrix_to_transform(T: np.ndarray) -> Transform:
    """Transform of a (4, 4) rigid transform; InputError when it is none."""
    T = np.asarray(T, np.float64)
    quat = _quat(T, "transform")
    x, y, z = (float(v) for v in T[:3, 3])
    return Transform(translation=Vector3(x=x, y=y, z=z), rotation=quat)


def transforms_to_tf(transforms: list[tuple[str, str, np.ndarray]], stamp_ns: int) -> TFMessage:
    """A TFMessage of (parent, child, T_parent_child), all with the same stamp; InputError when one is not rigid."""
    msg = TFMessage()
    if not transforms:
        return msg
    T = np.array([matrix for _, _, matrix in transforms], np.float64)
    if T.shape[1:] != (4, 4) or not np.isfinite(T).all() or not np.all(se3.is_rotation(T[:, :3, :3])):
        raise InputError(f"transforms {[(p, c) for p, c, _ in transforms]}: expected finite 4x4 rigid transforms")
    stamp = ns_to_stamp(stamp_ns)
    rows = zip(transforms, T[:, :3, 3].tolist(), se3.quat_from_matrix(T[:, :3, :3]).tolist(), strict=True)
    for (parent, child, _), (x, y, z), (qx, qy, qz, qw) in rows:
        pose = Transform(translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(x=qx, y=qy, z=qz, w=qw))
        item = TransformStamped(child_frame_id=child, transform=pose)
        item.header.frame_id = parent
        item.header.stamp = stamp
        msg.transforms.append(item)
    return msg


def region_to_box(region: Region, frame: str | None = None) -> Box | None:
    """The box of a region, None for an empty frame_id (no limit).

    InputError: NaN, a minimum that is not below the maximum, a frame other than `frame` (when that is given).
    """
    if not region.header.frame_id:
        return None
    if frame is not None and region.header.frame_id != frame:
        raise InputError(f"region is in frame '{region.header.frame_id}': give it in '{frame}'")
    low = np.array([region.min.x, region.min.y, region.min.z])
    high = np.array([region.max.x, region.max.y, region.max.z])
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
        raise InputError(f"region from {low.tolist()} to {high.tolist()}: expected finite corners with min < max")
    return Box(min=low, max=high)


def box_to_region(box: Box | None, frame: str, stamp_ns: int = 0) -> Region:
    """The region of a box in `frame`; None gives the region without limit."""
    if box is None:
        return Region()
    (x0, y0, z0), (x1, y1, z1) = (map(float, corner) for corner in (box.min, box.max))
    region = Region(min=Point(x=x0, y=y0, z=z0), max=Point(x=x1, y=y1, z=z1))
    region.header.frame_id = frame
    region.header.stamp = ns_to_stamp(stamp_ns)
    return region
