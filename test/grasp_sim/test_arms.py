"""The shipped UR arms against the manufacturer's DH parameters, masses and limits."""

from dataclasses import dataclass

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.arm import ArmProfile
from grasp_sim.robot_model import load_arm, velocity_limits


@dataclass(frozen=True)
class Facts:
    """Universal Robots, "DH parameters for calculations of kinematics and dynamics", and user manuals; m, kg, N m."""

    d1: float
    a2: float
    a3: float
    d4: float
    d5: float
    d6: float
    masses: tuple[float, ...]
    torques: tuple[float, ...]
    speeds: tuple[float, ...]  # deg/s

    @property
    def dh(self) -> list[tuple[float, float, float]]:
        """a, d, alpha of each joint."""
        quarter = np.pi / 2
        return [
            (0.0, self.d1, quarter),
            (self.a2, 0.0, 0.0),
            (self.a3, 0.0, 0.0),
            (0.0, self.d4, quarter),
            (0.0, self.d5, -quarter),
            (0.0, self.d6, 0.0),
        ]


FAST = (180.0,) * 6
ARMS = {
    "ur5": Facts(
        *(0.089159, -0.425, -0.39225, 0.10915, 0.09465, 0.0823),
        (3.7, 8.393, 2.33, 1.219, 1.219, 0.1879),
        (150.0, 150.0, 150.0, 28.0, 28.0, 28.0),
        FAST,
    ),
    "ur5e": Facts(
        *(0.1625, -0.425, -0.3922, 0.1333, 0.0997, 0.0996),
        (3.761, 8.058, 2.846, 1.37, 1.3, 0.365),
        (150.0, 150.0, 150.0, 28.0, 28.0, 28.0),
        FAST,
    ),
    "ur10e": Facts(
        *(0.1807, -0.6127, -0.57155, 0.17415, 0.11985, 0.11655),
        (7.369, 13.051, 3.989, 2.1, 1.98, 0.615),
        (330.0, 330.0, 150.0, 56.0, 56.0, 56.0),
        (120.0, 120.0, 180.0, 180.0, 180.0, 180.0),
    ),
}


def dh_pose(facts: Facts, q: np.ndarray) -> np.ndarray:
    """Pose of tool0 in base_link: the controller's base is turned by pi about z against base_link."""
    T = np.diag([-1.0, -1.0, 1.0, 1.0])
    for (a, d, alpha), angle in zip(facts.dh, q, strict=True):
        c, s, ca, sa = np.cos(angle), np.sin(angle), np.cos(alpha), np.sin(alpha)
        T = T @ [[c, -s * ca, s * sa, a * c], [s, c * ca, -c * sa, a * s], [0, sa, ca, d], [0, 0, 0, 1]]
    return T


@pytest.fixture(scope="module", params=[*ARMS, "rizon4"])
def profile(request: pytest.FixtureRequest) -> ArmProfile:
    return ArmProfile.load(request.param)


@pytest.fixture(scope="module")
def model(profile: ArmProfile) -> mujoco.MjModel:
    return load_arm(profile).compile()


def facts_of(profile: ArmProfile) -> Facts:
    if profile.name not in ARMS:
        pytest.skip(f"no DH parameters of {profile.name} are published")
    return ARMS[profile.name]


@settings(max_examples=50, deadline=None)
@given(q=st.lists(st.floats(-np.pi, np.pi), min_size=6, max_size=6))
def test_forward_kinematics_are_those_of_the_dh_parameters(
    profile: ArmProfile, model: mujoco.MjModel, q: list[float]
) -> None:
    facts, data = facts_of(profile), mujoco.MjData(model)
    data.qpos[:6] = q
    mujoco.mj_kinematics(model, data)
    tool, expected = data.body("tool0"), dh_pose(facts, np.array(q))
    np.testing.assert_allclose(tool.xpos, expected[:3, 3], atol=1e-9)
    np.testing.assert_allclose(tool.xmat.reshape(3, 3), expected[:3, :3], atol=1e-9)


def test_masses_and_limits_are_the_manufacturers(profile: ArmProfile, model: mujoco.MjModel) -> None:
    facts = facts_of(profile)
    links = ["shoulder_link", "upper_arm_link", "forearm_link", "wrist_1_link", "wrist_2_link", "wrist_3_link"]
    assert [float(model.body(name).mass[0]) for name in links] == pytest.approx(list(facts.masses))
    torques = [float(model.jnt_actfrcrange[model.joint(name).id, 1]) for name in profile.joints]
    assert torques == list(facts.torques)
    ranges = np.array([model.joint(name).range for name in profile.joints])
    np.testing.assert_allclose(ranges[:, 1], np.radians([360, 360, 180, 360, 360, 360]))
    np.testing.assert_allclose(velocity_limits(profile), np.radians(facts.speeds))


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
