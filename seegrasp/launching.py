"""launch descriptions from the bringup files; used by launch/*.launch.py where ROS 2's launch is installed."""

from __future__ import annotations

import sys

import seegrasp.external
from grasp_core.errors import ConfigError
from seegrasp.bringup_config import NodePlan, load, resolve

# s from SIGINT to SIGTERM, which makes a `ros2 launch` below this one leave its nodes behind: it gets the 10 s that it
# gives them (5 to SIGTERM, 5 more to SIGKILL), and some.
PATIENCE_S = 15


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
        return [action(plan) for plan in plans]

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


def action(plan: NodePlan):
    """launch's action that starts a node or a plain program."""
    from launch.actions import ExecuteProcess, Shutdown
    from launch_ros.actions import Node

    end = None if plan.may_end else Shutdown(reason=f"{plan.name} ended")
    if plan.arguments:
        return ExecuteProcess(
            cmd=command(plan), name=plan.name, output="screen", on_exit=end, sigterm_timeout=str(PATIENCE_S)
        )
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


def command(plan: NodePlan) -> list[str]:
    """The command line of a plain program.

    launch sends SIGINT to the process that it has started, and to none below: a program of others has to be that
    process, or its own children outlive it.
    """
    if plan.module == seegrasp.external.__name__:
        return list(plan.arguments)
    return [sys.executable, "-m", plan.module, *plan.arguments]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
