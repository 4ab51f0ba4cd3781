"""What docs/REAL_ROBOT.md tells to type and to write works: commands, arguments, profiles, links, and their order."""

import re
import shlex
from datetime import datetime, timezone
from pathlib import Path

import pytest

from grasp_core.arm import ArmProfile
from grasp_core.calibration import Calibration, Error
from grasp_core.cell import Cell
from hand_eye.nodes import calibrate
from seegrasp.__main__ import COMMANDS
from seegrasp.bringup import _parser, _with_settings
from seegrasp.bringup_config import load, parse_settings, resolve

ROOT = Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "REAL_ROBOT.md"
TEXT = DOC.read_text(encoding="utf-8")
UR = TEXT[: TEXT.index("## Measuring stops")]
# Arguments that the vendors' launch files declare (or pass to those that they include), of those that are used here:
# Universal_Robots_ROS2_Driver (ur_calibration, ur_robot_driver, ur_moveit_config), realsense-ros, flexiv_ros2.
VENDORS = {
    ("ur_calibration", "calibration_correction.launch.py"): {"robot_ip", "target_filename"},
    ("ur_robot_driver", "ur_control.launch.py"): {"ur_type", "robot_ip", "kinematics_params_file", "launch_rviz"}
    | {"description_launchfile", "controllers_file"},
    ("ur_moveit_config", "ur_moveit.launch.py"): {"ur_type", "launch_rviz"},
    ("realsense2_camera", "rs_launch.py"): {
        *("align_depth.enable", "enable_sync", "depth_module.depth_profile", "rgb_camera.color_profile"),
        *("serial_no", "camera_namespace", "json_file_path", "decimation_filter.enable"),
    },
}


def lines(start: str, text: str = TEXT) -> list[str]:
    """Command lines of the code blocks that begin so, without their comments; a \\ at the end goes on."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    blocks = [block for language, block in fenced if language in ("", "bash")]
    found = [line.split("  #")[0].strip() for block in blocks for line in re.sub(r"\\\n", "", block).splitlines()]
    return [line for line in found if line.startswith(start)]


@pytest.mark.parametrize("line", lines("seegrasp "))
def test_commands_exist(line: str) -> None:
    assert line.split()[1] in COMMANDS, line


@pytest.mark.parametrize("line", lines("seegrasp up "))
def test_up_takes_what_is_given(line: str) -> None:
    args = _parser().parse_args(_with_settings(shlex.split(line)[2:]))
    assert resolve(load(args.bringup), parse_settings(args.settings))


def settings(name: str) -> set[str]:
    """`key:=value` of every code span of a document."""
    spans = re.findall(r"`([^`\n]+)`", (ROOT / "docs" / name).read_text(encoding="utf-8"))
    return {word for span in spans for word in span.split() if re.match(r"[a-z_.]+:=", word)}


@pytest.mark.parametrize(
    "setting",
    sorted(settings("REAL_ROBOT.md") | settings("TROUBLESHOOTING.md") | settings("CAMERAS.md") | settings("MOVEIT.md")),
)
def test_what_is_to_be_set_can_be_set(setting: str) -> None:
    """An argument of a bringup or of a vendor's launch file, or node.parameter of a node that has it."""
    key = setting.partition(":=")[0]
    bringups = [load(name) for name in ("sim", "ur5_realsense", "flexiv_realsense")]
    node, _, parameter = key.partition(".")
    if any(key in spec.arguments for spec in bringups) or any(key in known for known in VENDORS.values()):
        return
    if key == "node.parameter":  # says how
        return
    assert node in {node.name for spec in bringups for node in spec.nodes}, f"{key}: of which node?"
    table = (ROOT / "docs" / "NODES.md").read_text(encoding="utf-8").split(f"\n## {node}\n")[1].split("\n## ")[0]
    assert re.search(rf"\| `{parameter.partition('.')[0]}[`.]", table), f"{node} has no parameter {parameter}"


@pytest.mark.parametrize("line", lines("ros2 launch seegrasp "))
def test_launch_files_take_what_is_given(line: str) -> None:
    _, _, _, file, *settings = shlex.split(line)
    assert (ROOT / "launch" / file).is_file()
    assert resolve(load(file.removesuffix(".launch.py")), parse_settings(settings))


def vendor_lines() -> list[str]:
    texts = [
        (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("REAL_ROBOT.md", "CAMERAS.md", "MOVEIT.md")
    ]
    return [
        line for text in texts for line in lines("ros2 launch ", text) if not line.startswith("ros2 launch seegrasp")
    ]


@pytest.mark.parametrize("line", vendor_lines())
def test_the_vendors_launch_files_have_these_arguments(line: str) -> None:
    _, _, package, file, *settings = shlex.split(line.replace("<as below>", ""))
    assert {setting.partition(":=")[0] for setting in settings} <= VENDORS[package, file]


def test_the_bringup_starts_the_vendors_launch_files_with_arguments_that_they_have() -> None:
    plans = resolve(load("ur5_realsense"), parse_settings(["start_drivers:=true", "robot_ip:=10.0.0.2"]))
    started = [plan.arguments[2:] for plan in plans if plan.arguments[:2] == ("ros2", "launch")]
    assert {tuple(arguments[:2]) for arguments in started} == VENDORS.keys() - {
        ("ur_calibration", "calibration_correction.launch.py")
    }
    for package, file, *settings in started:
        assert {setting.partition(":=")[0] for setting in settings} <= VENDORS[package, file]


def test_nothing_is_asked_of_nodes_before_they_are_started() -> None:
    order = [line for line in lines("", UR) if line]
    started = {
        start: next(i for i, line in enumerate(order) if line.startswith(start))
        for start in ("ros2 launch ur_robot_driver", "ros2 launch realsense2_camera", "seegrasp up")
    }
    wants = re.compile(r"seegrasp (arm|pick|recover|doctor --(live|watch)|calibrate (?!--print))|ros2 (topic|service)")
    asking = [i for i, line in enumerate(order) if wants.match(line)]
    assert len(asking) > 6
    assert min(asking) > max(started.values())
    assert next(i for i, line in enumerate(order) if line == "seegrasp pick --count 1") > next(
        i for i, line in enumerate(order) if line.startswith("seegrasp calibrate --cell")
    )


@pytest.mark.parametrize("way", ["", "--driver rtde"])
def test_both_ways_are_started_in_a_dry_run_and_then_without(way: str) -> None:
    ups = [line for line in lines("seegrasp up ur5_realsense", UR) if ("--driver rtde" in line) == bool(way)]
    assert [("--dry-run true" in line) for line in ups] == [True, False]
    assert ups[0].replace(" --dry-run true", "") == ups[1]
    for line in ups:
        args = _parser().parse_args(_with_settings(shlex.split(line)[2:]))
        plans = {plan.name: plan for plan in resolve(load(args.bringup), parse_settings(args.settings))}
        assert plans["arm_node"].parameters["cell"] == "my_cell.yaml"
        if way:  # nothing of ROS is needed
            assert plans["arm_node"].parameters["planner"] == "builtin"
            assert plans["camera_node"].parameters["source"] == "realsense"
            assert "ur_driver_node" in plans


CALIBRATION = (ROOT / "docs" / "CALIBRATION.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", lines("seegrasp calibrate ") + lines("bin/seegrasp calibrate ", CALIBRATION))
def test_calibrate_takes_what_is_given(line: str) -> None:
    args = calibrate.parser().parse_args(shlex.split(line)[2:])
    assert args.print or args.cell == "my_cell.yaml"


def my_cell(folder: Path, calibrated: bool) -> Cell:
    """The cell of the document as a file, before and after its calibration is named."""
    text, named = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[0], "# calibration: "
    assert named in text
    (folder / "my_cell.yaml").write_text(text.replace(named, named[2:]) if calibrated else text, encoding="utf-8")
    return Cell.load(str(folder / "my_cell.yaml"))


def test_my_cell_loads_and_is_complete(tmp_path: Path) -> None:
    mine = my_cell(tmp_path, calibrated=False)
    assert (mine.arm, mine.gripper, mine.safety.min_height, mine.bin.wall_height) == (
        "ur5e",
        "robotiq_2f85",
        0.003,
        0.075,
    )
    (camera,) = mine.cameras
    assert (camera.parent, camera.hand_eye) == (ArmProfile.load(mine.arm).flange_frame, None)
    assert len(mine.poses["observe"]) == 6
    written = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[0]
    for key in ("arm", "gripper", "workspace", "table", "bin", "tray", "cameras", "safety", "poses"):
        assert re.search(rf"^{key}:", written, re.MULTILINE), f"{key} is not there to be measured"


def test_my_cell_takes_the_calibration_that_is_made_for_it(tmp_path: Path) -> None:
    (line,) = [line for line in lines("seegrasp calibrate ") if "--out" in line]
    args = calibrate.parser().parse_args(shlex.split(line)[2:])
    made = Calibration(
        mode="eye_in_hand",
        parent_frame="tool0",
        child_frame="camera_color_optical_frame",
        translation=(0.0, -0.07, 0.04),
        rotation=(0.0, 0.0, 0.0, 1.0),
        date=datetime(2026, 11, 21, tzinfo=timezone.utc),
        camera="camera",
        serial="",
        board="a4",
        square=0.028,
        views=15,
        rejected=0,
        residual=Error(mm=0.4, deg=0.05),
        pixels=0.2,
        uncertainty=Error(mm=0.3, deg=0.03),
        verdict="trust",
    )
    made.save(tmp_path / args.out)
    assert my_cell(tmp_path, calibrated=True).cameras[0].hand_eye == made


def test_an_arm_of_ones_own_loads(tmp_path: Path) -> None:
    (tmp_path / "arm.yaml").write_text(re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[1], encoding="utf-8")
    assert ArmProfile.load(str(tmp_path / "arm.yaml")).dof == 7


@pytest.mark.parametrize("name", ["bin_picking_ur5", "bin_picking_ur5e", "bin_picking_ur10e", "bin_picking_rizon4"])
def test_cells_of_real_arms_have_no_camera_that_is_not_there(name: str) -> None:
    cell = Cell.load(name)
    assert [camera.parent for camera in cell.cameras] == [ArmProfile.load(cell.arm).flange_frame]


def anchors(doc: Path) -> set[str]:
    """Of the headings of a document, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", doc.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links() -> list[tuple[str, str]]:
    """Page and target of every link of the pages, but for those to other sites."""
    pages = sorted((ROOT / "docs").glob("*.md"))
    found = [
        (page.name, link) for page in pages for link in re.findall(r"\]\(([^)\s]*)\)", page.read_text(encoding="utf-8"))
    ]
    return [(page, link) for page, link in found if "://" not in link]


@pytest.mark.parametrize(("page", "link"), links())
def test_links_lead_somewhere(page: str, link: str) -> None:
    file, _, anchor = link.partition("#")
    doc = ROOT / "docs" / (file or page)
    assert doc.exists(), link
    assert not anchor or anchor in anchors(doc), link
