"""What a bringup starts: config/bringup/<name>.yaml, read by `seegrasp up` and by launch/*.launch.py alike.

    description: one line
    arguments:                   # what a user may set: `--set seed:=3`, or `seed:=3` after ros2 launch
      seed: {default: 0, description: of the scene}
      noise: {default: true, description: of the depth camera}
    nodes:
      - name: sim_node
        module: grasp_sim.nodes.sim_node   # its main() is the node
        executable: sim_node               # the same under `ros2 run seegrasp`
        parameters: {use_sim_time: true, seed: ${seed}}
        remappings: {from: to}
        namespace: ${namespace}
        condition: noise                   # a boolean argument; or `not noise`, `scene == bin`, `a and b != c`
      - name: player                       # a plain program: `arguments` instead of parameters
        module: seegrasp.__main__
        arguments: [replay, "${bag}"]      # an empty argument is an error: it has to be given
        optional_arguments: ["--x=${x}"]   # each is left out while its argument is empty
        may_end: true                      # its end, if it is a good one, ends nothing else

`${name}` alone is the argument with its type; inside a longer text, such as the default of another argument, it is
inserted as text. `--set node.parameter:=value` sets a parameter of one node.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from grasp_core.config import StrictModel, find, load_model
from grasp_core.errors import ConfigError

Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
_REFERENCE = re.compile(r"\$\{(\w+)\}")
_TERM = r"(not \w+|\w+( [!=]= \w+)?)"
_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Argument(StrictModel):
    """Something a user may set."""

    default: Scalar
    description: str
    choices: tuple[Scalar, ...] = ()


class NodeSpec(StrictModel):
    """A node as written in the file."""

    name: str = Field(pattern=_NAME)
    module: str = Field(pattern=r"^[A-Za-z_][\w.]*$")
    executable: str = Field("", pattern=rf"^$|{_NAME}")
    parameters: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict)
    remappings: dict[str, str] = Field(default_factory=dict)
    namespace: str = ""
    condition: str = Field("", pattern=rf"^({_TERM}( and {_TERM})*)?$")
    arguments: tuple[Scalar, ...] = ()
    optional_arguments: tuple[str, ...] = ()
    may_end: bool = False


class BringupSpec(StrictModel):
    """A bringup file."""

    description: str
    arguments: dict[str, Argument] = Field(default_factory=dict)
    nodes: tuple[NodeSpec, ...]


@dataclass(frozen=True)
class NodePlan:
    """A node with every argument filled in: what is started."""

    name: str
    module: str
    executable: str
    parameters: Mapping[str, Any]
    remappings: Mapping[str, str]
    namespace: str = ""
    arguments: tuple[str, ...] = ()
    may_end: bool = False

    @property
    def label(self) -> str:
        """Name with namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def ros_args(self, params_file: str | None) -> list[str]:
        """The node's command line after its program.

        A process may hold helper nodes beside the main one (named like its executable), so only that one is renamed.
        """
        args = ["--ros-args"]
        if self.name != self.executable:
            args += ["-r", f"{self.executable}:__node:={self.name}"]
        if self.namespace:
            args += ["-r", f"__ns:=/{self.namespace.strip('/')}"]
        for old, new in self.remappings.items():
            args += ["-r", f"{old}:={new}"]
        return [*args, "--params-file", params_file] if params_file else args


def load(name: str) -> BringupSpec:
    """The bringup of a name in config/bringup, or of a path; ConfigError names file and key."""
    path = find("bringup", name)
    spec = load_model(path, BringupSpec, "bringup")
    _check(spec, str(path))
    return spec


def _check(spec: BringupSpec, path: str) -> None:
    names = [n.name for n in spec.nodes]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: nodes: {name!r} stands there twice; node names must differ")
    for key, argument in spec.arguments.items():
        if argument.choices and argument.default not in argument.choices:
            raise ConfigError(f"{path}: arguments.{key}.default: {argument.default!r} is not one of its choices")
    defaults = [str(a.default) for a in spec.arguments.values()]
    for node in spec.nodes:
        texts = [*node.parameters.values(), *node.remappings.values(), node.namespace, *defaults]
        texts += [*node.arguments, *node.optional_arguments]
        for reference in (r for text in texts if isinstance(text, str) for r in _REFERENCE.findall(text)):
            if reference not in spec.arguments:
                raise ConfigError(f"{path}: node {node.name}: ${{{reference}}} is not among the arguments")
        if not node.arguments and not node.executable:
            raise ConfigError(f"{path}: node {node.name}: executable: missing")
        if node.optional_arguments and not node.arguments:
            raise ConfigError(f"{path}: node {node.name}: optional_arguments follow arguments: there are none")
        if node.arguments and (node.parameters or node.remappings or node.namespace):
            raise ConfigError(f"{path}: node {node.name}: a plain program (arguments) has nothing else of a node")
        _check_condition(node, spec, path)


def _check_condition(node: NodeSpec, spec: BringupSpec, path: str) -> None:
    for name, operator, wanted in _terms(node.condition):
        argument = spec.arguments.get(name)
        if operator in ("", "not") and not isinstance(getattr(argument, "default", None), bool):
            raise ConfigError(f"{path}: node {node.name}: condition {name!r} is not a true/false argument")
        if operator in ("==", "!=") and wanted not in (() if argument is None else map(str, argument.choices)):
            raise ConfigError(f"{path}: node {node.name}: condition: {wanted!r} is not among the choices of {name!r}")


def _terms(condition: str) -> list[tuple[str, str, str]]:
    """Name, operator (empty, not, ==, !=) and value of each term that has to hold."""
    out = []
    for term in condition.split(" and ") if condition else []:
        name, operator, wanted = (*term.removeprefix("not ").split(" "), "", "")[:3]
        out.append((name, "not" if term.startswith("not ") else operator, wanted))
    return out


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """`["seed:=3"]` as `{"seed": "3"}`."""
    parsed = {}
    for setting in settings:
        key, separator, value = setting.partition(":=")
        if not separator or not key:
            raise ConfigError(f"--set {setting!r}: expected key:=value, such as seed:=3 or camera_node.voxel:=0.004")
        parsed[key] = value
    return parsed


def resolve(spec: BringupSpec, settings: Mapping[str, str]) -> list[NodePlan]:
    """Fill the settings (argument, or node.parameter -> text) in; ConfigError on unknown keys and wrong types."""
    values = {key: argument.default for key, argument in spec.arguments.items()}
    overrides: dict[str, dict[str, Any]] = {node.name: {} for node in spec.nodes}
    for key, text in settings.items():
        node, _, parameter = key.partition(".")
        if key in values:
            values[key] = typed(key, text, spec.arguments[key])
        elif parameter and node in overrides:
            overrides[node][parameter] = yaml.safe_load(text)
        else:
            raise ConfigError(
                f"no argument {key!r}; there are {', '.join(values) or 'none'}, and node.parameter with a node of "
                f"{', '.join(overrides)}"
            )
    values = {key: _fill(value, values) for key, value in values.items()}
    return [_plan(node, values, overrides[node.name]) for node in spec.nodes if _wanted(node, values)]


def typed(key: str, text: str, argument: Argument) -> Any:
    """A setting's text as a value of the default's type; ConfigError says what was expected."""
    default = argument.default
    value = text if isinstance(default, str) else yaml.safe_load(text)
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        raise ConfigError(f"{key}:={text}: expected {type(default).__name__}, such as {default!r}")
    if argument.choices and value not in argument.choices:
        raise ConfigError(f"{key}:={text}: expected one of {', '.join(map(str, argument.choices))}")
    return value


def _wanted(node: NodeSpec, values: Mapping[str, Any]) -> bool:
    holds = {
        "": lambda value, _: bool(value),
        "not": lambda value, _: not value,
        "==": lambda value, wanted: str(value) == wanted,
        "!=": lambda value, wanted: str(value) != wanted,
    }
    return all(holds[operator](values[name], wanted) for name, operator, wanted in _terms(node.condition))


def _plan(node: NodeSpec, values: Mapping[str, Any], overrides: Mapping[str, Any]) -> NodePlan:
    parameters = {key: _fill(value, values) for key, value in node.parameters.items()} | dict(overrides)
    remappings = {key: str(_fill(value, values)) for key, value in node.remappings.items()}
    namespace = str(_fill(node.namespace, values)).strip("/")
    for text in node.arguments:
        if empty := _empty(text, values):
            raise ConfigError(f"{node.name} needs the argument {empty[0]!r}: give {empty[0]}:=…")
    given = [text for text in node.optional_arguments if not _empty(text, values)]
    arguments = tuple(str(_fill(value, values)) for value in (*node.arguments, *given))
    return NodePlan(node.name, node.module, node.executable, parameters, remappings, namespace, arguments, node.may_end)


def _empty(text: Any, values: Mapping[str, Any]) -> list[str]:
    return [name for name in _REFERENCE.findall(str(text)) if values[name] == ""]


def _fill(value: Any, values: Mapping[str, Any]) -> Any:
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    return values[whole[1]] if whole else _REFERENCE.sub(lambda match: str(values[match[1]]), value)
