"""The goal servo_to of arm_node: checked here, followed by the arm's driver at the robot's own rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from seegrasp_msgs.action import ServoTo

from arm_control.cancel import Cancelled
from arm_control.drivers.action_call import ActionCaller, CallCodes
from arm_control.guarded import Command
from arm_control.nodes.goals import ActiveGoal, GoalServer
from arm_control.nodes.requests import invalid
from arm_control.planning import MotionPlanner
from arm_control.servo_watch import ServoWatch
from grasp_core.errors import ConfigError, ErrorCode, ExecutionError, InputError, SeegraspError
from grasp_ros import qos
from grasp_ros.conversions import matrix_to_pose, pose_to_matrix, stamp_to_ns

if TYPE_CHECKING:
    from arm_control.nodes.arm_node import ArmNode

_LONGEST = 3600.0  # s: a goal without `settle` goes on until its client ends it


class ServoGoal:
    """Offers ServoTo behind the gate of an `ArmNode`, and hands on the targets while a goal is executed."""

    def __init__(self, node: ArmNode) -> None:
        self._node = node
        driver = node.arm.driver
        self._server = GoalServer(node, node.gate, ServoTo, "servo_to", self._execute)
        self._busy = False
        self._refused = ""
        if not driver.servo_action:
            return
        codes = CallCodes(
            unavailable=ErrorCode.CONTROLLER_UNAVAILABLE,
            rejected=ErrorCode.CONTROLLER_ABORTED,
            timeout=ErrorCode.TIMEOUT,
        )
        self._caller = ActionCaller(node, ServoTo, driver.servo_action, codes, ReentrantCallbackGroup())
        self._targets = node.create_publisher(PoseStamped, driver.servo_target, qos.LATEST)
        node.create_subscription(
            PoseStamped, "~/servo_target", self._on_target, qos.LATEST, callback_group=MutuallyExclusiveCallbackGroup()
        )

    def _execute(self, request: ServoTo.Goal, goal: ActiveGoal) -> ServoTo.Result:
        node, safety = self._node, self._node.safety
        if not node.arm.driver.servo_action:
            raise ConfigError(
                f"arm profile {node.arm.name} has no driver.servo_action: its driver cannot follow a target; "
                "ur_driver_node can"
            )
        try:
            request.target = self._checked(request.target)
        except InputError as error:
            raise invalid(str(error)) from error
        planner = node.require_planner(goal.cancel)
        node.require_armed()
        safety.refuse_dry_run("the servo motion")
        top = node.arm.linear_velocity * safety.limits.speed
        request.max_speed = min(request.max_speed or top, top)
        node.trajectory.await_rest(goal.cancel)
        node.state.refresh(node.joints)
        command = Command(goal.cause, goal.cancel, "servo")
        with safety.interlock.motion(goal.cancel, command.on_pause) as token:
            watch = self._watch(planner)
            safety.tell(command, f"follow a target, at most {request.max_speed:.2f} m/s")
            node.status.set("servo_to: servo")
            self._refused, self._busy = "", True
            try:
                call = self._caller.start(request, token, goal.feedback)
                _, result = call.wait(_LONGEST, token, watch)
            except Cancelled as stopped:
                goal.cancel.check()
                raise Cancelled(f"{stopped}, in a motion that cannot be taken up again", ErrorCode.STOPPED) from stopped
            finally:
                self._busy = False
                node.status.set("idle")
        return result

    def _watch(self, planner: MotionPlanner) -> Callable[[], None]:
        node = self._node
        alive = node.safety.watchdog.watch().begin()
        width = node.gripper.width()
        planner.set_scene(None, node.state.update_held(node.gripper))
        joints = ServoWatch(node.safety.limits, planner, node.joints.arm().q, width)

        def check() -> None:
            alive()
            now = node.joints.arm()
            joints.check(now.q, now.qd)
            if self._refused:
                raise ExecutionError(self._refused, ErrorCode.OUT_OF_LIMITS)

        return check

    def _on_target(self, msg: PoseStamped) -> None:
        if not self._busy:
            return
        try:
            self._targets.publish(self._checked(msg))
        except ExecutionError as error:
            self._refused = str(error)  # stops the arm
        except SeegraspError as error:  # the driver's last target grows old, and the arm stops
            self._node.get_logger().warning(str(error), throttle_duration_sec=1.0)

    def _checked(self, msg: PoseStamped) -> PoseStamped:
        """The target in the base frame; InputError, FrameError, OUT_OF_LIMITS beyond the limits of the cell."""
        node = self._node
        if not msg.header.frame_id:
            raise InputError("servo target has no frame_id")
        T_base_frame = node.lookup(msg.header.frame_id, stamp_to_ns(msg.header.stamp))
        T = T_base_frame @ pose_to_matrix(msg.pose, "servo target")
        if not bool(np.all(node.safety.limits.allowed(T[None, :3, :3], T[None, :3, 3]))):
            raise ExecutionError(
                f"servo target {T[:3, 3].round(3).tolist()} m lies beyond the limits of cell {node.cell.name} (safety)",
                ErrorCode.OUT_OF_LIMITS,
            )
        out = PoseStamped(pose=matrix_to_pose(T))
        out.header.stamp, out.header.frame_id = msg.header.stamp, node.arm.base_frame
        return out
