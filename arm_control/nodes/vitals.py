"""What has to live while arm_node moves the arm: the guard, /tf and the camera."""

from __future__ import annotations

from rclpy.node import Node

from arm_control.nodes.heartbeat import HeartbeatWatch, LookWatch
from arm_control.watchdog import Vital
from grasp_core.errors import ErrorCode
from grasp_ros.params import Params
from grasp_ros.tf_listener import TfListener


class VitalParams:
    """Parameters: for how long what may be silent while the arm moves, s, and what must be there at all."""

    def __init__(self, params: Params) -> None:
        self.camera = params.declare(
            "camera_timeout", 2.0, "s without an image until a motion is stopped; 0: go on without", 0.0, 60.0
        )
        self.looked_topic = params.declare("looked_topic", "camera_node/looked", "what camera_node tells of each image")
        self.tf = params.declare("tf_timeout", 1.0, "s without /tf until a motion is stopped", 0.05, 60.0)
        self.guard_topic = params.declare("guard_topic", "pick_node/heartbeat", "signs of life of the guard, pick_node")
        self.heartbeat = params.declare(
            "heartbeat_timeout", 0.5, "s without the guard until a motion is stopped", 0.1, 60.0
        )
        self.require_guard = params.declare("require_guard", False, "no motion while the guard does not live")
        told = "no motion of a grasp while camera or /tf do not live"
        self.require_camera = params.declare("require_camera", False, told)


def vitals(node: Node, tf: TfListener, given: VitalParams) -> list[Vital]:
    """Listens on `node`; `tf`: who hears /tf."""
    guard = HeartbeatWatch(node, given.guard_topic)
    found = [
        Vital(
            guard.topic,
            guard.age,
            given.heartbeat,
            ErrorCode.STOPPED,
            "start pick_node, which stops the arm should arm_node die (parameter require_guard)",
            required=given.require_guard,
        ),
        Vital(
            "/tf",
            lambda: float("inf") if tf.age_s is None else tf.age_s,
            given.tf,
            ErrorCode.NO_TF,
            "is the arm's driver or robot_state_publisher still running?",
            to_grasp=given.require_camera,
        ),
    ]
    if given.camera > 0.0:
        todo = "is the camera still connected, and camera_node running? (parameter camera_timeout)"
        looks = LookWatch(node, given.looked_topic)
        found.append(
            Vital(looks.topic, looks.age, given.camera, ErrorCode.STALE_DATA, todo, to_grasp=given.require_camera)
        )
    return found
