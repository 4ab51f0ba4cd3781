"""The demo cell's planner and helpers to build scenes."""

import numpy as np
import pytest

from arm_control.planning import make_planner
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.gripper import Gripper


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
def _planner(arm, gripper, cell):
    return make_planner("builtin", arm.urdf_path.read_text(), arm, gripper, cell)


@pytest.fixture
def planner(_planner):
    """The shared planner with an empty scene."""
    _planner.set_scene(None)
    return _planner


@pytest.fixture
def home(arm) -> np.ndarray:
    return np.array(arm.poses["home"])


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
