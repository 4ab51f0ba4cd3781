"""The controller's kinematics: that of the arm's URDF, and its own inverse."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_sim.ur_controller.kinematics import Kinematics, matrix, vector
from grasp_sim.ur_controller.models import MODELS, find_model

angles = st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6).map(np.array)


@pytest.mark.parametrize("name", MODELS)
def test_it_is_that_of_the_urdf(name: str) -> None:
    """From ROS's base_link the controller's base is half a turn away; the flange is tool0."""
    arm = ArmProfile.load(name)
    spec = mujoco.MjSpec.from_file(str(arm.urdf_path))
    spec.compiler.fusestatic = False
    model = spec.compile()
    data, kinematics = mujoco.MjData(model), Kinematics(find_model(name))
    T_baselink_base = se3.make(np.diag([-1.0, -1.0, 1.0]), np.zeros(3))
    rng = np.random.default_rng(0)
    for q in rng.uniform(-3, 3, (20, 6)):
        data.qpos[[model.joint(j).qposadr[0] for j in arm.joints]] = q
        mujoco.mj_kinematics(model, data)
        base, tool = (model.body(body).id for body in ("base_link", "tool0"))
        poses = [se3.make(data.xmat[b].reshape(3, 3), data.xpos[b]) for b in (base, tool)]
        want = se3.inverse(poses[0]) @ poses[1]
        np.testing.assert_allclose(T_baselink_base @ kinematics.forward(q), want, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(q=angles, step=angles)
def test_the_inverse_finds_the_pose_again(q: np.ndarray, step: np.ndarray) -> None:
    kinematics = Kinematics(find_model("ur5e"))
    kinematics.set_tcp(np.array([0.01, 0.0, 0.155, 0.0, 0.0, 0.5]))
    if np.linalg.cond(kinematics.jacobian(q)[1]) > 30:
        return
    target = kinematics.forward(q)
    found = kinematics.inverse(target, q + 0.02 * step)
    assert found is not None
    np.testing.assert_allclose(kinematics.forward(found), target, atol=1e-5)


def test_the_jacobian_is_the_slope() -> None:
    kinematics = Kinematics(find_model("ur5"))
    q, dq = np.array([0.3, -1.2, 1.4, -1.0, -1.3, 0.4]), 1e-6 * np.arange(1, 7)
    before, jacobian = kinematics.jacobian(q)
    after = kinematics.forward(q + dq)
    moved = np.concatenate([after[:3, 3] - before[:3, 3], se3.log_so3(after[:3, :3] @ before[:3, :3].T)])
    np.testing.assert_allclose(jacobian @ dq, moved, atol=1e-10)


def test_nothing_is_found_out_of_reach() -> None:
    kinematics = Kinematics(find_model("ur5e"))
    assert kinematics.inverse(matrix(np.array([2.0, 0.0, 0.5, 0.0, 0.0, 0.0])), np.array(MODELS["ur5e"].home)) is None


@given(st.lists(st.floats(-1.5, 1.5), min_size=6, max_size=6).map(np.array))
def test_poses_are_positions_and_rotation_vectors(pose: np.ndarray) -> None:
    np.testing.assert_allclose(vector(matrix(pose)), pose, atol=1e-9)
