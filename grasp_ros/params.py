"""Node parameters with type, range and description; wrong and unknown ones are errors that say what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from grasp_core.errors import ConfigError

_OWN = ("use_sim_time", "start_type_description_service")
_PREFIX_OWN = ("qos_overrides.",)


class Params:
    """Declares a node's parameters (read-only at run time) and refuses overrides that nobody declared.

    An integer given for a float is taken as that float, so that `rate:=5` works.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._overrides: dict[str, Any] = {name: p.value for name, p in node._parameter_overrides.items()}
        self._known: set[str] = set()

    def declare(
        self,
        name: str,
        default: Any,
        description: str,
        min: float | None = None,
        max: float | None = None,
        choices: Sequence[Any] | None = None,
    ) -> Any:
        """Declare one parameter and return its value: the override if there is one, else the default.

        Types: bool, int, float, str, list[float], list[str], as the default shows. ConfigError on a wrong type, a
        value out of [min, max] or not among the choices.
        """
        value = self._typed(name, self._overrides.get(name, default), default)
        if isinstance(value, (int, float)) and not _inside(value, min, max):
            raise self._error(name, value, f"a number in [{_bound(min)}, {_bound(max)}]")
        if choices is not None and value not in choices:
            raise self._error(name, value, f"one of {', '.join(map(repr, choices))}")
        descriptor = ParameterDescriptor(
            description=description,
            read_only=True,
            dynamic_typing=isinstance(default, list),
            additional_constraints=f"one of {', '.join(map(str, choices))}" if choices else "",
        )
        _set_range(descriptor, default, min, max)
        self._node.declare_parameter(name, value, descriptor, ignore_override=True)
        self._known.add(name)
        return value

    def free(self, prefix: str) -> dict[str, Any]:
        """All overrides below `prefix.` as a dict, for plugins whose parameters the node cannot know."""
        found = {name: value for name, value in self._overrides.items() if name.startswith(prefix + ".")}
        for name, value in found.items():
            self._node.declare_parameter(
                name, value, ParameterDescriptor(read_only=True, dynamic_typing=True), ignore_override=True
            )
        self._known.update(found)
        return {name[len(prefix) + 1 :]: value for name, value in found.items()}

    def check_unknown(self) -> None:
        """ConfigError naming every override that was never declared (call it after the last `declare`)."""
        given = {n for n in self._overrides if n not in _OWN and not n.startswith(_PREFIX_OWN)}
        unknown = sorted(given - self._known)
        if unknown:
            raise ConfigError(
                f"node {self._node.get_fully_qualified_name()} has no parameter "
                f"{', '.join(map(repr, unknown))}; it has: {', '.join(sorted(self._known))}"
            )

    def _typed(self, name: str, value: Any, default: Any) -> Any:
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if isinstance(default, list):
            if not isinstance(value, (str, bytes)) and isinstance(value, Sequence):
                kind = type(default[0]) if default else None
                return [self._typed(f"{name}[{i}]", v, kind(0)) for i, v in enumerate(value)] if kind else list(value)
            raise self._error(name, value, "a list")
        if type(value) is not type(default):
            raise self._error(name, value, f"a {type(default).__name__}")
        return value

    def _error(self, name: str, value: Any, expected: str) -> ConfigError:
        node = self._node.get_fully_qualified_name()
        return ConfigError(
            f"parameter '{name}' of node {node} is {value!r} ({type(value).__name__}): expected {expected}; "
            f"set it with --ros-args -p {name}:=..."
        )


def _inside(value: float, low: float | None, high: float | None) -> bool:
    return value == value and (low is None or value >= low) and (high is None or value <= high)


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def _set_range(descriptor: ParameterDescriptor, default: Any, low: float | None, high: float | None) -> None:
    if low is None and high is None:
        return
    if isinstance(default, float):
        infinite = float("inf")
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=-infinite if low is None else float(low), to_value=infinite if high is None else float(high)
            )
        ]
    elif isinstance(default, int):
        descriptor.integer_range = [
            IntegerRange(
                from_value=-(2**63) if low is None else int(low), to_value=2**63 - 1 if high is None else int(high)
            )
        ]
