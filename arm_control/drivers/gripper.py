"""The gripper through `GripperCommand` or `ParallelGripperCommand`, as its profile says."""

from __future__ import annotations

from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from arm_control.cancel import CancelToken
from arm_control.drivers.action_call import ActionCaller, Call, CallCodes
from arm_control.drivers.joint_states import JointStateMonitor
from grasp_core.errors import ErrorCode, ExecutionError
from grasp_core.gripper import Gripper

_TOLERANCE = 0.004  # m that the opening may differ from the one asked for
_MARGIN = 3.0  # s beyond the time that the slowest speed needs


class GripperClient:
    """Moves the gripper to openings in m; the driver's joint positions stay inside."""

    def __init__(self, node: Node, gripper: Gripper, joints: JointStateMonitor, callback_group: CallbackGroup) -> None:
        self.gripper = gripper
        self._joints = joints
        self._speaks = _SPEAK[gripper.driver.type](gripper)
        codes = CallCodes(
            unavailable=ErrorCode.GRIPPER_UNAVAILABLE,
            rejected=ErrorCode.GRIPPER_FAILED,
            timeout=ErrorCode.GRIPPER_FAILED,
        )
        self._caller = ActionCaller(node, self._speaks.action, gripper.driver.action, codes, callback_group)

    def available(self) -> bool:
        """Whether the gripper's action server is there."""
        return self._caller.available()

    def width(self) -> float:
        """The opening measured by the joint states, m; NO_JOINT_STATES when they are missing or stale."""
        return self.gripper.width_from_joint(self._joints.gripper_position())

    def start(self, width: float, force: float | None = None, allow_stall: bool = False) -> GripperMove:
        """Send the command; InputError (opening), OUT_OF_LIMITS (force), GRIPPER_UNAVAILABLE."""
        limits = self.gripper.force
        force = limits.default if force is None else force
        if not limits.min <= force <= limits.max:
            raise ExecutionError(
                f"force {force} N is outside {limits.min}..{limits.max} N of gripper {self.gripper.name}",
                ErrorCode.OUT_OF_LIMITS,
            )
        goal = self._speaks.goal(self.gripper.joint_from_width(width), force)
        return GripperMove(self, self._caller.start(goal), width, allow_stall)

    def move(self, width: float, cancel: CancelToken, force: float | None = None, allow_stall: bool = False) -> float:
        """`start` and `finish`."""
        cancel.check()
        return self.start(width, force, allow_stall).finish(cancel)


class GripperMove:
    """A gripper command under way."""

    def __init__(self, client: GripperClient, call: Call, width: float, allow_stall: bool) -> None:
        self._client = client
        self._call = call
        self._width = width
        self._allow_stall = allow_stall

    def finish(self, cancel: CancelToken) -> float:
        """Block until the gripper has arrived; the opening in m as the driver reports it.

        ExecutionError GRIPPER_FAILED: aborted, stopped elsewhere, or not ended in the time that the slowest speed
        needs; stopping on an object is success with `allow_stall`.
        """
        client, gripper = self._client, self._client.gripper
        limit = gripper.max_width / max(gripper.speed.min, 1e-3) + _MARGIN
        status, result = self._call.wait(limit, cancel)
        position, stalled, reached = client._speaks.outcome(result)
        width = gripper.width_from_joint(position) if position is not None else client.width()
        what = f"gripper {gripper.driver.action}"
        if self._allow_stall and stalled:
            return width
        if status != GoalStatus.STATUS_SUCCEEDED:
            raise ExecutionError(
                f"{what} did not reach {self._width * 1e3:.0f} mm: status {status}, stalled {stalled}, "
                f"at {width * 1e3:.0f} mm",
                ErrorCode.GRIPPER_FAILED,
            )
        if not reached and abs(width - self._width) > _TOLERANCE:
            raise ExecutionError(
                f"{what} stopped at {width * 1e3:.0f} mm instead of {self._width * 1e3:.0f} mm: it is blocked",
                ErrorCode.GRIPPER_FAILED,
            )
        return width


class _GripperCommand:
    def __init__(self, gripper: Gripper) -> None:
        from control_msgs.action import GripperCommand

        self.action = GripperCommand

    def goal(self, position: float, force: float) -> Any:
        goal = self.action.Goal()
        goal.command.position, goal.command.max_effort = float(position), float(force)
        return goal

    def outcome(self, result: Any) -> tuple[float | None, bool, bool]:
        return result.position, result.stalled, result.reached_goal


class _ParallelGripperCommand:
    def __init__(self, gripper: Gripper) -> None:
        from control_msgs.action import ParallelGripperCommand

        self.action = ParallelGripperCommand
        self._joint = gripper.joint.name

    def goal(self, position: float, force: float) -> Any:
        goal = self.action.Goal()
        goal.command.name, goal.command.position = [self._joint], [float(position)]
        goal.command.effort = [float(force)]
        return goal

    def outcome(self, result: Any) -> tuple[float | None, bool, bool]:
        names, positions = list(result.state.name), result.state.position
        index = names.index(self._joint) if self._joint in names else 0
        position = float(positions[index]) if index < len(positions) else None
        return position, result.stalled, result.reached_goal


_SPEAK = {"gripper_command": _GripperCommand, "parallel_gripper_command": _ParallelGripperCommand}
