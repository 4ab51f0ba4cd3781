"""Solvers and refinement on made-up views with a known answer."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.calibration import MODES, Mode
from grasp_core.errors import InputError
from hand_eye import geometry, refine
from hand_eye.kinematics import forward
from hand_eye.looks import Range, candidates
from hand_eye.solve import solve, turns_deg
from hand_eye.views import Views
from test.hand_eye.synthetic import BOARD, SIZE, K, apart, make_views

ARM = (2e-3, float(np.deg2rad(0.2)))
modes = st.sampled_from(MODES)


@given(modes, st.integers(0, 10_000), st.integers(8, 20))
@settings(max_examples=12)
def test_exact_views_give_the_exact_answer(mode: Mode, seed: int, count: int):
    views, X, Y = make_views(mode, seed, count, pixel=0.0)
    found = solve(views)
    assert apart(found.X, X) < (0.02, 0.002)
    assert apart(found.Y, Y) < (0.02, 0.002)
    assert found.used.all()
    assert found.pixels < 0.01


@given(modes, st.integers(0, 10_000))
@settings(max_examples=12)
def test_every_closed_form_is_right_without_noise(mode: Mode, seed: int):
    views, X, _ = make_views(mode, seed, 12, pixel=0.0)
    found = solve(views)
    assert len(found.candidates) == 7
    for candidate in found.candidates:
        # Daniilidis and Li lose some digits where a relative turn comes near to half a turn.
        assert apart(candidate.X, X) < (20.0, 2.0), candidate.name
    assert apart(found.candidates[0].X, X) < (0.1, 0.01)


@pytest.mark.parametrize("mode", MODES)
def test_noise_of_pictures_alone_leaves_tenths_of_a_millimetre(mode: Mode):
    errors = []
    for seed in range(4):
        views, X, _ = make_views(mode, seed, pixel=0.2)
        errors.append(apart(solve(views).X, X))
    assert np.max(errors, axis=0)[0] < 0.5
    assert np.max(errors, axis=0)[1] < 0.05


@pytest.mark.parametrize("mode", MODES)
def test_an_arm_that_is_off_is_not_taken_for_noise_of_the_pictures(mode: Mode):
    both, plain = [], []
    for seed in range(5):
        views, X, _ = make_views(mode, seed, pixel=0.2, arm=ARM)
        found = solve(views)
        both.append(apart(found.X, X)[0])
        first = found.candidates[0]
        plain.append(apart(refine.by_pixels(views, first.X, first.Y)[0], X)[0])
    assert np.median(both) < 2.5
    assert np.median(both) < 0.7 * np.median(plain), "the second stage must pay"


def test_the_arms_scatter_is_estimated_and_the_uncertainty_is_honest():
    scatter, errors, told = [], [], []
    for seed in range(7):
        views, X, _ = make_views("eye_in_hand", seed, pixel=0.2, arm=ARM)
        found = solve(views)
        scatter.append((found.fit.scatter.position, found.fit.scatter.angle))
        errors.append(apart(found.X, X))
        told.append(found.uncertainty)
    np.testing.assert_allclose(np.median(scatter, axis=0), ARM, rtol=0.35)
    ratio = np.sqrt(np.mean(np.square(errors), axis=0) / np.mean(np.square(told), axis=0))
    assert ((ratio > 0.5) & (ratio < 1.8)).all(), ratio


@pytest.mark.parametrize("mode", MODES)
def test_a_wrong_view_is_left_out(mode: Mode):
    views, X, _ = make_views(mode, 3)
    flange = views.T_base_flange.copy()
    flange[4] = geometry.moved(flange[4], np.array([0.03, -0.02, 0.01, 0.1, 0.0, 0.05]))
    found = solve(replace(views, T_base_flange=flange))
    assert np.flatnonzero(~found.used).tolist() == [4]
    assert apart(found.X, X) < (0.3, 0.03)


def test_wrong_corners_are_left_out():
    views, X, _ = make_views("eye_in_hand", 5)
    pixels = views.pixels.copy()
    pixels[[3, 90, 200]] += [[15.0, 0.0], [0.0, -9.0], [7.0, 7.0]]
    found = solve(replace(views, pixels=pixels))
    assert len(found.views.ids) == len(views.ids) - 3
    assert apart(found.X, X) < (0.3, 0.03)


def test_joint_offsets_are_found():
    arm = ArmProfile.load("ur5e")
    kinematics = forward(arm.urdf_path.read_text(), arm.base_frame, arm.flange_frame, arm.joints)
    rng = np.random.default_rng(0)
    X = se3.make(se3.exp_so3([0.05, -0.1, 0.02]), [0.01, -0.07, 0.04])
    start = np.array([-0.1179, -1.5481, 1.2818, -1.3045, -1.5708, 1.4529])
    Y = kinematics(start[None])[0] @ X @ se3.make(se3.rpy_matrix(0, 0, 0.3), [-0.1, -0.08, 0.5])
    truth = np.deg2rad([0.0, 0.4, -0.5, 0.3, -0.4, 0.0])
    q = start + rng.normal(0, 0.25, (30, 6))
    flange = kinematics(q)
    points = se3.transform(se3.inverse(X) @ se3.inverse(flange) @ Y, BOARD.corners)
    pixels = points[..., :2] / points[..., 2:] * 612.0 + K[:2, 2] + rng.normal(0, 0.1, (*points.shape[:2], 2))
    views = Views(
        "eye_in_hand", K, BOARD.corners, kinematics(q - truth), q - truth, np.repeat(np.arange(30), len(BOARD.corners)),
        np.tile(np.arange(len(BOARD.corners)), 30), pixels.reshape(-1, 2), np.arange(30),
    )  # fmt: skip
    with_offsets, without = solve(views, kinematics), solve(views)
    np.testing.assert_allclose(with_offsets.joint_offsets, truth, atol=np.deg2rad(0.1))
    assert apart(with_offsets.X, X)[0] < apart(without.X, X)[0]
    assert with_offsets.residual[0] < without.residual[0] / 2


# Sets of views that cannot be calculated with, and say so.


def test_shifts_without_turns_are_refused():
    T = np.repeat(np.eye(4)[None], 8, 0)
    T[:, :3, 3] = np.random.default_rng(0).uniform(-0.05, 0.05, (8, 3)) + np.array([-0.12, -0.08, 0.5])
    with pytest.raises(InputError, match=r"turned by 0\.0 deg .* about two axes at least"):
        solve(make_views("eye_in_hand", 0, looks=T)[0])


def test_turns_about_one_axis_are_refused():
    flat = candidates(BOARD, K, SIZE, Range(tilts=(0.0,)))  # turns about the view only
    views = make_views("eye_in_hand", 0, looks=flat)[0]
    assert turns_deg(views)[0] > 20.0
    with pytest.raises(InputError, match="about a second one: turn about two axes"):
        solve(views)


def test_too_few_views_are_refused():
    with pytest.raises(InputError, match="2 views: expected 3 at least"):
        solve(make_views("eye_in_hand", 0, 2)[0])
    with pytest.raises(InputError, match="no views of the board"):
        Views.of([], "eye_in_hand", K, BOARD.corners)


def test_offsets_need_joints():
    with pytest.raises(InputError, match="joint offsets need the joint positions"):
        solve(make_views("eye_in_hand", 0)[0], lambda q: np.zeros((len(q), 4, 4)))
