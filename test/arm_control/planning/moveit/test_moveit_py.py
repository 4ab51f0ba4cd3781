"""The planner `moveit`: what it needs, and what it says when that is missing."""

import sys

import numpy as np
import pytest
import yaml

from arm_control.planning import make_planner
from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError, ErrorCode, SeegraspError
from grasp_core.gripper import Gripper

from ..conftest import wall
from .double import MoveItDouble
from .fake_moveit import fake_modules


@pytest.fixture
def start(urdf, arm, gripper, cell, moveit_params, monkeypatch):
    """Installs a fake moveit_py and makes a planner: (planner, fake module, double)."""

    def start(generation="jazzy", fail="", params=moveit_params, group="ur_manipulator"):
        double = MoveItDouble(urdf, arm, group)
        modules = fake_modules(double, generation, fail)
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        planner = make_planner("moveit", urdf, arm, gripper, cell, moveit_params=str(params))
        return planner, modules["moveit.planning"], double

    return start


def test_without_the_bindings(urdf, arm, gripper, cell, monkeypatch):
    monkeypatch.setitem(sys.modules, "moveit", None)
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    with pytest.raises(ConfigError, match="sudo apt install ros-jazzy-moveit-py") as caught:
        make_planner("moveit", urdf, arm, gripper, cell, moveit_params="x.yaml")
    assert "planner:=move_group" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no file"),
        ("a: [", "not YAML"),
        ("[1, 2]", "expected a mapping"),
        ("robot_description_semantic: x", "no key robot_description_kinematics"),
        (
            "{robot_description_semantic: x, robot_description_kinematics: {}, planning_pipelines: {}}",
            "planning_pipelines is {}: expected names",
        ),
    ],
)
def test_parameter_files_that_will_not_do(start, tmp_path, text, words):
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        start(params=path)
    assert str(path) in str(caught.value)


def test_without_a_parameter_file(start):
    with pytest.raises(ConfigError, match="needs parameter moveit_params"):
        start(params="")


def test_moveit_gets_the_drivers_robot_description(start, urdf, moveit_params, tmp_path):
    _, module, _ = start()
    assert module.config["robot_description"] == urdf
    assert module.config["planning_pipelines"] == {"pipeline_names": ["ompl", "chomp"]}, "MoveItPy's form"
    assert module.config["plan_request_params"]["planning_pipeline"] == "ompl"
    nodes = tmp_path / "nodes.yaml"
    nodes.write_text(yaml.safe_dump({"/**": {"ros__parameters": yaml.safe_load(moveit_params.read_text())}}))
    _, module, _ = start(params=nodes)
    assert module.config["robot_description"] == urdf


def test_moveitpy_that_does_not_start(start, moveit_params):
    with pytest.raises(ConfigError, match=r"MoveItPy does not start with .*: Unable to construct robot model"):
        start(fail="Unable to construct robot model")


@pytest.mark.parametrize("generation", ["humble", "jazzy"])
def test_closing_ends_moveitpy(start, generation):
    planner, module, _ = start(generation)
    assert module.running
    planner.close()
    assert not module.running


def test_a_group_that_is_not_in_the_srdf(start, home):
    planner, _, _ = start(group="arm")
    with pytest.raises(SeegraspError, match="INVALID_GROUP_NAME") as caught:
        planner.plan_joints(home, home + 0.1, 0.085)
    assert caught.value.code == ErrorCode.CONFIG


def test_another_robot_model(start, home):
    planner, _, double = start()
    double.kin.T_flange_tcp[0, 3] = 0.0
    real = double.kin.fk
    double.kin.fk = lambda q: real(q + 0.02)
    with pytest.raises(SeegraspError, match="moveit's robot model is not that of /robot_description"):
        planner.plan_joints(home, home + 0.1, 0.085)


def test_a_refused_scene(start, home):
    planner, module, _ = start()
    module.takes_scenes = False
    with pytest.raises(SeegraspError, match="MoveIt has not taken over the scene") as caught:
        planner.plan_joints(home, home + 0.1, 0.085)
    assert caught.value.code == ErrorCode.PLANNER_UNAVAILABLE


def test_codes_and_scaling(start, home):
    planner, _, double = start()
    planner.max_time = 1.5
    planner.plan_joints(home, home + 0.1, 0.085, velocity_scaling=0.25)
    assert double.requests[-1].max_velocity_scaling_factor == 0.25
    assert double.requests[-1].allowed_planning_time == 1.5
    double.plan_answer = -26
    with pytest.raises(SeegraspError, match=r"START_STATE_INVALID.*joint_limits.yaml") as caught:
        planner.plan_joints(home, home + 0.1, 0.085)
    assert caught.value.code == ErrorCode.OUT_OF_LIMITS


def test_contacts_that_only_moveit_sees_are_told_as_such(start, home):
    planner, _, double = start()
    planner.set_scene(wall())
    assert planner.contacts(home, 0.085) == []
    double.scene.put("pole", planner.fk(home) @ se3.make(np.eye(3), [0.0, 0.0, -0.12]), np.full(3, 0.05))
    assert "does not tell what" in planner.contacts(home, 0.085)[0][1]


def test_an_arm_of_seven_joints(monkeypatch, moveit_params):
    cell = Cell.load("bin_picking_rizon4")
    arm, gripper = ArmProfile.load(cell.arm), Gripper.load(cell.gripper)
    urdf, home = arm.urdf_path.read_text(), np.array(arm.poses["home"])
    double = MoveItDouble(urdf, arm, arm.planning_group)
    for name, module in fake_modules(double, "jazzy").items():
        monkeypatch.setitem(sys.modules, name, module)
    planner = make_planner("moveit", urdf, arm, gripper, cell, moveit_params=str(moveit_params))
    np.testing.assert_allclose(planner.plan_joints(home, home + 0.2, 0.05).q[-1], home + 0.2)
    region = cell.pick_region()
    t = [*(region.min + region.max)[:2] / 2, region.min[2] + 0.05]
    plan = planner.plan_grasp(home, np.diag([1.0, -1.0, -1.0]), np.array(t), 0.05)
    np.testing.assert_allclose(planner.fk(plan.descent.q[-1])[:3, 3], t, atol=1e-4)
    assert double.complaints == []
