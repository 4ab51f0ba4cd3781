"""A stack that picks nothing: every topic, service and action that the demo waits for, in one process.

What happens is chosen by SEEGRASP_FAKE: "" good; "die": exits in the second attempt; "hang": /pick never ends unless
cancelled; "no_scene": /reset_scene fails.
"""

import contextlib
import os
import sys
import time

import numpy as np
import rclpy
from geometry_msgs.msg import Pose
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from seegrasp_msgs.action import DetectGrasps, ExecuteGrasp, MoveTo, Pick
from seegrasp_msgs.msg import ErrorCode, Grasp, GraspArray, PickAttempt, StageTiming
from seegrasp_msgs.srv import ResetScene
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from grasp_core import se3
from grasp_core.camera import Camera
from grasp_ros import qos
from grasp_ros.conversions import array_to_image, info_from_camera, ns_to_stamp, transforms_to_tf

MODE = os.environ.get("SEEGRASP_FAKE", "")
FRAME = "camera_color_optical_frame"
NAMES = ["box_0", "mug_1", "ring_2"]
IN_BIN, IN_TRAY = (0.5, 0.0, 0.05), (0.3, 0.5, 0.05)
STAGES = ("observe", "detect", "plan", "approach", "close", "lift", "place")


class FakeStack(Node):
    def __init__(self) -> None:
        super().__init__("fake_stack")
        self.now, self.placed = 10_000_000_000, 0
        group = ReentrantCallbackGroup()
        self.camera = Camera(np.array([[80.0, 0, 80], [0, 80.0, 60], [0, 0, 1]]), 160, 120, frame=FRAME)
        prefix = "/camera/camera/"
        self.clock = self.create_publisher(Clock, "/clock", 10)
        self.joints = self.create_publisher(JointState, "/joint_states", 10)
        self.cloud = self.create_publisher(PointCloud2, "/camera_node/cloud", qos.SENSOR)
        self.grasps = self.create_publisher(GraspArray, "/detector_node/grasps", 10)
        self.color = self.create_publisher(Image, prefix + "color/image_raw", qos.SENSOR)
        self.info = self.create_publisher(CameraInfo, prefix + "color/camera_info", qos.SENSOR)
        self.objects = self.create_publisher(MarkerArray, "/sim_node/objects", 10)
        self.tf_static = self.create_publisher(TFMessage, "/tf_static", qos.LATCHED)
        T = se3.make(np.diag([1.0, -1.0, -1.0]), [0.5, 0.0, 0.6])
        self.tf_static.publish(transforms_to_tf([("base_link", FRAME, T)], 0))
        self.create_service(ResetScene, "/reset_scene", self.reset, callback_group=group)
        for kind, name in ((DetectGrasps, "/detect_grasps"), (ExecuteGrasp, "/execute_grasp"), (MoveTo, "/move_to")):
            ActionServer(self, kind, name, lambda goal: None, callback_group=group)
        ActionServer(
            self,
            Pick,
            "/pick",
            self.pick,
            callback_group=group,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )
        self.create_timer(0.05, self.tick, callback_group=group)

    def tick(self) -> None:
        self.now += 50_000_000
        self.clock.publish(Clock(clock=ns_to_stamp(self.now)))
        self.joints.publish(JointState(name=["a"], position=[0.0]))
        picture = np.full((120, 160, 3), 90, np.uint8)
        self.color.publish(array_to_image(picture, "rgb8", FRAME, self.now))
        self.info.publish(info_from_camera(self.camera, self.now))
        markers = []
        for i, name in enumerate(NAMES):
            marker = Marker(ns=name, id=i, action=Marker.ADD)
            marker.header.frame_id = "base_link"
            p = IN_TRAY if i < self.placed else IN_BIN
            marker.pose.position.x, marker.pose.position.y, marker.pose.position.z = p
            markers.append(marker)
        self.objects.publish(MarkerArray(markers=markers))

    def reset(self, request: ResetScene.Request, reply: ResetScene.Response) -> ResetScene.Response:
        self.placed = 0
        reply.success, reply.objects = MODE != "no_scene", NAMES
        reply.error_msg = "" if reply.success else "no such scene"
        return reply

    def attempt(self, index: int) -> PickAttempt:
        grasp = Grasp(pose=Pose(), width=0.04, score=0.9)
        grasp.pose.position.x, grasp.pose.position.z = 0.5, 0.05
        grasp.pose.orientation.x, grasp.pose.orientation.w = 1.0, 0.0
        array = GraspArray(grasps=[grasp], detector="fake")
        array.header.frame_id = "base_link"
        good = index != 1
        code = ErrorCode.NONE if good else ErrorCode.GRIPPER_EMPTY
        return PickAttempt(
            index=index,
            success=good,
            error_code=code,
            error_msg="" if good else "closed on <nothing> & opened",
            stage="place" if good else "close",
            grasp=array,
            observed=ns_to_stamp(self.now),
            start=ns_to_stamp(self.now),
            candidates=30,
            candidates_tried=2,
            duration_s=1.5,
            timings=[StageTiming(stage=s, duration_ms=12.5) for s in STAGES],
        )

    def pick(self, goal) -> Pick.Result:
        attempts = []
        for index in range(4):
            attempts.append(self.attempt(index))
            for stage in STAGES:
                goal.publish_feedback(Pick.Feedback(stage=stage, attempt=index, picked=self.placed))
                time.sleep(0.02)
                while MODE == "hang" and index == 1 and not goal.is_cancel_requested:
                    time.sleep(0.02)
                if goal.is_cancel_requested:
                    goal.canceled()
                    return Pick.Result(error_code=ErrorCode.CANCELLED, error_msg="cancelled", attempts=attempts[:-1])
            if MODE == "die" and index == 1:
                print("fake stack: about to die", flush=True)
                os._exit(3)
            self.placed += attempts[-1].success
            goal.publish_feedback(Pick.Feedback(stage="place", attempt=index, finished=attempts[-1:]))
        goal.succeed()
        return Pick.Result(error_code=ErrorCode.REGION_CLEARED, picked=self.placed, attempts=attempts)


def main() -> int:
    rclpy.init(args=sys.argv)
    node = FakeStack()
    executor = MultiThreadedExecutor(6)
    executor.add_node(node)
    with contextlib.suppress(ExternalShutdownException, KeyboardInterrupt):
        executor.spin()
    return 0


if __name__ == "__main__":
    sys.exit(main())
