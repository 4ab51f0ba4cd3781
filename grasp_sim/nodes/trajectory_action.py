"""The FollowJointTrajectory action server of the simulated arm."""

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

from grasp_core.follower import Goal, Outcome
from grasp_ros.conversions import ns_to_stamp
from grasp_ros.trajectory_goal import GoalError, Limits, parse_goal
from grasp_sim.simulation import Simulation

Result = FollowJointTrajectory.Result

POLL = 0.02  # s of steady time
FEEDBACK_POLLS = 3
CODES = {
    Outcome.SUCCEEDED: Result.SUCCESSFUL,
    Outcome.CANCELLED: Result.SUCCESSFUL,
    Outcome.PREEMPTED: Result.INVALID_GOAL,
    Outcome.RESET: Result.INVALID_GOAL,
    Outcome.PATH_TOLERANCE: Result.PATH_TOLERANCE_VIOLATED,
    Outcome.GOAL_TOLERANCE: Result.GOAL_TOLERANCE_VIOLATED,
}


class TrajectoryAction:
    """Takes trajectories for the arm as joint_trajectory_controller does.

    A new goal preempts the one that runs (which is aborted). Cancelling brakes the arm and holds it. A bad goal is
    accepted and aborted at once, so that its client learns code and reason, and leaves a running one alone.
    """

    def __init__(self, node: Node, simulation: Simulation, action: str) -> None:
        self._node = node
        self._simulation = simulation
        profile = simulation.cell.arm_profile
        model = simulation.cell.cell_model
        self._limits = Limits(profile.joints, model.arm_range, model.arm_velocity)
        self._server = ActionServer(
            node,
            FollowJointTrajectory,
            action,
            execute_callback=self._execute,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    def _execute(self, handle: ServerGoalHandle) -> Result:
        simulation = self._simulation
        try:
            with simulation.lock:
                arm, now = simulation.cell.arm, simulation.stamp_ns
                request = parse_goal(handle.request, self._limits, arm.setpoint, now)
                goal = Goal(request.spline, simulation.cell.time, request.tolerances)
                arm.follow(goal)
        except GoalError as error:
            self._node.get_logger().error(f"trajectory refused: {error}")
            handle.abort()
            return Result(error_code=error.code, error_string=str(error))
        polls = 0
        while goal.outcome is None and simulation.running and self._node.context.ok():
            if handle.is_cancel_requested:
                with simulation.lock:
                    simulation.cell.arm.cancel(goal, simulation.cell.time)
            polls += 1
            if polls % FEEDBACK_POLLS == 0:
                handle.publish_feedback(self._feedback())
            time.sleep(POLL)
        return self._finish(handle, goal)

    def _finish(self, handle: ServerGoalHandle, goal: Goal) -> Result:
        if goal.outcome is None:
            if self._node.context.ok():
                handle.abort()
            return Result(error_code=Result.INVALID_GOAL, error_string="the simulation has stopped")
        if goal.outcome is Outcome.SUCCEEDED:
            handle.succeed()
        elif goal.outcome is Outcome.CANCELLED:
            self._wait_for_rest()
            handle.canceled()
        else:
            self._node.get_logger().warning(f"trajectory aborted: {goal.message}")
            handle.abort()
        return Result(error_code=CODES[goal.outcome], error_string=goal.message)

    def _wait_for_rest(self) -> None:
        """A cancelled goal is over when the arm has braked, or follows something newer."""
        arm = self._simulation.cell.arm
        while arm.goal is None and arm.moving and self._simulation.running:
            time.sleep(POLL)

    def _feedback(self) -> FollowJointTrajectory.Feedback:
        with self._simulation.lock:
            cell, stamp = self._simulation.cell, self._simulation.stamp_ns
            want, q, qd = cell.arm.setpoint, cell.q.copy(), cell.qd.copy()
            elapsed = 0.0 if cell.arm.goal is None else cell.time - cell.arm.goal.start
        feedback = FollowJointTrajectory.Feedback(joint_names=list(self._limits.joints))
        feedback.header.stamp = ns_to_stamp(stamp)
        feedback.desired = _point(want.q, want.qd, elapsed)
        feedback.actual = _point(q, qd, elapsed)
        feedback.error = _point(want.q - q, want.qd - qd, elapsed)
        return feedback


def _point(q: np.ndarray, qd: np.ndarray, elapsed: float) -> JointTrajectoryPoint:
    ns = max(0, round(elapsed * 1e9))
    stamp = Duration(sec=ns // 1_000_000_000, nanosec=ns % 1_000_000_000)
    return JointTrajectoryPoint(positions=q.tolist(), velocities=qd.tolist(), time_from_start=stamp)
