"""Small motions, where corners appear, and views in a file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_core import se3
from grasp_core.errors import InputError
from hand_eye import geometry
from hand_eye.board_poses import first_guess, fit
from hand_eye.looks import Design, Range, candidates, expected, in_picture
from hand_eye.views import View, Views
from test.hand_eye.synthetic import BOARD, SIZE, K, apart, make_views, truth

small = st.lists(st.floats(-0.3, 0.3), min_size=6, max_size=6).map(np.array)


@given(small, small)
def test_motion_undoes_moved(xi: np.ndarray, at: np.ndarray):
    T = geometry.moved(np.eye(4), at)
    np.testing.assert_allclose(geometry.motion(T, geometry.moved(T, xi)), xi, atol=1e-9)


@pytest.mark.parametrize("mode", ["eye_in_hand", "eye_to_hand"])
def test_the_chain_closes(mode):
    views, X, Y = make_views(mode, 1, pixel=0.0)
    T = geometry.board_in_camera(views, X, Y)
    assert np.abs(geometry.errors(views, T)).max() < 1e-6
    np.testing.assert_allclose(geometry.flange_from_board(views, X, Y, T), views.T_base_flange, atol=1e-9)


def test_the_board_is_found_by_each_view_alone():
    views, X, Y = make_views("eye_in_hand", 2, pixel=0.0)
    found = fit(views, first_guess(views))
    np.testing.assert_allclose(found.T_cam_board, geometry.board_in_camera(views, X, Y), atol=1e-5)
    assert found.sigma < 1e-4


def test_the_scatter_of_corners_is_estimated():
    views, *_ = make_views("eye_in_hand", 2, pixel=0.3)
    assert fit(views, first_guess(views)).sigma == pytest.approx(0.3, rel=0.1)


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.integers(2, 9))
def test_mean_pose_of_equal_poses_is_that_pose(turn: list[float], count: int):
    T = se3.make(se3.exp_so3(np.array(turn)), [0.1, 0.2, 0.3])
    np.testing.assert_allclose(geometry.mean_pose(np.repeat(T[None], count, 0)), T, atol=1e-9)


# Views.


def test_views_survive_a_file(tmp_path: Path):
    views, *_ = make_views("eye_to_hand", 4)
    views.save(tmp_path / "some" / "views.npz")
    again = Views.load(tmp_path / "some" / "views.npz")
    assert again.mode == "eye_to_hand"
    for name in ("K", "board", "T_base_flange", "view", "ids", "pixels", "stamps", "joints"):
        np.testing.assert_array_equal(getattr(again, name), getattr(views, name))


def test_a_file_without_views_is_refused(tmp_path: Path):
    path = tmp_path / "x.npz"
    np.savez(path, a=1)
    with pytest.raises(InputError, match=r"x\.npz: no views in this file"):
        Views.load(path)
    with pytest.raises(InputError, match="no views in this file"):
        Views.load(tmp_path / "missing.npz")


def test_keeping_some_views_renumbers_their_corners():
    views, X, Y = make_views("eye_in_hand", 4, pixel=0.0)
    mask = np.arange(len(views)) % 2 == 1
    some = views.keep(mask)
    assert some.view.max() == mask.sum() - 1
    assert np.abs(geometry.errors(some, geometry.board_in_camera(some, X, Y))).max() < 1e-6


GOOD = {"T_base_flange": np.eye(4), "ids": np.arange(8), "pixels": np.zeros((8, 2)), "joints": np.zeros(0)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"T_base_flange": np.ones((4, 4))}, "view 0: pose of the flange"),
        ({"pixels": np.full((8, 2), np.nan)}, "finite pixels"),
        ({"pixels": np.zeros((7, 2))}, "expected 8 finite pixels"),
        ({"ids": np.zeros(8, int)}, "different corners at least, got 1"),
        ({"ids": np.arange(8) + 40}, "not one of the board's 40: another board"),
        ({"ids": np.arange(4), "pixels": np.zeros((4, 2))}, "6 different corners at least, got 4"),
    ],
)
def test_bad_views_are_refused(change: dict, message: str):
    with pytest.raises(InputError, match=message):
        Views.of([View(**{**GOOD, **change})], "eye_in_hand", K, BOARD.corners)


def test_views_with_and_without_joints_do_not_mix():
    views = [View(**GOOD), View(**{**GOOD, "joints": np.zeros(6)})]
    with pytest.raises(InputError, match="some views have joint positions"):
        Views.of(views, "eye_in_hand", K, BOARD.corners)
    with pytest.raises(InputError, match="mode 'hand'"):
        Views.of(views[:1], "hand", K, BOARD.corners)


# Which looks help.


def test_looks_show_the_whole_board():
    looks = candidates(BOARD, K, SIZE, Range())
    assert len(looks) > 100
    assert in_picture(BOARD, K, SIZE, looks).all()
    assert (se3.transform(looks, BOARD.corners)[..., 2] > 0.1).all()


@pytest.mark.parametrize("mode", ["eye_in_hand", "eye_to_hand"])
def test_chosen_looks_tell_more_than_any_looks(mode):
    X, Y = truth(mode, np.random.default_rng(0))
    design, looks = Design(mode, X, Y), candidates(BOARD, K, SIZE, Range())
    chosen = expected(design.known(looks[design.order(looks, design.known(looks[:0]), 10)]))
    rng = np.random.default_rng(1)
    drawn = [expected(design.known(looks[rng.choice(len(looks), 10, replace=False)])) for _ in range(20)]
    assert chosen < min(drawn)


def test_a_look_at_the_same_place_tells_less_the_second_time():
    X, Y = truth("eye_in_hand", np.random.default_rng(0))
    design, looks = Design("eye_in_hand", X, Y), candidates(BOARD, K, SIZE, Range())
    once = design.order(looks, design.known(looks[:0]), 2)
    assert once[0] != once[1]
    more = [expected(design.known(looks[once[:n]])) for n in (0, 1, 2)]
    assert more[0] > more[1] > more[2]


def test_apart_of_itself_is_nothing():
    assert apart(np.eye(4), np.eye(4)) == (0.0, 0.0)
