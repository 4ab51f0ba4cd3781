"""Bringup files: strict, typed settings, and the shipped ones name what exists."""

import ast
from pathlib import Path

import pytest
import yaml

from grasp_core.errors import ConfigError
from seegrasp.bringup import _with_settings
from seegrasp.bringup_config import load, parse_settings, resolve

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("sim", "perception", "replay", "ur5_realsense", "flexiv_realsense")
NEEDED = {"replay": {"bag": "some_bag"}}  # arguments without which nothing can be started
DOCUMENT = {
    "description": "a test",
    "arguments": {
        "seed": {"default": 1, "description": "of the scene"},
        "rate": {"default": 2.0, "description": "Hz"},
        "arm": {"default": True, "description": "with the arm"},
        "scene": {"default": "bin", "description": "kind", "choices": ["bin", "pile"]},
    },
    "nodes": [
        {
            "name": "a",
            "module": "m.a",
            "executable": "a",
            "parameters": {"seed": "${seed}", "label": "s${seed}-${scene}"},
        },
        {"name": "b", "module": "m.b", "executable": "a", "condition": "arm", "remappings": {"x": "/${scene}/x"}},
        {"name": "c", "module": "m.c", "executable": "c", "condition": "not arm", "parameters": {"rate": "${rate}"}},
    ],
}


def write(tmp_path: Path, **changes) -> str:
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump({**DOCUMENT, **changes}))
    return str(path)


def plans(tmp_path: Path, *settings: str) -> dict:
    return {p.name: p for p in resolve(load(write(tmp_path)), parse_settings(settings))}


def test_arguments_keep_their_types_and_conditions_choose(tmp_path: Path) -> None:
    found = plans(tmp_path)
    assert list(found) == ["a", "b"]
    assert found["a"].parameters == {"seed": 1, "label": "s1-bin"}
    assert found["b"].remappings == {"x": "/bin/x"}
    found = plans(tmp_path, "seed:=7", "scene:=pile", "arm:=false", "rate:=3")
    assert list(found) == ["a", "c"]
    assert found["a"].parameters == {"seed": 7, "label": "s7-pile"}
    assert found["c"].parameters == {"rate": 3.0}
    assert isinstance(found["c"].parameters["rate"], float)


def test_parameters_of_one_node_can_be_set(tmp_path: Path) -> None:
    found = plans(tmp_path, "a.seed:=9", "a.box:=[1.0, 2.0]")
    assert found["a"].parameters == {"seed": 9, "label": "s1-bin", "box": [1.0, 2.0]}


def test_only_the_main_node_of_a_process_is_renamed(tmp_path: Path) -> None:
    found = plans(tmp_path)
    assert found["a"].ros_args("p.yaml") == ["--ros-args", "--params-file", "p.yaml"]
    assert found["b"].ros_args(None) == ["--ros-args", "-r", "a:__node:=b", "-r", "x:=/bin/x"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("seed", "expected key:=value"),
        ("sed:=1", "no argument 'sed'; there are arm, rate, scene, seed"),
        ("nobody.seed:=1", "no argument 'nobody.seed'"),
        ("seed:=many", "seed:=many: expected int"),
        ("seed:=1.5", "expected int"),
        ("arm:=1", "expected bool"),
        ("scene:=heap", "expected one of bin, pile"),
    ],
)
def test_wrong_settings_say_what_was_expected(tmp_path: Path, setting: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        plans(tmp_path, setting)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nods": []}, "nods"),
        ({"nodes": [{"name": "a", "module": "m", "executable": "a", "remap": {}}]}, "nodes.0.remap"),
        ({"nodes": [{"name": "a", "module": "m", "executable": "a", "parameters": {"x": {"y": 1}}}]}, "parameters.x"),
        ({"nodes": [{"name": "a b", "module": "m", "executable": "a"}]}, "nodes.0.name"),
        ({"nodes": [{"name": "a", "module": "m", "executable": "a"}] * 2}, "'a' stands there twice"),
        (
            {"nodes": [{"name": "a", "module": "m", "executable": "a", "parameters": {"x": "${y}"}}]},
            "${y} is not among",
        ),
        (
            {"nodes": [{"name": "a", "module": "m", "executable": "a", "condition": "seed"}]},
            "not a true/false argument",
        ),
        (
            {"nodes": [{"name": "a", "module": "m", "executable": "a", "condition": "arm and scene == heap"}]},
            "'heap' is not among the choices of 'scene'",
        ),
        (
            {"nodes": [{"name": "a", "module": "m", "executable": "a", "arguments": ["x"], "namespace": "y"}]},
            "has nothing else of a node",
        ),
        ({"arguments": {"s": {"default": "x", "description": "", "choices": ["y"]}}}, "not one of its choices"),
        (
            {"nodes": [{"name": "a", "module": "m", "executable": "a", "optional_arguments": ["x"]}]},
            "optional_arguments follow arguments",
        ),
        (
            {"nodes": [{"name": "a", "module": "m", "arguments": ["x"], "optional_arguments": ["${y}"]}]},
            "${y} is not among",
        ),
    ],
)
def test_wrong_files_name_file_and_key(tmp_path: Path, changes: dict, said: str) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(ConfigError) as error:
        load(path)
    assert said in str(error.value)
    assert path in str(error.value)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_bringups_name_modules_with_a_main(name: str) -> None:
    for plan in resolve(load(name), NEEDED.get(name, {})):
        source = (ROOT / (plan.module.replace(".", "/") + ".py")).read_text()
        functions = [n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
        assert "main" in functions, plan.module


def test_the_cell_follows_the_arm_and_the_vendors_drivers_are_started_when_asked_for() -> None:
    def names(*settings: str) -> dict:
        return {p.name: p for p in resolve(load("ur5_realsense"), parse_settings(settings))}

    assert names()["arm_node"].parameters["cell"] == "bin_picking_ur5e"
    assert names("ur_type:=ur10e")["camera_node"].parameters["cell"] == "bin_picking_ur10e"
    assert names("cell:=mine.yaml")["arm_node"].parameters["cell"] == "mine.yaml"
    assert "ur_robot_driver" not in names()
    started = names("start_drivers:=true", "robot_ip:=10.0.0.2")["ur_robot_driver"].arguments
    assert started[:4] == ("ros2", "launch", "ur_robot_driver", "ur_control.launch.py")
    assert "robot_ip:=10.0.0.2" in started
    with pytest.raises(ConfigError, match="ur_robot_driver needs the argument 'robot_ip': give robot_ip:=…"):
        names("start_drivers:=true")


def test_the_driver_gets_the_arms_own_kinematics_where_they_are_given() -> None:
    chosen = {"start_drivers": "true", "robot_ip": "10.0.0.2"}

    def driver(**more: str) -> tuple[str, ...]:
        plans = resolve(load("ur5_realsense"), chosen | more)
        return next(plan.arguments for plan in plans if plan.name == "ur_robot_driver")

    assert driver(kinematics_params_file="/cell/ur5e.yaml") == (*driver(), "kinematics_params_file:=/cell/ur5e.yaml")
    assert not any("kinematics" in argument for argument in driver())


def test_real_arms_begin_unarmed_slow_and_guarded() -> None:
    for name in ("ur5_realsense", "flexiv_realsense"):
        arm = next(p for p in resolve(load(name), {}) if p.name == "arm_node").parameters
        assert (arm["armed"], arm["speed"], arm["require_guard"], arm["require_camera"]) == (False, 0.1, True, True)
        assert arm["planner"] == "move_group"


@pytest.mark.parametrize(
    ("name", "arguments", "started"),
    [
        ("ur5_realsense", ["robot_ip:=10.0.0.2"], {"ur_robot_driver", "ur_moveit"}),
        ("ur5_realsense", ["robot_ip:=10.0.0.2", "motion:=builtin"], {"ur_robot_driver"}),
        ("ur5_realsense", ["robot_ip:=10.0.0.2", "driver:=rtde"], {"ur_moveit"}),
        ("flexiv_realsense", ["robot_sn:=Rizon4-1"], {"flexiv_driver_and_moveit"}),
        ("flexiv_realsense", ["robot_sn:=Rizon4-1", "motion:=builtin"], {"flexiv_driver"}),
        ("flexiv_realsense", ["robot_sn:=Rizon4-1", "driver:=rdk"], set()),
    ],
)
def test_drivers_are_started_with_the_planner_that_is_chosen(
    name: str, arguments: list[str], started: set[str]
) -> None:
    chosen = dict(argument.split(":=") for argument in [*arguments, "start_drivers:=true"])
    plans = {plan.name: plan.arguments for plan in resolve(load(name), chosen) if plan.arguments}
    assert plans.keys() - {"realsense_camera"} == started
    assert all(plan[:2] == ("ros2", "launch") for plan in plans.values())


def test_a_namespace_is_that_of_every_node() -> None:
    plans = resolve(load("ur5_realsense"), {"namespace": "left"})
    assert {p.namespace for p in plans} == {"left"}
    assert plans[0].ros_args(None)[-2:] == ["-r", "__ns:=/left"]
    assert plans[0].label == f"left/{plans[0].name}"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["ur5_realsense", "--robot-ip", "10.0.0.2"], ["ur5_realsense", "--set", "robot_ip:=10.0.0.2"]),
        (["--show", "ur5_realsense", "--ur-type=ur5"], ["--show", "ur5_realsense", "--set", "ur_type:=ur5"]),
        (["sim", "--log-dir", "x", "--seed", "3"], ["sim", "--log-dir", "x", "--set", "seed:=3"]),
        (["sim", "--robot-ip", "x"], ["sim", "--robot-ip", "x"]),
        (["no_such_bringup", "--seed", "3"], ["no_such_bringup", "--seed", "3"]),
    ],
)
def test_arguments_of_a_bringup_are_options_of_up(argv: list[str], said: list[str]) -> None:
    assert _with_settings(argv) == said
