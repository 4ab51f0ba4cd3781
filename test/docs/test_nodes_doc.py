"""docs/NODES.md says what the code says: parameters, commands and their options, keys of the profiles, error codes."""

import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node

from grasp_core.arm import ArmProfile
from grasp_core.board import Board
from grasp_core.camera import CameraProfile
from grasp_core.cell import Cell
from grasp_core.errors import ErrorCode
from grasp_core.gripper import Gripper
from seegrasp.__main__ import COMMANDS, load
from seegrasp.bringup_config import BringupSpec
from test.docs.doc_tables import DOCS, code, keys, options, rows, section

ROOT = Path(__file__).resolve().parents[2]
DOC = DOCS / "NODES.md"
PROFILES: dict[str, type[BaseModel]] = {
    "arms": ArmProfile,
    "grippers": Gripper,
    "cameras": CameraProfile,
    "boards": Board,
    "cells": Cell,
    "bringup": BringupSpec,
}
ELSEWHERE = ("bench", "learn")  # their options are in BENCHMARK.md and LEARNING.md
NODES = {path.stem: path for path in sorted(ROOT.glob("*/nodes/*_node.py"))}


# Parameters.


class _Declared(Exception):
    """All parameters of a node are declared: what else it does is of no interest."""


@dataclass
class _Recorder:
    """In place of grasp_ros.params.Params: notes the declarations, with the defaults as values."""

    found: dict[str, str] = field(default_factory=dict)  # name -> row of the table

    def __call__(self, node: Node) -> "_Recorder":
        return self

    def declare(
        self,
        name: str,
        default: Any,
        description: str,
        min: float | None = None,
        max: float | None = None,
        choices: Any = None,
    ) -> Any:
        cells = (f"`{name}`", kind(default), f"`{shown(default)}`", bounds(min, max, choices), description)
        self.found[name] = f"| {' | '.join(cells)} |"
        return default

    def free(self, prefix: str) -> dict[str, Any]:
        text = "any, handed to the detector; see below"
        self.found[f"{prefix}.*"] = f"| `{prefix}.*` | any | none | | {text} |"
        return {}

    def check_unknown(self) -> None:
        raise _Declared


def kind(default: Any) -> str:
    return "string" if isinstance(default, str) else type(default).__name__


def shown(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return repr(default).replace("'", '"') if isinstance(default, (str, list)) else repr(default)


def bounds(low: float | None, high: float | None, choices: Any) -> str:
    if choices:
        return ", ".join(f"`{c}`" for c in choices)
    texts = ["" if bound is None else f"{bound:g}" for bound in (low, high)]
    return f"{texts[0]} to {texts[1]}" if all(texts) else f"from {texts[0]}" if texts[0] else ""


def node_class(name: str) -> type[Node]:
    module = importlib.import_module(".".join(NODES[name].relative_to(ROOT).with_suffix("").parts))
    found = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Node)]
    (node,) = (c for c in found if c.__module__ == module.__name__)
    return node


def modules(node: type[Node]) -> list[ModuleType]:
    """Ours in which the node and what it is based on are written."""
    found = [sys.modules[base.__module__] for base in node.__mro__ if issubclass(base, Node)]
    return [module for module in found if Path(module.__file__).is_relative_to(ROOT / module.__name__.split(".")[0])]


def declared(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Parameter -> row, as the node's constructor declares them; no ROS graph is joined."""
    node = node_class(name)
    recorder = _Recorder()
    for base in (Node, LifecycleNode):
        monkeypatch.setattr(base, "__init__", lambda self, *_, **__: None)
    for module in modules(node):
        if hasattr(module, "Params"):
            monkeypatch.setattr(module, "Params", recorder)
    with pytest.raises(_Declared):
        node()
    return recorder.found


@pytest.mark.parametrize("name", NODES)
def test_parameters(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = declared(name, monkeypatch)
    told = {code(cells[0]): cells for cells in rows(section(DOC, name), "parameter")}
    problems = [f"remove {p!r}: the node does not declare it" for p in told.keys() - wanted.keys()]
    for parameter, row in wanted.items():
        if told.get(parameter) != rows(f"| parameter |\n{row}", "parameter")[0]:
            problems.append(f"{'correct' if parameter in told else 'add'} {parameter!r}: {row}")
    if not problems and list(told) != list(wanted):
        problems.append(f"put them in the order of the code: {', '.join(wanted)}")
    assert not problems, f"docs/NODES.md, {name}:\n" + "\n".join(problems)


# Diagnostics.


@pytest.mark.parametrize("name", NODES)
def test_diagnostics(name: str) -> None:
    source = "".join(Path(module.__file__).read_text(encoding="utf-8") for module in modules(node_class(name)))
    wanted = {f"{name}: {status}" for status in re.findall(r"iagnostics(?:\(self\))?\.add\(\"(\w+)\"", source)}
    assert wanted, f"{NODES[name]}: no Diagnostics.add found"
    told = {code(cells[0]) for cells in rows(section(DOC, name), "status")}
    assert told == wanted, f"docs/NODES.md, {name}: statuses {sorted(told)}, the code has {sorted(wanted)}"


# Error codes.


def test_error_codes_exist() -> None:
    text = section(DOC, "Error codes")
    named = {code(cells[0]): cells[1] for cells in rows(text, "code")}
    assert named == {c.name: str(c.value) for c in ErrorCode}


@pytest.mark.parametrize("name", NODES)
def test_error_codes_of_a_node_exist(name: str) -> None:
    named = [c for cells in rows(section(DOC, name), "codes") for c in re.findall(r"`(\w+)`", cells[0])]
    unknown = sorted(set(named) - set(ErrorCode.__members__))
    assert not unknown, f"docs/NODES.md, {name}: no such error code: {', '.join(unknown)}"


# Commands.


def test_commands() -> None:
    told = {code(cells[0]): cells[1] for cells in rows(section(DOC, "Command line"), "command")}
    assert told == {f"seegrasp {name}": command.help for name, command in COMMANDS.items()}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ELSEWHERE])
def test_options(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = options(lambda: load(name)([]), monkeypatch)
    told = {code(cells[1]).split()[0] for cells in rows(section(DOC, "Command line"), "of") if cells[0] == name}
    assert told == wanted, f"docs/NODES.md, options of `seegrasp {name}`"


# Keys of the profiles.


@pytest.mark.parametrize("folder", PROFILES)
def test_keys_of_profiles(folder: str) -> None:
    told = [code(cells[0]) for cells in rows(section(DOC, f"config/{folder}"), "key")]
    wanted = list(keys(PROFILES[folder]))
    missing, extra = sorted(set(wanted) - set(told)), sorted(set(told) - set(wanted))
    assert told == wanted, f"docs/NODES.md, config/{folder}: missing {missing}, not in the code {extra}, or in disorder"


# The test itself.


def test_a_table_is_read() -> None:
    text = r"""
| parameter | type |
|---|---|
| `a` | x \| y |

| other | type |
|---|---|
| `b` | z |
"""
    assert rows(text, "parameter") == [["`a`", "x | y"]]


@pytest.mark.parametrize(
    ("function", "given", "text"),
    [
        (shown, True, "true"),
        (shown, "", '""'),
        (shown, 0.5, "0.5"),
        (lambda b: bounds(*b, None), (0.0, None), "from 0"),
        (lambda b: bounds(*b, None), (0.1, 5), "0.1 to 5"),
        (lambda b: bounds(*b, ("x", "y")), (None, None), "`x`, `y`"),
    ],
)
def test_values_are_shown(function: Callable[[Any], str], given: Any, text: str) -> None:
    assert function(given) == text
