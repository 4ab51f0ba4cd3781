"""What arm_node and pick_node tell about themselves, latched."""

from __future__ import annotations

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from visualization_msgs.msg import Marker

from arm_control.planning import HeldObject
from grasp_core import se3
from grasp_core.gripper import Gripper
from grasp_ros import qos
from grasp_ros.conversions import matrix_to_pose, ns_to_stamp, pose_to_matrix


class StatusPublisher:
    """`~/status`: the stage that the node is in, or idle."""

    def __init__(self, node: Node) -> None:
        self._name = node.get_name()
        self._publisher = node.create_publisher(DiagnosticStatus, "~/status", qos.LATCHED)

    def set(self, stage: str) -> None:
        """Publish the stage."""
        self._publisher.publish(DiagnosticStatus(level=DiagnosticStatus.OK, name=self._name, message=stage))


class HeldPublisher:
    """`~/held_object`: the box around the held object as a cube in the flange frame, so that RViz shows it moving."""

    def __init__(self, node: Node, flange_frame: str, gripper: Gripper) -> None:
        self._frame = flange_frame
        self._gripper = gripper
        self._publisher = node.create_publisher(Marker, "~/held_object", qos.LATCHED)
        self.publish(None, 0)

    def publish(self, held: HeldObject | None, now_ns: int) -> None:
        """Publish what is held; None: nothing."""
        marker = Marker(ns="held_object", frame_locked=True, type=Marker.CUBE)
        marker.header.frame_id = self._frame
        marker.header.stamp = ns_to_stamp(now_ns)
        marker.action = Marker.DELETE if held is None else Marker.ADD
        if held is not None:
            T_flange_box = self._gripper.T_flange_tcp @ se3.make(np.eye(3), held.centre)
            marker.pose = matrix_to_pose(T_flange_box)
            marker.scale.x, marker.scale.y, marker.scale.z = (float(v) for v in held.size)
            marker.color.r, marker.color.g, marker.color.b, marker.color.a = 1.0, 0.6, 0.1, 0.5
        self._publisher.publish(marker)


def held_from_marker(marker: Marker, gripper: Gripper) -> HeldObject | None:
    """The held object that a marker of `HeldPublisher` tells of, in the grasp frame."""
    if marker.action != Marker.ADD:
        return None
    T_tcp_box = se3.inverse(gripper.T_flange_tcp) @ pose_to_matrix(marker.pose, "held object")
    return HeldObject(centre=T_tcp_box[:3, 3], size=np.array([marker.scale.x, marker.scale.y, marker.scale.z]))
