"""Forward and inverse kinematics, limits, and what a robot description may carry."""

import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arm_control.planning.ik import InverseKinematics
from arm_control.planning.kinematics import Kinematics, chain_urdf, check_pose
from grasp_core.errors import ConfigError, ErrorCode, PlanningError

angles = st.lists(st.floats(-3.1, 3.1), min_size=6, max_size=6).map(np.array)


@pytest.fixture(scope="module")
def kin(arm, gripper):
    return Kinematics(arm.urdf_path.read_text(), arm, gripper.T_flange_tcp)


@pytest.fixture(scope="module")
def ik(kin):
    return InverseKinematics(kin)


@settings(max_examples=50, deadline=None)
@given(q=angles)
def test_fk_agrees_with_the_whole_urdf(kin, arm, gripper, q):
    model = pin.buildModelFromUrdf(str(arm.urdf_path))
    data = model.createData()
    pin.framesForwardKinematics(model, data, q)
    flange = data.oMf[model.getFrameId("tool0")].homogeneous
    np.testing.assert_allclose(kin.fk(q), flange @ gripper.T_flange_tcp, atol=1e-12)


@settings(max_examples=200, deadline=None)
@given(q=angles)
def test_every_ik_solution_reaches_the_pose(kin, ik, q):
    T = kin.fk(q)
    solutions, _ = ik.solve(T, q)
    for x in solutions:
        np.testing.assert_allclose(kin.fk(x), T, atol=1e-6)
        assert (x >= kin.window_lower - 1e-9).all()
        assert (x <= kin.window_upper + 1e-9).all()


@settings(max_examples=200, deadline=None)
@given(q=angles)
def test_ik_finds_the_configuration_it_came_from(kin, ik, q):
    if abs(np.sin(q[4])) < 1e-3:
        return  # at the wrist singularity joint 6 is free
    T = kin.fk(q)
    found = ik.candidates(T[None], q)[0]
    off = np.abs((found - q + np.pi) % (2 * np.pi) - np.pi).max(-1)
    singular = np.linalg.svd(kin.jacobian(q), compute_uv=False)[-1]
    assert np.nanmin(off) < (1e-6 if singular > 1e-3 else 1e-2)


def test_closed_form_is_used_for_the_ur5e(ik):
    assert ik.closed.supported
    assert ik.exact


def test_solutions_are_unique_and_sorted(kin, ik, home):
    solutions, _ = ik.solve(kin.fk(home), home)
    cost = (np.abs(solutions - home) * kin.reach).sum(1)
    assert (np.diff(cost) >= 0).all()
    assert cost[0] < 1e-3
    assert len(solutions) >= 4
    assert min(np.abs(a - b).max() for i, a in enumerate(solutions) for b in solutions[:i]) > 1e-4


def test_a_calibrated_description_is_solved_exactly(arm, gripper, home):
    text = arm.urdf_path.read_text().replace(
        'xyz="-0.3922 0 0.1333" rpy="0 0 0"', 'xyz="-0.3931 0.0003 0.1329" rpy="0.002 -0.001 0.001"'
    )
    kin = Kinematics(text, arm, gripper.T_flange_tcp)
    ik = InverseKinematics(kin)
    assert ik.closed.supported
    assert not ik.exact
    T = kin.fk(home + 0.1)
    solutions, _ = ik.solve(T, home)
    assert len(solutions) >= 1
    for x in solutions:
        np.testing.assert_allclose(kin.fk(x), T, atol=2e-4)


def test_an_arm_of_another_structure_is_solved_numerically(arm, gripper, home):
    text = arm.urdf_path.read_text().replace('xyz="-0.425 0 0" rpy="0 0 0"', 'xyz="-0.425 0 0" rpy="0.4 0 0"')
    kin = Kinematics(text, arm, gripper.T_flange_tcp)
    ik = InverseKinematics(kin)
    assert not ik.closed.supported
    T = kin.fk(home + 0.1)
    solutions, _ = ik.solve(T, home)
    assert len(solutions) >= 1
    np.testing.assert_allclose(kin.fk(solutions[0]), T, atol=2e-4)


def test_a_description_with_gripper_and_missing_meshes_is_read(arm, gripper, home):
    extra = """
    <link name="world"/><joint name="w" type="fixed"><parent link="world"/><child link="base_link"/></joint>
    <link name="finger"><visual><geometry><mesh filename="package://nowhere/f.dae"/></geometry></visual></link>
    <joint name="finger_joint" type="revolute"><parent link="tool0"/><child link="finger"/><axis xyz="0 0 1"/>
      <limit lower="0" upper="1" velocity="1" effort="1"/><mimic joint="elbow_joint"/></joint></robot>"""
    text = arm.urdf_path.read_text().replace("</robot>", extra)
    plain = Kinematics(arm.urdf_path.read_text(), arm, gripper.T_flange_tcp)
    np.testing.assert_allclose(Kinematics(text, arm, gripper.T_flange_tcp).fk(home), plain.fk(home), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [("not xml", "not XML"), ("<robot name='x'><link name='base_link'/></robot>", "no link 'tool0'")],
)
def test_a_bad_description_is_an_error(arm, gripper, text, message):
    with pytest.raises(ConfigError, match=message):
        Kinematics(text, arm, gripper.T_flange_tcp)


def test_a_chain_that_does_not_connect_is_an_error(arm):
    text = arm.urdf_path.read_text().replace('<child link="forearm_link"/>', '<child link="nowhere"/>')
    with pytest.raises(ConfigError, match="does not hang below"):
        chain_urdf(text, "base_link", "tool0")


def test_joints_of_another_arm_are_an_error(arm, gripper):
    text = arm.urdf_path.read_text().replace("elbow_joint", "knee_joint")
    with pytest.raises(ConfigError, match="knee_joint"):
        Kinematics(text, arm, gripper.T_flange_tcp)


@pytest.mark.parametrize(
    ("q", "code"),
    [
        ([0, 0, 0], ErrorCode.INVALID_GOAL),
        ([0, 0, np.nan, 0, 0, 0], ErrorCode.INVALID_GOAL),
        (["a"] * 6, ErrorCode.INVALID_GOAL),
        ([0, 0, 4, 0, 0, 0], ErrorCode.OUT_OF_LIMITS),
    ],
)
def test_bad_joints_are_named(kin, q, code):
    with pytest.raises(PlanningError) as caught:
        kin.check_joints(q, "goal joints")
    assert caught.value.code == code
    assert "goal joints" in str(caught.value)


@pytest.mark.parametrize("T", [np.eye(3), np.full((4, 4), np.nan), np.diag([2.0, 1, 1, 1]), np.diag([-1.0, 1, 1, 1])])
def test_bad_poses_are_invalid_goals(T):
    with pytest.raises(PlanningError) as caught:
        check_pose(T, "target")
    assert caught.value.code == ErrorCode.INVALID_GOAL
