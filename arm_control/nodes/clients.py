"""arm_node and detector_node as the pick stages see them: blocking calls that end with arrays or an error code."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from seegrasp_msgs.action import DetectGrasps, ExecuteGrasp, MoveTo
from visualization_msgs.msg import Marker

from arm_control.cancel import CancelToken
from arm_control.drivers.action_call import ActionCaller, CallCodes
from arm_control.drivers.joint_states import JointStateMonitor
from arm_control.moves import Target, TargetKind
from arm_control.nodes.scene import CloudBuffer
from arm_control.nodes.status import held_from_marker
from arm_control.planning import HeldObject
from arm_control.stages.context import Detection, GraspOutcome
from grasp_core.cell import Box
from grasp_core.errors import DetectorError, ErrorCode, ExecutionError, PlanningError, SeegraspError
from grasp_core.gripper import Gripper
from grasp_ros import qos
from grasp_ros.conversions import (
    box_to_region,
    grasps_to_msg,
    matrix_to_pose,
    msg_to_grasps,
    ns_to_stamp,
    stamp_to_ns,
    timings_from_msgs,
)

_ARM_CODES = CallCodes(ErrorCode.CONTROLLER_UNAVAILABLE, ErrorCode.BUSY, ErrorCode.TIMEOUT)
_DETECTOR_CODES = CallCodes(ErrorCode.DETECTOR_FAILED, ErrorCode.BUSY, ErrorCode.DETECTOR_FAILED)
_ACCEPT_TIMEOUT = 5.0  # s: a node that computes, on a machine that does other things too
_MOVE_TIMEOUT = 120.0  # s: arm_node watches its motions itself; this is for the case that it hangs
_GRASP_TIMEOUT = 300.0


def error_of(code: int, message: str) -> SeegraspError:
    """The error that an action's result tells of, as the class that its code belongs to."""
    if 200 <= code < 300:
        return PlanningError(message, ErrorCode(code))
    return ExecutionError(message, ErrorCode(code))


class ArmClient:
    """arm_node's actions, its held object, and the gripper's opening."""

    def __init__(
        self,
        node: Node,
        data: Node,
        gripper: Gripper,
        base_frame: str,
        joints: JointStateMonitor,
        callback_group: CallbackGroup,
        held_topic: str = "arm_node/held_object",
    ) -> None:
        self._gripper = gripper
        self._base_frame = base_frame
        self._joints = joints
        self._move = ActionCaller(node, MoveTo, "move_to", _ARM_CODES, callback_group, _ACCEPT_TIMEOUT)
        self._grasp = ActionCaller(node, ExecuteGrasp, "execute_grasp", _ARM_CODES, callback_group, _ACCEPT_TIMEOUT)
        self._lock = threading.Lock()
        self._marker: Marker | None = None
        self.paused = False  # what arm_node's feedback told last
        data.create_subscription(Marker, held_topic, self._on_marker, qos.LATCHED)

    def available(self) -> bool:
        """Whether arm_node is there."""
        return self._move.available() and self._grasp.available()

    def move_to(self, target: Target, cancel: CancelToken, gripper_width: float | None = None) -> None:
        """Move, then set the gripper; PlanningError or ExecutionError with arm_node's code."""
        goal = MoveTo.Goal(target_type=int(target.kind), name=target.name)
        if target.kind == TargetKind.JOINTS:
            goal.joints = np.asarray(target.joints, np.float64).tolist()
        if target.pose is not None:
            goal.pose = PoseStamped(pose=matrix_to_pose(target.pose))
            goal.pose.header.frame_id = self._base_frame
        if gripper_width is not None:
            goal.set_gripper, goal.gripper_width = True, float(gripper_width)
        _, result = self._finish(self._move, goal, _MOVE_TIMEOUT, cancel)
        if result.error_code != ErrorCode.NONE:
            raise error_of(result.error_code, result.error_msg)

    def execute_grasp(self, detection: Detection, cancel: CancelToken) -> GraspOutcome:
        """Hand the candidates over; the outcome also of a failure. Only a failed call itself raises."""
        candidates = grasps_to_msg(detection.grasps, detection.frame, detection.stamp, gripper_name=self._gripper.name)
        _, r = self._finish(self._grasp, ExecuteGrasp.Goal(candidates=candidates), _GRASP_TIMEOUT, cancel)
        return GraspOutcome(
            r.error_code, r.error_msg, r.stage, r.executed, r.tried, float(r.width), timings_from_msgs(r.timings)
        )

    def _finish(self, caller: ActionCaller, goal: Any, timeout: float, cancel: CancelToken) -> tuple[int, Any]:
        """Until the goal has ended; the time that arm_node is paused does not count."""
        patience: list[Callable[[], None]] = []

        def on_feedback(feedback: Any) -> None:
            paused = feedback.stage == "paused"
            if paused and patience:
                patience[0]()
            self.paused = paused

        call = caller.start(goal, cancel, on_feedback)
        patience.append(call.begin_anew)
        return call.wait(timeout, cancel)

    def held(self) -> HeldObject | None:
        """What arm_node last said to hold."""
        with self._lock:
            marker = self._marker
        return None if marker is None else held_from_marker(marker, self._gripper)

    def width(self) -> float:
        """The measured opening, m; NO_JOINT_STATES."""
        return self._gripper.width_from_joint(self._joints.gripper_position())

    def _on_marker(self, msg: Marker) -> None:
        with self._lock:
            self._marker = msg


class DetectorClient:
    """detector_node's action, and the cloud to tell an empty region from a difficult one."""

    def __init__(
        self,
        node: Node,
        clouds: CloudBuffer,
        base_frame: str,
        callback_group: CallbackGroup,
        timeout: float,
        max_grasps: int,
    ) -> None:
        self._clouds = clouds
        self._base_frame = base_frame
        self._timeout = timeout
        self._max_grasps = max_grasps
        self._caller = ActionCaller(
            node, DetectGrasps, "detect_grasps", _DETECTOR_CODES, callback_group, _ACCEPT_TIMEOUT
        )

    def available(self) -> bool:
        """Whether detector_node is there."""
        return self._caller.available()

    def detect(self, region: Box, not_before: int, min_score: float, cancel: CancelToken) -> Detection:
        """Grasps in the base frame; DetectorError with the detector's code, DETECTOR_FAILED when lost or hanging."""
        goal = DetectGrasps.Goal(
            region=box_to_region(region, self._base_frame),
            max_grasps=self._max_grasps,
            min_score=float(min_score),
            not_before=ns_to_stamp(not_before),
        )
        _, result = self._caller.start(goal, cancel).wait(self._timeout, cancel)
        if result.error_code != ErrorCode.NONE:
            raise DetectorError(result.error_msg, _known(result.error_code))
        msg: Any = result.grasps
        if msg.header.frame_id != self._base_frame:
            raise DetectorError(f"detect_grasps answered in frame '{msg.header.frame_id}', not in {self._base_frame}")
        return Detection(msg_to_grasps(msg), msg.header.frame_id, stamp_to_ns(msg.header.stamp))

    def points_above(self, region: Box, height: float, not_before: int, cancel: CancelToken) -> int:
        """Points in `region` more than `height` m above its lower face; NO_DEPTH without a cloud since `not_before`."""
        cloud = self._clouds.after(not_before, self._timeout, cancel)
        if cloud.frame != self._base_frame:
            raise DetectorError(f"{self._clouds.topic} is in frame '{cloud.frame}', not in {self._base_frame}")
        inside = cloud.points[region.contains(cloud.points)]
        return int((inside[:, 2] > region.min[2] + height).sum())


def _known(code: int) -> ErrorCode:
    return ErrorCode(code) if code in ErrorCode.__members__.values() else ErrorCode.DETECTOR_FAILED
