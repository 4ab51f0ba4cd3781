"""The gripper action of a driver node: `GripperCommand` or `ParallelGripperCommand`, as the profile says."""

from __future__ import annotations

from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from arm_control.drivers.patience import Patience
from arm_control.drivers.streaming.gripper import GripperDevice
from grasp_core.errors import ExecutionError
from grasp_core.gripper import Gripper
from grasp_ros.gripper_command import command_kind, target_problem

_POLL = 0.05  # s
_MARGIN = 3.0  # s of ROS time beyond the slowest full stroke


class GripperServer:
    """Moves the fingers until they arrive or stall; a stall on an object is a success, as drivers configure it.

    A new goal preempts the one that runs. Cancelling stops the fingers where they are.
    """

    def __init__(self, node: Node, device: GripperDevice, gripper: Gripper) -> None:
        self._node, self._device, self._gripper = node, device, gripper
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
        """The action has no error codes: a goal that makes no sense is rejected, and so is one without a gripper."""
        position, effort = self._kind.target(goal, self._gripper.joint.name)
        problem = target_problem(position, effort, self._gripper.joint.name) or self._device.problem
        if not problem:
            return GoalResponse.ACCEPT
        self._node.get_logger().error(problem)
        return GoalResponse.REJECT

    def _execute(self, handle: ServerGoalHandle) -> Any:
        gripper = self._gripper
        position, effort = self._kind.target(handle.request, gripper.joint.name)
        move = self._device.move(gripper.width_from_joint(position), effort)
        limit = gripper.max_width / gripper.speed.min + _MARGIN
        patience = Patience(limit, lambda: self._node.get_clock().now().nanoseconds)
        cancelled = False
        while not move.wait(_POLL) and patience.left() > 0 and self._node.context.ok():
            if handle.is_cancel_requested:
                self._device.halt()
                cancelled = True
                break
            handle.publish_feedback(self._report(self._kind.action.Feedback(), False, False))
        result = self._report(self._kind.action.Result(), move.reached, move.stalled)
        if cancelled:
            handle.canceled()
        elif move.reached or move.stalled:
            handle.succeed()
        elif self._node.context.ok():
            why = move.failure or "the fingers did not come to rest"
            self._node.get_logger().warning(f"gripper goal aborted: {why}")
            handle.abort()
        return result

    def _report(self, message: Any, reached: bool, stalled: bool) -> Any:
        try:
            position = self._gripper.joint_from_width(self._device.width())
        except ExecutionError:  # lost meanwhile: the client reads the joint states, which have stopped
            position = float("nan")
        self._kind.fill(message, self._gripper.joint.name, position, 0.0)
        message.reached_goal, message.stalled = reached, stalled
        return message
