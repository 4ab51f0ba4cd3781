"""The two gripper actions of ros2_control, seen alike: `GripperCommand` and `ParallelGripperCommand`."""

from __future__ import annotations

import math
from typing import Any

from control_msgs.action import GripperCommand, ParallelGripperCommand
from sensor_msgs.msg import JointState

from grasp_core.gripper import Gripper


class SingleCommand:
    """GripperCommand: one position, one effort."""

    action = GripperCommand

    @staticmethod
    def target(goal: Any, joint: str) -> tuple[float, float]:
        """Position in the driver's unit and effort in N."""
        return goal.command.position, goal.command.max_effort

    @staticmethod
    def fill(message: Any, joint: str, position: float, effort: float) -> None:
        """Write into a result or a feedback."""
        message.position, message.effort = position, effort


class ParallelCommand:
    """ParallelGripperCommand: a JointState with the gripper's joint in it."""

    action = ParallelGripperCommand

    @staticmethod
    def target(goal: Any, joint: str) -> tuple[float, float]:
        """Position in the driver's unit (NaN without the joint) and effort in N."""
        command = goal.command
        if joint not in command.name or len(command.position) != len(command.name):
            return math.nan, 0.0
        index = list(command.name).index(joint)
        return command.position[index], command.effort[index] if len(command.effort) > index else 0.0

    @staticmethod
    def fill(message: Any, joint: str, position: float, effort: float) -> None:
        """Write into a result or a feedback."""
        message.state = JointState(name=[joint], position=[position], velocity=[0.0], effort=[effort])


def command_kind(gripper: Gripper) -> type[SingleCommand] | type[ParallelCommand]:
    """What the driver of this gripper speaks."""
    return SingleCommand if gripper.driver.type == "gripper_command" else ParallelCommand


def target_problem(position: float, effort: float, joint: str) -> str:
    """Why a target cannot be meant so; "" when it can."""
    if math.isfinite(position) and math.isfinite(effort) and effort >= 0:
        return ""
    return (
        f"gripper goal rejected: position {position} and effort {effort} of {joint} must be finite, and the effort not "
        "negative"
    )
