"""ServoTo of a driver node: targets of the grasp frame, streamed to the robot within limits."""

from __future__ import annotations

import math
import time

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.node import Node
from seegrasp_msgs.action import ServoTo

from arm_control.drivers.streaming.driver import ArmDriver, Motion
from arm_control.drivers.streaming.messages import Ended
from arm_control.drivers.streaming.servo import ServoLimits, check_target
from grasp_core import se3
from grasp_core.errors import ErrorCode, InputError, SeegraspError, StaleError
from grasp_ros import qos
from grasp_ros.conversions import pose_to_matrix, stamp_to_ns

_POLL = 0.05  # s
_POSITION, _ROTATION = 0.002, 0.02  # m, rad: where the goal says 0
_FUTURE = 0.1  # s that a stamp may be ahead of this node's clock


class ServoServer:
    """One target at a time is followed; a target on the topic counts only while a goal is executed."""

    def __init__(
        self, node: Node, driver: ArmDriver, action: str, topic: str, limits: ServoLimits, base_frame: str
    ) -> None:
        """``limits``: the most that goals may ask for."""
        self._node, self._driver, self._limits, self._frame = node, driver, limits, base_frame
        self._target: tuple[np.ndarray, float] | None = None  # newest, and when, steady s
        node.create_subscription(
            PoseStamped, topic, self._on_target, qos.LATEST, callback_group=MutuallyExclusiveCallbackGroup()
        )
        self._motion: Motion | None = None
        self._server = ActionServer(
            node,
            ServoTo,
            action,
            execute_callback=self._execute,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    def _execute(self, handle: ServerGoalHandle) -> ServoTo.Result:
        try:
            limits, settle = self._asked(handle.request)
            target, seen = self._read(handle.request.target)
            check_target(target, limits.low, limits.high)
            self._driver.state()
        except SeegraspError as error:
            return self._conclude(handle, Ended(0, error.code, str(error)))
        self._target = (target, seen)
        self._motion = motion = self._driver.servo(limits, settle)
        self._driver.aim(target, seen)
        cancelled = False
        while not motion.wait(_POLL) and self._node.context.ok():
            if handle.is_cancel_requested and not cancelled:
                cancelled = True
                self._driver.cancel(motion)
            handle.publish_feedback(self._feedback())
        self._motion = None
        if motion.ended is None:
            return ServoTo.Result(
                error_code=int(ErrorCode.CANCELLED), error_msg=f"{self._node.get_name()} is shutting down"
            )
        return self._conclude(handle, motion.ended)

    def _conclude(self, handle: ServerGoalHandle, ended: Ended) -> ServoTo.Result:
        if ended.code == ErrorCode.NONE:
            handle.succeed()
        elif ended.code == ErrorCode.CANCELLED and handle.is_cancel_requested:
            handle.canceled()
        else:
            self._node.get_logger().error(f"servo ended: {ended.code.name}: {ended.message}")
            handle.abort()
        return ServoTo.Result(error_code=int(ended.code), error_msg=ended.message)

    def _asked(self, goal: ServoTo.Goal) -> tuple[ServoLimits, float]:
        numbers = (goal.position_tolerance, goal.rotation_tolerance, goal.settle, goal.max_speed)
        if not all(math.isfinite(v) and v >= 0 for v in numbers):
            raise SeegraspError(
                f"tolerances, settle and max_speed are {[round(v, 4) for v in numbers]}: expected numbers from 0",
                ErrorCode.INVALID_GOAL,
            )
        top = self._limits
        speed = min(goal.max_speed or top.speed, top.speed)
        limits = ServoLimits(
            speed=speed,
            acceleration=top.acceleration,
            angular_speed=top.angular_speed * speed / top.speed,
            angular_acceleration=top.angular_acceleration,
            low=top.low,
            high=top.high,
            max_age=top.max_age,
            position=goal.position_tolerance or _POSITION,
            rotation=goal.rotation_tolerance or _ROTATION,
        )
        return limits, float(goal.settle)

    def _read(self, msg: PoseStamped) -> tuple[np.ndarray, float]:
        """The target, and when it was seen on the steady clock; InputError, StaleError."""
        if msg.header.frame_id != self._frame:
            raise InputError(f"servo target is in frame {msg.header.frame_id!r}: this driver takes {self._frame!r}")
        age = (self._node.get_clock().now().nanoseconds - stamp_to_ns(msg.header.stamp)) * 1e-9
        if not -_FUTURE <= age <= self._limits.max_age:
            raise StaleError(
                f"servo target is stamped {age:.3f} s before now (allowed: 0 to {self._limits.max_age} s): stamp it "
                "with the time of its picture, and use the same clock"
            )
        return pose_to_matrix(msg.pose, "servo target"), time.monotonic() - max(age, 0.0)

    def _on_target(self, msg: PoseStamped) -> None:
        if self._motion is None:
            return
        try:
            self._target = self._read(msg)
        except SeegraspError as error:  # the last good one grows old, and the arm stops
            self._node.get_logger().warning(str(error), throttle_duration_sec=1.0)
            return
        self._driver.aim(*self._target)

    def _feedback(self) -> ServoTo.Feedback:
        target, seen = self._target
        update = self._driver.update
        now = update.state.tcp
        return ServoTo.Feedback(
            distance=float(np.linalg.norm(target[:3, 3] - now[:3, 3])),
            angle=float(se3.rotation_angle(target[:3, :3], now[:3, :3])),
            target_age=time.monotonic() - seen,
        )
