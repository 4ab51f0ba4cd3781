"""The messages that docs/TROUBLESHOOTING.md quotes are messages of the code."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "TROUBLESHOOTING.md"
PACKAGES = ("arm_control", "grasp_core", "grasp_perception", "grasp_ros", "grasp_sim", "hand_eye", "seegrasp")


def quoted() -> list[str]:
    """What stands between backticks in the first column of a table and is more than a name."""
    cells = [line.split("|")[1] for line in DOC.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [text for cell in cells for text in re.findall(r"`([^`]+)`", cell) if " " in text]


def pieces(message: str) -> list[str]:
    """What is constant in a quoted message: the parts between …, <…> and numbers."""
    parts = (part.strip(" :;,.()'`") for part in re.split(r"…|<[^>]*>|\d+", message))
    return [part for part in parts if len(part) > 3]


@cache
def texts() -> tuple[str, ...]:
    """Every string of the code, with … for what is filled in; the shell's environment as one."""
    found = [(ROOT / "tools" / "env.sh").read_text(encoding="utf-8")]
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    found.append("".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return tuple(found)


@pytest.mark.parametrize("message", quoted())
def test_message_is_in_the_code(message: str) -> None:
    wanted = pieces(message)
    assert any(all(piece in text for piece in wanted) for text in texts()), (
        f"docs/TROUBLESHOOTING.md quotes {message!r}, which no string of the code contains"
    )


def test_messages_are_found_in_the_document() -> None:
    assert len(quoted()) > 20
    assert pieces("no tf: `nothing on <topic> … (0 publishers)`") == ["no tf: `nothing on", "publishers"]
