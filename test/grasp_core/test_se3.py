import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_core import se3
from grasp_core.errors import InputError
from test.grasp_core.strategies import rotations, seeds, transforms, vectors


@given(transforms, transforms, seeds)
def test_composition_and_inverse_act_on_points_as_defined(T_a_b, T_b_c, seed):
    points = np.random.default_rng(seed).normal(size=(7, 3))
    through = se3.transform(T_a_b, se3.transform(T_b_c, points))
    np.testing.assert_allclose(through, se3.transform(T_a_b @ T_b_c, points), atol=1e-12)
    np.testing.assert_allclose(se3.inverse(T_a_b) @ T_a_b, np.eye(4), atol=1e-12)


@given(rotations)
def test_quaternion_round_trip(R):
    quaternion = se3.quat_from_matrix(R)
    assert quaternion[3] >= 0
    assert abs(np.linalg.norm(quaternion) - 1) < 1e-12
    np.testing.assert_allclose(se3.matrix_from_quat(quaternion), R, atol=1e-12)


def test_quaternion_order_is_that_of_ros():
    np.testing.assert_allclose(
        se3.matrix_from_quat([0, 0, np.sqrt(0.5), np.sqrt(0.5)]) @ [1, 0, 0], [0, 1, 0], atol=1e-12
    )


@pytest.mark.parametrize("bad", [[0, 0, 0, 0], [1, 1, 1, 1], [np.nan, 0, 0, 1]])
def test_bad_quaternion_is_refused(bad):
    with pytest.raises(InputError, match="unit quaternion"):
        se3.matrix_from_quat(bad)


@given(rotations, st.floats(1e-6, np.pi - 1e-6), vectors)
def test_rotation_angle_is_the_angle_turned(R, angle, axis):
    axis = axis / np.linalg.norm(axis)
    assert abs(se3.rotation_angle(R, R @ se3.exp_so3(angle * axis)) - angle) < 1e-7


@given(transforms, transforms, st.floats(0, 1))
def test_interpolation_moves_evenly(T_0, T_1, s):
    T = se3.interpolate(T_0, T_1, s)
    np.testing.assert_allclose(T[:3, 3], (1 - s) * T_0[:3, 3] + s * T_1[:3, 3], atol=1e-9)
    whole = se3.rotation_angle(T_0[:3, :3], T_1[:3, :3])
    assert abs(se3.rotation_angle(T_0[:3, :3], T[:3, :3]) - s * whole) < 1e-6
    assert se3.is_rotation(T[:3, :3])


def test_interpolation_is_batched():
    T = se3.interpolate(np.eye(4), se3.make(se3.rpy_matrix(0, 0, 1.0), [1, 0, 0]), np.linspace(0, 1, 5))
    assert T.shape == (5, 4, 4)
    np.testing.assert_allclose(T[2, :3, 3], [0.5, 0, 0])


@given(transforms)
def test_batched_functions_agree_with_single_ones(T):
    batch = np.stack([T, np.eye(4), T])
    np.testing.assert_allclose(se3.inverse(batch)[0], se3.inverse(T))
    points = np.ones((3, 5, 3))
    np.testing.assert_allclose(se3.transform(batch, points)[2], se3.transform(T, points[2]))


def test_is_rotation_rejects_mirrors_scales_and_nan():
    bad = np.stack([np.diag([1.0, 1, -1]), 1.1 * np.eye(3), np.full((3, 3), np.nan), np.eye(3)])
    assert se3.is_rotation(bad).tolist() == [False, False, False, True]


@given(vectors, vectors)
def test_look_at_points_the_optical_axis_at_the_target(eye, target):
    if np.linalg.norm(target - eye) < 1e-3:
        return
    T = se3.look_at(eye, target)
    assert se3.is_rotation(T[:3, :3])
    in_camera = se3.transform(se3.inverse(T), target[None])[0]
    np.testing.assert_allclose(in_camera[:2], 0, atol=1e-9)
    assert in_camera[2] > 0
    assert T[2, 1] <= 1e-9  # image y points down


def test_check_names_what_is_wrong():
    with pytest.raises(InputError, match="hand: expected a 4x4"):
        se3.check(np.eye(3), "hand")
    with pytest.raises(InputError, match="hand: not a rigid"):
        se3.check(np.diag([1, 1, 2, 1.0]), "hand")
