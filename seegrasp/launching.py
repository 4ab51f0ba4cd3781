"""launch descriptions from the bringup files; used by launch/*.launch.py where ROS 2's launch is installed."""

from __future__ import annotations

import sys

from grasp_core.errors import ConfigError
from seegrasp.bringup_config import NodePlan, load, resolve


def describe(name: str):
    """LaunchDescription of config/bringup/<name>.yaml: its arguments, and its nodes as executables of this package.

    A node that ends takes the others with it, as under `seegrasp up`.
    """
    from launch import LaunchDescription
    from launch.actions import DeclareLaunchArgument, OpaqueFunction

    spec = load(name)

    def nodes(context) -> list:
        given = {key: context.launch_configurations[key] for key in spec.arguments}
        plans = resolve(spec, given)
        if not plans:
            raise ConfigError(f"bringup {name!r} starts no node with these arguments")
        return [_action(plan) for plan in plans]

    arguments = [
        DeclareLaunchArgument(
            key,
            default_value=_text(argument.default),
            description=argument.description,
            choices=[_text(c) for c in argument.choices] or None,
        )
        for key, argument in spec.arguments.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=nodes)])


def _action(plan: NodePlan):
    from launch.actions import ExecuteProcess, Shutdown
    from launch_ros.actions import Node

    end = None if plan.may_end else Shutdown(reason=f"{plan.name} ended")
    if plan.arguments:
        command = [sys.executable, "-m", plan.module, *plan.arguments]
        return ExecuteProcess(cmd=command, name=plan.name, output="screen", on_exit=end)
    return Node(
        package="seegrasp",
        executable=plan.executable,
        name=plan.name if plan.name != plan.executable else None,  # a name would rename helper nodes too
        namespace=plan.namespace or None,
        parameters=[dict(plan.parameters)],
        remappings=list(plan.remappings.items()),
        output="screen",
        on_exit=end,
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
