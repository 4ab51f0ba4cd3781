"""What docs/REAL_ROBOT.md tells to type and to write works: commands, arguments, profiles, links."""

import re
import shlex
from pathlib import Path

import pytest

from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from seegrasp.__main__ import COMMANDS
from seegrasp.bringup import _parser, _with_settings
from seegrasp.bringup_config import load, parse_settings, resolve

ROOT = Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "REAL_ROBOT.md"
TEXT = DOC.read_text(encoding="utf-8")


def lines(start: str) -> list[str]:
    """Command lines of the document's code blocks that begin so, without their comments."""
    blocks = re.findall(r"```\n(.*?)```", TEXT, re.DOTALL)
    found = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in found if line.startswith(start)]


@pytest.mark.parametrize("line", lines("seegrasp "))
def test_commands_exist(line: str) -> None:
    assert line.split()[1] in COMMANDS, line


@pytest.mark.parametrize("line", lines("seegrasp up "))
def test_up_takes_what_is_given(line: str) -> None:
    args = _parser().parse_args(_with_settings(shlex.split(line)[2:]))
    assert resolve(load(args.bringup), parse_settings(args.settings))


@pytest.mark.parametrize("line", lines("ros2 launch seegrasp "))
def test_launch_files_take_what_is_given(line: str) -> None:
    _, _, _, file, *settings = shlex.split(line)
    assert (ROOT / "launch" / file).is_file()
    assert resolve(load(file.removesuffix(".launch.py")), parse_settings(settings))


def test_profiles_of_ones_own_load(tmp_path: Path) -> None:
    cell, arm = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    for name, text in (("cell", cell), ("arm", arm)):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    mine = Cell.load(str(tmp_path / "cell.yaml"))
    assert (mine.arm, mine.safety.min_height, mine.bin.wall_height) == ("ur5e", 0.003, 0.075)
    assert ArmProfile.load(str(tmp_path / "arm.yaml")).dof == 7


def anchors(doc: Path) -> set[str]:
    """Of the headings of a document, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", doc.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]*)\)", TEXT))
def test_links_lead_somewhere(link: str) -> None:
    file, _, anchor = link.partition("#")
    doc = ROOT / "docs" / file if file else DOC
    assert doc.is_file(), link
    assert not anchor or anchor in anchors(doc), link
