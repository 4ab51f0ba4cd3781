"""MoveIt behind `arm_control.planning.moveit.door`: through move_group's services, or in Python (moveit_py)."""

from __future__ import annotations

from rclpy.node import Node

from arm_control.drivers.moveit.move_group import MoveGroup
from arm_control.drivers.moveit.moveit_py import MoveItPyDoor
from arm_control.planning.moveit.door import MoveIt
from grasp_core.arm import ArmProfile
from grasp_core.errors import ConfigError


def connect(name: str, urdf: str, arm: ArmProfile, node: Node | None, moveit_params: str) -> MoveIt:
    """The door for planner "move_group" or "moveit"; see `arm_control.planning.make_planner`."""
    if name == "moveit":
        return MoveItPyDoor(urdf, arm, moveit_params)
    if node is None:
        raise ConfigError("planner 'move_group' needs a node to call move_group's services with")
    return MoveGroup(node, arm)


__all__ = ["MoveGroup", "MoveItPyDoor", "connect"]
