"""FollowJointTrajectory of a driver node: goals checked as ros2_control does, streamed by the driver."""

from __future__ import annotations

import time

import numpy as np
from builtin_interfaces.msg import Duration
from control_msgs.action import FollowJointTrajectory
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectoryPoint

from arm_control.drivers.streaming.driver import ArmDriver, Motion
from arm_control.drivers.streaming.faults import ArmFault
from arm_control.drivers.streaming.messages import Ended
from arm_control.drivers.trajectory import LINK_LOST
from grasp_core.errors import ErrorCode
from grasp_core.follower import Outcome
from grasp_core.trajectory import State
from grasp_ros.conversions import ns_to_stamp
from grasp_ros.trajectory_goal import GoalError, Limits, parse_goal

Result = FollowJointTrajectory.Result

_POLL = 0.02  # s
_FEEDBACK_POLLS = 3
_CODES = {
    Outcome.SUCCEEDED: Result.SUCCESSFUL,
    Outcome.CANCELLED: Result.SUCCESSFUL,
    Outcome.PATH_TOLERANCE: Result.PATH_TOLERANCE_VIOLATED,
    Outcome.GOAL_TOLERANCE: Result.GOAL_TOLERANCE_VIOLATED,
}


class TrajectoryServer:
    """Takes one trajectory at a time; one that comes while another runs ends both, and the arm comes to rest.

    A goal that cannot be executed is accepted and aborted at once, so that its client learns why.
    """

    def __init__(self, node: Node, driver: ArmDriver, action: str, limits: Limits) -> None:
        self._node, self._driver, self._limits = node, driver, limits
        self._server = ActionServer(
            node,
            FollowJointTrajectory,
            action,
            execute_callback=self._execute,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    def _execute(self, handle: ServerGoalHandle) -> Result:
        try:
            now = self._node.get_clock().now().nanoseconds
            request = parse_goal(handle.request, self._limits, State.at_rest(self._driver.state().setpoint), now)
        except GoalError as error:
            return self._abort(handle, error.code, str(error))
        except ArmFault as error:
            return self._abort(handle, _failure(error.code), str(error))
        motion = self._driver.follow(request.spline, request.tolerances)
        started = time.monotonic()
        self._attend(handle, motion, started)
        if motion.ended is None:  # the node ends
            return Result(error_code=Result.INVALID_GOAL, error_string=f"{self._node.get_name()} is shutting down")
        return self._finish(handle, motion.ended)

    def _attend(self, handle: ServerGoalHandle, motion: Motion, started: float) -> None:
        polls, cancelled = 0, False
        while not motion.wait(_POLL) and self._node.context.ok():
            if handle.is_cancel_requested and not cancelled:
                cancelled = True
                self._driver.cancel(motion)
            polls += 1
            if polls % _FEEDBACK_POLLS == 0 and self._driver.update is not None:
                handle.publish_feedback(self._feedback(time.monotonic() - started))

    def _finish(self, handle: ServerGoalHandle, ended: Ended) -> Result:
        if ended.outcome is Outcome.SUCCEEDED:
            handle.succeed()
        elif ended.outcome is Outcome.CANCELLED and handle.is_cancel_requested:
            handle.canceled()
        else:
            code = Result.INVALID_GOAL if ended.outcome is Outcome.CANCELLED else _CODES.get(ended.outcome)
            return self._abort(handle, _failure(ended.code) if code is None else code, ended.message)
        return Result(error_code=_CODES[ended.outcome], error_string=ended.message)

    def _abort(self, handle: ServerGoalHandle, code: int, message: str) -> Result:
        self._node.get_logger().error(f"trajectory ended: {message}")
        if self._node.context.ok():
            handle.abort()
        return Result(error_code=code, error_string=message)

    def _feedback(self, elapsed: float) -> FollowJointTrajectory.Feedback:
        state = self._driver.update.state
        feedback = FollowJointTrajectory.Feedback(joint_names=list(self._limits.joints))
        feedback.header.stamp = ns_to_stamp(self._node.get_clock().now().nanoseconds)
        feedback.desired = _point(state.setpoint, np.zeros_like(state.q), elapsed)
        feedback.actual = _point(state.q, state.qd, elapsed)
        feedback.error = _point(state.setpoint - state.q, -state.qd, elapsed)
        return feedback


def _failure(code: ErrorCode) -> int:
    """What is told of a failure that the action has no code for."""
    return LINK_LOST if code == ErrorCode.CONTROLLER_UNAVAILABLE else Result.INVALID_GOAL


def _point(q: np.ndarray, qd: np.ndarray, elapsed: float) -> JointTrajectoryPoint:
    ns = round(elapsed * 1e9)
    stamp = Duration(sec=ns // 1_000_000_000, nanosec=ns % 1_000_000_000)
    return JointTrajectoryPoint(positions=q.tolist(), velocities=qd.tolist(), time_from_start=stamp)
