"""The demo cell's planners and helpers to build scenes."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from arm_control.planning import MotionPlanner, make_planner
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.gripper import Gripper
from grasp_eval.trajectory_check import TrajectoryChecker

IMPLEMENTATIONS = ("builtin", "move_group", "moveit-humble", "moveit-jazzy")


@pytest.fixture(scope="session")
def arm() -> ArmProfile:
    return ArmProfile.load("ur5e")


@pytest.fixture(scope="session")
def gripper() -> Gripper:
    return Gripper.load("robotiq_2f85")


@pytest.fixture(scope="session")
def cell() -> Cell:
    return Cell.load("bin_picking")


@pytest.fixture(scope="session")
def urdf(arm) -> str:
    return arm.urdf_path.read_text()


@pytest.fixture(scope="session")
def _planner(urdf, arm, gripper, cell):
    return make_planner("builtin", urdf, arm, gripper, cell)


@pytest.fixture
def planner(_planner):
    """The shared `builtin` planner with an empty scene."""
    _planner.set_scene(None)
    return _planner


@pytest.fixture
def home(arm) -> np.ndarray:
    return np.array(arm.poses["home"])


@pytest.fixture(scope="session")
def checker(arm, gripper, cell) -> TrajectoryChecker:
    """The independent check of trajectories."""
    return TrajectoryChecker(arm, gripper, cell)


# Every implementation that can be imported, MoveIt's against doubles.


@pytest.fixture(scope="module")
def double(urdf, arm):
    from .moveit.double import MoveItDouble

    return MoveItDouble(urdf, arm)


@pytest.fixture(scope="module")
def moveit_params(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A parameter file as docs/MOVEIT.md describes it."""
    path = tmp_path_factory.mktemp("moveit") / "moveit_py.yaml"
    config = {"robot_description_semantic": "<robot/>", "robot_description_kinematics": {"ur_manipulator": {}}}
    path.write_text(yaml.safe_dump({**config, "planning_pipelines": ["ompl", "chomp"], "ompl": {}}))
    return path


@pytest.fixture(params=IMPLEMENTATIONS, scope="module")
def _any_planner(request: pytest.FixtureRequest, urdf, arm, gripper, cell) -> Iterator[tuple]:
    kind, _, generation = request.param.partition("-")
    given = (urdf, arm, gripper, cell)
    if kind == "builtin":
        yield make_planner(kind, *given), None
        return
    double = request.getfixturevalue("double")
    double.scene.reset()
    if kind == "moveit":
        from .moveit.fake_moveit import fake_modules

        params = request.getfixturevalue("moveit_params")
        with pytest.MonkeyPatch.context() as patch:
            for name, module in fake_modules(double, generation).items():
                patch.setitem(sys.modules, name, module)
            planner = make_planner(kind, *given, moveit_params=str(params))
            yield planner, double
            planner.close()
        return
    from rclpy.node import Node

    from .moveit.move_group_double import MoveGroupDouble

    ros = request.getfixturevalue("ros")
    node = Node("planning", context=ros.context)
    ros.spin(node, threads=2)
    ros.spin(MoveGroupDouble(ros.context, double), threads=2)
    planner = make_planner(kind, *given, node=node)
    planner.moveit._answer_timeout = 30.0  # a busy machine is no fault
    yield planner, double
    planner.close()


@pytest.fixture
def any_planner(_any_planner) -> Iterator[MotionPlanner]:
    """A planner with an empty scene; MoveIt must have had nothing to complain about."""
    planner, double = _any_planner
    planner.set_scene(None)
    if double is not None:
        double.complaints.clear()
    yield planner
    if double is not None:
        assert double.complaints == []


# Scenes.


def solid(low, high, step=0.01) -> np.ndarray:
    """Cloud points that fill the box between two corners."""
    axes = [np.arange(a, b + 1e-9, step) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes), -1).reshape(-1, 3)


def top_down(x: float, y: float, z: float, yaw: float = 0.0) -> np.ndarray:
    """A pose of the grasp frame that points down; the fingers close along x at yaw 0."""
    c, s = np.cos(yaw), np.sin(yaw)
    T = np.eye(4)
    T[:3, :3] = np.array([[c, s, 0], [s, -c, 0], [0, 0, -1]])
    T[:3, 3] = [x, y, z]
    return T


def wall() -> np.ndarray:
    """A wall between the bin and the tray, 40 cm high."""
    return solid([0.4, 0.25, 0.0], [0.8, 0.27, 0.4])


def block(x=0.5, y=0.0, top=0.08) -> np.ndarray:
    """A block of 4 x 6 cm standing in the bin."""
    return solid([x - 0.02, y - 0.03, 0.017], [x + 0.02, y + 0.03, top], 0.005)


# What has to hold.


def contacts(checker: TrajectoryChecker, trajectory, width, cloud=None) -> dict:
    """All contacts of a trajectory by the independent check, every 20 ms."""
    from scipy.spatial import cKDTree

    tree = None if cloud is None else cKDTree(cloud)
    hand = checker.fingers(width)
    times = np.linspace(0, trajectory.duration, int(trajectory.duration / 0.02) + 2)
    return {k: v for q in trajectory.sample(times) for k, v in checker.contacts(q, hand, tree, tree).items()}


def assert_within_limits(planner, trajectory, scaling=None) -> None:
    limits = planner.limits(scaling)
    assert (np.abs(trajectory.qd) <= limits.velocity * 1.001).all()
    assert (np.abs(trajectory.qdd) <= limits.acceleration * 1.001).all()
    assert (np.diff(trajectory.times) > 0).all()
    assert trajectory.times[0] == 0
    assert np.abs(trajectory.qd[[0, -1]]).max() < 1e-9
    t = np.linspace(0, trajectory.duration, 400)
    p = planner.kin.tcp_positions(trajectory.sample(t))
    assert np.linalg.norm(np.diff(p, axis=0), axis=1).max() / (t[1] - t[0]) <= limits.tcp_velocity * 1.03
