"""The shipped UR5e against the manufacturer's DH parameters and limits."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.arm import ArmProfile
from grasp_sim.robot_model import load_arm, velocity_limits

# a, d, alpha of each joint: Universal Robots, "DH parameters for calculations of kinematics and dynamics", UR5e
DH = [
    (0.0, 0.1625, np.pi / 2),
    (-0.425, 0.0, 0.0),
    (-0.3922, 0.0, 0.0),
    (0.0, 0.1333, np.pi / 2),
    (0.0, 0.0997, -np.pi / 2),
    (0.0, 0.0996, 0.0),
]
MASSES = [3.761, 8.058, 2.846, 1.37, 1.3, 0.365]


def dh_pose(q: np.ndarray) -> np.ndarray:
    """Pose of tool0 in base_link: the controller's base is turned by pi about z against base_link."""
    T = np.diag([-1.0, -1.0, 1.0, 1.0])
    for (a, d, alpha), angle in zip(DH, q, strict=True):
        c, s, ca, sa = np.cos(angle), np.sin(angle), np.cos(alpha), np.sin(alpha)
        T = T @ [[c, -s * ca, s * sa, a * c], [s, c * ca, -c * sa, a * s], [0, sa, ca, d], [0, 0, 0, 1]]
    return T


@pytest.fixture(scope="module")
def profile() -> ArmProfile:
    return ArmProfile.load("ur5e")


@pytest.fixture(scope="module")
def model(profile: ArmProfile) -> mujoco.MjModel:
    return load_arm(profile).compile()


@settings(max_examples=50, deadline=None)
@given(q=st.lists(st.floats(-np.pi, np.pi), min_size=6, max_size=6))
def test_forward_kinematics_are_those_of_the_dh_parameters(model: mujoco.MjModel, q: list[float]) -> None:
    data = mujoco.MjData(model)
    data.qpos[:6] = q
    mujoco.mj_kinematics(model, data)
    tool, expected = data.body("tool0"), dh_pose(np.array(q))
    np.testing.assert_allclose(tool.xpos, expected[:3, 3], atol=1e-9)
    np.testing.assert_allclose(tool.xmat.reshape(3, 3), expected[:3, :3], atol=1e-9)


def test_masses_and_limits_are_the_manufacturers(profile: ArmProfile, model: mujoco.MjModel) -> None:
    links = ["shoulder_link", "upper_arm_link", "forearm_link", "wrist_1_link", "wrist_2_link", "wrist_3_link"]
    assert [float(model.body(name).mass[0]) for name in links] == pytest.approx(MASSES)
    torques = [float(model.jnt_actfrcrange[model.joint(name).id, 1]) for name in profile.joints]
    assert torques == [150.0, 150.0, 150.0, 28.0, 28.0, 28.0]
    ranges = np.array([model.joint(name).range for name in profile.joints])
    np.testing.assert_allclose(ranges[:, 1], np.radians([360, 360, 180, 360, 360, 360]))
    np.testing.assert_allclose(velocity_limits(profile), np.pi)


def test_profile_stays_within_the_urdf(profile: ArmProfile, model: mujoco.MjModel) -> None:
    assert np.all(np.array(profile.max_velocity) <= velocity_limits(profile))
    for name, pose in profile.poses.items():
        for joint, value in zip(profile.joints, pose, strict=True):
            low, high = model.joint(joint).range
            assert low <= value <= high, f"pose {name}: {joint}"


def test_inertias_are_physical(model: mujoco.MjModel) -> None:
    for body in range(1, model.nbody):
        a, b, c = sorted(model.body_inertia[body])
        if model.body_mass[body] > 0:
            assert a > 0
            assert a + b >= c - 1e-6, model.body(body).name
