"""The messages that docs/TROUBLESHOOTING.md quotes are messages of the code, and those of the drivers are quoted."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "TROUBLESHOOTING.md"
PACKAGES = ("arm_control", "grasp_core", "grasp_perception", "grasp_ros", "grasp_sim", "hand_eye", "seegrasp")
TOLD = ("action_call.py", "gripper.py", "trajectory.py", "moveit/moveit_py.py", "ur/link.py", "ur/robotiq.py")
ERRORS = {"ArmFault", "ConfigError", "ExecutionError", "LinkFault"}


def quoted() -> list[str]:
    """What stands between backticks in the first column of a table and is more than a name."""
    cells = [line.split("|")[1] for line in DOC.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [text for cell in cells for text in re.findall(r"`([^`]+)`", cell) if " " in text]


def pieces(message: str) -> list[str]:
    """What is constant in a quoted message: the parts between …, <…> and numbers."""
    parts = (part.strip(" :;,.()'`") for part in re.split(r"…|<[^>]*>|\d+", message))
    return [part for part in parts if len(part) > 3]


def text(node: ast.expr) -> str:
    """A string of the code, with … for what is filled in; "" for everything else."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@cache
def texts() -> tuple[str, ...]:
    """Every string of the code, with … for what is filled in; the shell's environment as one."""
    found = [(ROOT / "tools" / "env.sh").read_text(encoding="utf-8")]
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            found += [text(node) for node in nodes if isinstance(node, ast.expr)]
    return tuple(filter(None, found))


def raised() -> list[str]:
    """What the drivers of arm and gripper raise for a user to read, where it has words of its own."""
    found = []
    for path in (ROOT / "arm_control" / "drivers" / name for name in TOLD):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            call = node.exc if isinstance(node, ast.Raise) else None
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ERRORS:
                found.append(text(call.args[0]))
    return [message for message in found if pieces(message)]


@pytest.mark.parametrize("message", quoted())
def test_message_is_in_the_code(message: str) -> None:
    wanted = pieces(message)
    assert any(all(piece in text for piece in wanted) for text in texts()), (
        f"docs/TROUBLESHOOTING.md quotes {message!r}, which no string of the code contains"
    )


@pytest.mark.parametrize("message", raised())
def test_what_a_driver_says_is_in_the_document(message: str) -> None:
    assert any(all(piece in message for piece in pieces(row)) for row in quoted() if pieces(row)), (
        f"no row of docs/TROUBLESHOOTING.md says what to do about {message!r}"
    )


def test_a_pause_that_ends_a_goal_is_in_the_document() -> None:
    assert any("cannot be taken up again" in row for row in quoted())


def test_messages_are_found_in_the_document() -> None:
    assert len(quoted()) > 20
    assert len(raised()) > 20
    assert pieces("no tf: `nothing on <topic> … (0 publishers)`") == ["no tf: `nothing on", "publishers"]
