"""Classes in place of ROS 2's launch and launch_ros, where these are not installed: they take the same arguments.

Names of the arguments: launch and launch_ros from Humble to Rolling, what all of them have.
"""

from __future__ import annotations

import types
from typing import ClassVar

_ACTION = {"condition"}
_PROCESS = _ACTION | {
    *("prefix", "name", "cwd", "env", "additional_env"),
    *("shell", "sigterm_timeout", "sigkill_timeout", "emulate_tty", "output", "output_format", "cached_output"),
    *("log_cmd", "on_exit", "respawn", "respawn_delay"),
}
_TEXTS = {  # substitutions for launch: a text, never a number or a path
    *("default_value", "description", "reason", "package", "executable", "exec_name", "name", "namespace", "prefix"),
    *("output", "output_format", "cwd", "sigterm_timeout", "sigkill_timeout"),
}


class Recorded:
    """Remembers what it was made with; TypeError, ValueError where launch would not take it."""

    places = 0  # how many arguments go without a name
    takes: ClassVar[set[str]] = set()
    needs: ClassVar[set[str]] = set()

    def __init__(self, *args: object, **kwargs: object) -> None:
        name = type(self).__name__
        if len(args) > self.places or kwargs.keys() - self.takes - self.needs or self.needs - kwargs.keys():
            raise TypeError(
                f"{name} takes {self.places} unnamed, needs {self.needs} and may have {self.takes}: {kwargs}"
            )
        for key, value in kwargs.items():
            if key in _TEXTS and not (value is None or isinstance(value, str)):
                raise TypeError(f"{name}: {key}={value!r} is no text")
        self.args, self.kwargs = args, kwargs


class LaunchDescription(Recorded):
    """launch.LaunchDescription."""

    places, takes = 1, {"deprecated_reason"}


class DeclareLaunchArgument(Recorded):
    """launch.actions.DeclareLaunchArgument; the default must be among the choices, which are not empty."""

    places, takes = 1, _ACTION | {"default_value", "description", "choices"}

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        choices = kwargs.get("choices")
        if choices is not None and kwargs.get("default_value") not in choices:
            raise ValueError(f"{args}: {kwargs}")


class OpaqueFunction(Recorded):
    """launch.actions.OpaqueFunction."""

    takes, needs = _ACTION | {"args", "kwargs"}, {"function"}


class Shutdown(Recorded):
    """launch.actions.Shutdown."""

    takes = _ACTION | {"reason"}


class ExecuteProcess(Recorded):
    """launch.actions.ExecuteProcess; every word of the command is a text."""

    takes, needs = _PROCESS, {"cmd"}

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if not all(isinstance(word, str) for word in kwargs["cmd"]):
            raise TypeError(f"ExecuteProcess: cmd={kwargs['cmd']}")


class Node(Recorded):
    """launch_ros.actions.Node; parameters are a list, remappings pairs."""

    takes = _PROCESS | {"package", "namespace", "exec_name", "parameters", "remappings", "ros_arguments", "arguments"}
    needs: ClassVar[set[str]] = {"executable"}

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if not isinstance(kwargs.get("parameters", []), list):
            raise TypeError(f"Node: parameters={kwargs['parameters']}")
        if not all(len(pair) == 2 for pair in kwargs.get("remappings", [])):
            raise TypeError(f"Node: remappings={kwargs['remappings']}")


def modules() -> dict[str, types.ModuleType]:
    """To be put into `sys.modules`."""
    found = {name: types.ModuleType(name) for name in ("launch", "launch.actions", "launch_ros", "launch_ros.actions")}
    found["launch"].LaunchDescription = LaunchDescription
    for one in (DeclareLaunchArgument, OpaqueFunction, Shutdown, ExecuteProcess):
        setattr(found["launch.actions"], one.__name__, one)
    found["launch_ros.actions"].Node = Node
    return found
