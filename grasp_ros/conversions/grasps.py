"""`seegrasp_msgs/GraspArray` <-> `grasp_core.grasps.Grasps`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion
from seegrasp_msgs.msg import Grasp, GraspArray

from grasp_core import se3
from grasp_core.errors import InputError
from grasp_core.grasps import Grasps
from grasp_ros.conversions.geometry import rotations_from_quats
from grasp_ros.conversions.stamps import ns_to_stamp, timings_to_msgs

_SCALARS = ("width", "depth", "score", "stability")


def grasps_to_msg(
    grasps: Grasps,
    frame: str,
    stamp_ns: int,
    detector: str = "",
    gripper_name: str = "",
    timings: Mapping[str, float] | None = None,
) -> GraspArray:
    """The grasps in their order; `stamp_ns` is the stamp of the depth image; `timings` are stage -> ms."""
    msg = GraspArray(detector=detector or grasps.detector, gripper=gripper_name)
    msg.header.frame_id = frame
    msg.header.stamp = ns_to_stamp(stamp_ns)
    msg.timings = timings_to_msgs(timings or {})
    if len(grasps) == 0:
        return msg
    quats = se3.quat_from_matrix(np.asarray(grasps.R, np.float64)).tolist()
    rows = zip(
        np.asarray(grasps.t, np.float64).tolist(),
        quats,
        *(np.asarray(getattr(grasps, name), np.float64).tolist() for name in _SCALARS),
        np.asarray(grasps.track_id).tolist(),
        strict=True,
    )
    msg.grasps = [_grasp(*row) for row in rows]
    return msg


def _grasp(t: list, quat: list, width: float, depth: float, score: float, stability: float, track_id: int) -> Grasp:
    pose = Pose(
        position=Point(x=t[0], y=t[1], z=t[2]),
        orientation=Quaternion(x=quat[0], y=quat[1], z=quat[2], w=quat[3]),
    )
    return Grasp(pose=pose, width=width, depth=depth, score=score, stability=stability, track_id=track_id)


def msg_to_grasps(msg: GraspArray) -> Grasps:
    """The grasps in the message's frame (see its header); InputError on NaN, negative width or a bad quaternion."""
    if not msg.grasps:
        return Grasps.empty(detector=msg.detector)
    poses = [(g.pose.position, g.pose.orientation) for g in msg.grasps]
    t = np.array([(p.x, p.y, p.z) for p, _ in poses])
    quats = np.array([(q.x, q.y, q.z, q.w) for _, q in poses])
    scalars = np.array([[getattr(g, name) for g in msg.grasps] for name in _SCALARS])
    if not (np.isfinite(t).all() and np.isfinite(scalars).all()):
        bad = np.flatnonzero(~(np.isfinite(t).all(axis=1) & np.isfinite(scalars).all(axis=0)))
        raise InputError(f"grasp array: NaN or inf in grasp(s) {bad[:10].tolist()} of {len(t)}")
    if (scalars[0] < 0).any():
        raise InputError(f"grasp array: negative width in grasp(s) {np.flatnonzero(scalars[0] < 0)[:10].tolist()}")
    width, depth, score, stability = scalars.astype(np.float32)
    return Grasps(
        R=rotations_from_quats(quats, "grasp array").astype(np.float32),
        t=t.astype(np.float32),
        width=width,
        depth=depth,
        score=score,
        stability=stability,
        track_id=np.array([g.track_id for g in msg.grasps], np.int32),
        detector=msg.detector,
    )
