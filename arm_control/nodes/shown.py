"""What is about to be moved, for RViz: `~/planned_trajectory` and `~/planned_path`, in a dry run too."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from geometry_msgs.msg import Point
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import Marker, MarkerArray

from arm_control.drivers.trajectory import to_msg
from arm_control.planning import Trajectory
from grasp_core import se3
from grasp_core.gripper import Gripper
from grasp_ros import qos
from grasp_ros.conversions import matrix_to_pose

_STEP = 0.04  # s between the points of a path
_COLOURS = ((0.2, 0.5, 1.0), (1.0, 0.6, 0.1), (0.2, 0.8, 0.3))  # of the parts, such as approach, descent, lift


class PlanPublisher:
    """Publishes what is planned, latched: the joints in time, the way of the fingertips, the gripper at each end."""

    def __init__(self, node: Node, base_frame: str, gripper: Gripper) -> None:
        self._frame, self._gripper = base_frame, gripper
        self._trajectory = node.create_publisher(JointTrajectory, "~/planned_trajectory", qos.LATCHED)
        self._path = node.create_publisher(MarkerArray, "~/planned_path", qos.LATCHED)

    def publish(self, parts: Sequence[Trajectory], fk: Callable[[np.ndarray], np.ndarray], width: float) -> None:
        """Show motions that follow one another; `width` m: the gripper's opening."""
        self._trajectory.publish(to_msg(_joined(parts)))
        markers = [Marker(action=Marker.DELETEALL)]
        for i, part in enumerate(parts):
            times = np.linspace(0.0, part.duration, max(2, int(part.duration / _STEP)))
            poses = [fk(q) for q in part.sample(times)]
            line = self._marker("path", i, Marker.LINE_STRIP, i)
            line.scale.x = 0.004
            line.points = [Point(x=float(T[0, 3]), y=float(T[1, 3]), z=float(T[2, 3])) for T in poses]
            markers.append(line)
            for k, (centre, size) in enumerate(zip(*self._gripper.boxes(width), strict=True)):
                box = self._marker("gripper", 4 * i + k, Marker.CUBE, i)
                box.pose = matrix_to_pose(poses[-1] @ se3.make(np.eye(3), centre))
                box.scale.x, box.scale.y, box.scale.z = (float(v) for v in size)
                box.color.a = 0.4
                markers.append(box)
        self._path.publish(MarkerArray(markers=markers))

    def _marker(self, namespace: str, index: int, kind: int, part: int) -> Marker:
        marker = Marker(ns=namespace, id=index, type=kind, action=Marker.ADD)
        marker.header.frame_id = self._frame
        marker.pose.orientation.w = 1.0
        marker.color.r, marker.color.g, marker.color.b = _COLOURS[part % len(_COLOURS)]
        marker.color.a = 1.0
        return marker


def _joined(parts: Sequence[Trajectory]) -> Trajectory:
    """One trajectory of parts of which each begins where the one before ends."""
    ends = np.cumsum([0.0, *(part.duration for part in parts)])
    keep = [slice(1 if i else 0, None) for i in range(len(parts))]
    times = [part.times[k] + start for part, k, start in zip(parts, keep, ends, strict=False)]
    rows = {
        name: np.concatenate([getattr(part, name)[k] for part, k in zip(parts, keep, strict=True)])
        for name in ("q", "qd", "qdd")
    }
    return Trajectory(parts[0].names, np.concatenate(times), **rows)
