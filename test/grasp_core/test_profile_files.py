"""Profiles of one's own: found by search path or path, extending others, wrong ones refused by file, line and key."""

from pathlib import Path

import numpy as np
import pytest

from grasp_core import config
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError
from grasp_core.gripper import Gripper

MINE = """\
# pads of my own
extends: robotiq_2f85
name: mine
finger:
  thickness: 0.02
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of profiles in the search path."""
    (tmp_path / "grippers").mkdir()
    (tmp_path / "grippers" / "mine.yaml").write_text(MINE, encoding="utf-8")
    monkeypatch.setenv("SEEGRASP_CONFIG", str(tmp_path))
    return tmp_path


def said(path: Path, text: str, load=Gripper.load) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load(str(path))
    return str(error.value)


def test_a_gripper_in_a_folder_of_ones_own_is_found_by_name(folder: Path) -> None:
    mine, shipped = Gripper.load("mine"), Gripper.load("robotiq_2f85")
    assert (mine.name, mine.finger.thickness, mine.finger.width) == ("mine", 0.02, shipped.finger.width)
    assert mine.driver == shipped.driver
    assert {"mine", "robotiq_2f85", "robotiq_2f140"} <= set(config.names("grippers"))


def test_ones_own_comes_before_the_shipped_one(folder: Path) -> None:
    (folder / "grippers" / "robotiq_2f140.yaml").write_text(MINE.replace("name: mine", "name: robotiq_2f140"))
    assert Gripper.load("robotiq_2f140").max_width == Gripper.load("robotiq_2f85").max_width


def test_a_path_needs_no_search_path(tmp_path: Path) -> None:
    (tmp_path / "hand.yaml").write_text(MINE, encoding="utf-8")
    (tmp_path / "wider.yaml").write_text("extends: hand.yaml\nname: wider\nmass: 2.0\n", encoding="utf-8")
    assert Gripper.load(str(tmp_path / "wider.yaml")).finger.thickness == 0.02


def test_an_arm_that_extends_finds_the_urdf_of_the_one_below(tmp_path: Path) -> None:
    path = tmp_path / "lyrical.yaml"
    action = "/joint_trajectory_controller/follow_joint_trajectory"
    path.write_text(f"extends: ur5e\nname: lyrical\ndriver:\n  trajectory_action: {action}\n")
    arm, shipped = ArmProfile.load(str(path)), ArmProfile.load("ur5e")
    assert arm.urdf_path == shipped.urdf_path
    assert arm.driver.trajectory_action == action
    assert arm.driver.joint_states == shipped.driver.joint_states
    path.write_text("extends: ur5e\nname: other\nurdf: other.urdf\n")
    with pytest.raises(ConfigError, match=str(tmp_path / "other.urdf")):
        _ = ArmProfile.load(str(path)).urdf_path


def test_an_error_names_file_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    for text, line, key in (
        (MINE.replace("thickness: 0.02", "thickness: thick"), 5, "finger.thickness"),
        (MINE + "colour: red\n", 6, "colour"),
        (MINE.replace("  thickness", "  thikness"), 5, "finger.thikness"),
        (MINE + "joint:\n  width: [0.0, -1.0]\n", 6, "joint"),
    ):
        assert f"{path}, line {line}: {key}: " in said(path, text)


def test_an_error_in_the_file_below_names_that_file(tmp_path: Path) -> None:
    below = tmp_path / "below.yaml"
    below.write_text(MINE + "mass: heavy\n", encoding="utf-8")
    assert f"{below}, line 6: mass: " in said(tmp_path / "above.yaml", "extends: below.yaml\nname: above\n")


def test_an_error_in_a_list_names_its_line(tmp_path: Path) -> None:
    text = config.find("cells", "bin_picking").read_text(encoding="utf-8")
    text = text.replace("    rate: 2.0\n", "    rate: -2.0\n")
    line = text.splitlines().index("    rate: -2.0") + 1
    path = tmp_path / "cell.yaml"
    assert f"{path}, line {line}: cameras.1.rate: " in said(path, text, Cell.load)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: [1\nmass: 2\n", "line 2: not valid YAML"),
        ("name: a\nmass: 1.0\nname: b\n", "line 3: name: stands there twice"),
        ("extends: [a]\n", "line 1: extends: expected a name or a path"),
        ("extends: nobody\n", "no grippers profile 'nobody'"),
        ("extends: mine.yaml\n", "leads back to it"),
    ],
)
def test_files_that_cannot_be_read_say_where(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in said(tmp_path / "mine.yaml", text)


def test_a_search_path_that_is_no_folder_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEGRASP_CONFIG", "/no/such/folder")
    with pytest.raises(ConfigError, match="SEEGRASP_CONFIG: /no/such/folder is no folder"):
        Gripper.load("mine")


def test_position_limits_must_fit_the_joints(tmp_path: Path) -> None:
    path = tmp_path / "arm.yaml"
    limits = "position_limits: [[-1, 1], [-2, 0], [-2, 2], [-3, 3], [-3, 3], [-6, 6]]\n"
    path.write_text("extends: ur5e\nname: narrow\n" + limits, encoding="utf-8")
    np.testing.assert_allclose(ArmProfile.load(str(path)).position_limits_array()[:, 1], [-2, 0])
    assert "position_limits has 1 entries" in said(path, "extends: ur5e\nposition_limits: [[-1, 1]]\n", ArmProfile.load)
    assert "low < high" in said(path, "extends: ur5e\n" + limits.replace("[-1, 1]", "[1, -1]"), ArmProfile.load)


def test_the_support_below_a_point(tmp_path: Path) -> None:
    cell = Cell.load("bin_picking")
    points = [[*cell.bin.center, 0.2], [*cell.tray.center, 0.2], [0.0, -0.4, 0.2]]
    expected = [cell.table.height + t for t in (cell.bin.floor_thickness, cell.tray.floor_thickness, 0.0)]
    np.testing.assert_allclose(cell.support_below(points), expected)
