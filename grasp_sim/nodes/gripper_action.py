"""The gripper action server of the simulated gripper: GripperCommand or ParallelGripperCommand, as the profile says."""

from __future__ import annotations

import time
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from grasp_core.gripper import Gripper
from grasp_ros.gripper_command import command_kind, target_problem
from grasp_sim.simulation import Simulation

POLL = 0.02  # s of steady time
FEEDBACK_POLLS = 5
PATIENCE = 3.0  # s of simulated time beyond the slowest full stroke


class GripperAction:
    """Moves the fingers until they arrive or stall; a stall on an object is a success, as drivers configure it.

    A new goal preempts the one that runs. Cancelling stops the fingers where they are.
    """

    def __init__(self, node: Node, simulation: Simulation, gripper: Gripper) -> None:
        self._node, self._simulation, self._gripper = node, simulation, gripper
        self._kind = command_kind(gripper)
        self._server = ActionServer(
            node,
            self._kind.action,
            gripper.driver.action,
            execute_callback=self._execute,
            goal_callback=self._accept,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    def _accept(self, goal: Any) -> GoalResponse:
        """The action has no error codes: a goal that makes no sense is rejected."""
        position, effort = self._kind.target(goal, self._gripper.joint.name)
        problem = target_problem(position, effort, self._gripper.joint.name)
        if not problem:
            return GoalResponse.ACCEPT
        self._node.get_logger().error(problem)
        return GoalResponse.REJECT

    def _execute(self, handle: ServerGoalHandle) -> Any:
        simulation, gripper = self._simulation, self._gripper
        position, effort = self._kind.target(handle.request, gripper.joint.name)
        with simulation.lock:
            cell = simulation.cell
            command = cell.gripper.move(gripper.width_from_joint(position), effort)
            deadline = cell.time + gripper.max_width / gripper.speed.default + PATIENCE
        polls, cancelled = 0, False
        while not command.done and simulation.running and self._node.context.ok() and simulation.cell is cell:
            if handle.is_cancel_requested:
                with simulation.lock:
                    cell.gripper.halt(cell.data)
                cancelled = True
                break
            if cell.time > deadline:
                break
            polls += 1
            if polls % FEEDBACK_POLLS == 0:
                handle.publish_feedback(self._report(self._kind.action.Feedback(), command.reached, command.stalled))
            time.sleep(POLL)
        result = self._report(self._kind.action.Result(), command.reached, command.stalled)
        if cancelled:
            handle.canceled()
        elif command.reached or command.stalled:
            handle.succeed()
        elif self._node.context.ok():
            self._node.get_logger().warning("gripper goal aborted: replaced, or the fingers did not come to rest")
            handle.abort()
        return result

    def _report(self, message: Any, reached: bool, stalled: bool) -> Any:
        with self._simulation.lock:
            cell = self._simulation.cell
            width = min(max(cell.width, self._gripper.min_width), self._gripper.max_width)
            effort = cell.gripper.effort
        position = self._gripper.joint_from_width(width)
        self._kind.fill(message, self._gripper.joint.name, position, float(effort))
        message.reached_goal, message.stalled = reached, stalled
        return message
