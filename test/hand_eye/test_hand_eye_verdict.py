"""The verdict: sound sets are trusted, every fault is named."""

from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import pytest

from grasp_core import se3
from grasp_core.calibration import MODES, Mode
from grasp_core.errors import InputError
from hand_eye import check, guide, report
from hand_eye.looks import Range, candidates
from hand_eye.solve import solve
from hand_eye.verdict import Verdict, judge
from hand_eye.views import Views
from test.hand_eye.synthetic import BOARD, SIZE, K, apart, make_views

ARM = (3e-4, float(np.deg2rad(0.03)))  # a good arm


def views_of(mode: Mode, seed: int = 0, **kwargs) -> Views:
    return make_views(mode, seed, **{"pixel": 0.15, "arm": ARM, **kwargs})[0]


def verdict_of(views: Views) -> Verdict:
    return judge(solve(views))


@pytest.mark.parametrize("mode", MODES)
def test_a_sound_set_is_trusted(mode: Mode):
    assert [verdict_of(views_of(mode, seed)).word for seed in range(2)] == ["trust"] * 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("factor", "said"), [(1.03, "smaller"), (0.98, "larger")])
def test_a_wrong_size_of_the_squares_is_named(mode: Mode, factor: float, said: str):
    views = views_of(mode)
    found = verdict_of(replace(views, board=views.board * factor))
    assert found.word == "wrong"
    first = found.reasons[0].partition("; or ")[0]  # the likelier explanation
    assert "the squares seem to be" in first, found
    assert said in first


@pytest.mark.parametrize("mode", MODES)
def test_a_wrong_focal_length_is_named(mode: Mode):
    views = views_of(mode)
    found = verdict_of(replace(views, K=views.K * np.array([[1.04, 1, 1], [1, 1.04, 1], [1, 1, 1]])))
    assert found.word == "wrong"
    first = found.reasons[0].partition("; or ")[0]
    assert "the focal length seems to be" in first, found
    assert "shorter" in first


@pytest.mark.parametrize("mode", MODES)
def test_the_other_mode_or_inverted_poses_are_named(mode: Mode):
    views = views_of(mode)
    inverted = verdict_of(replace(views, T_base_flange=se3.inverse(views.T_base_flange)))
    swapped = verdict_of(replace(views, mode=MODES[1 - MODES.index(mode)]))
    for found in (inverted, swapped):
        assert found.word == "wrong"
        assert any("is the mode right, or are the arm's poses inverted" in r for r in found.reasons), found


@pytest.mark.parametrize("mode", MODES)
def test_a_board_that_moved_half_way_is_named(mode: Mode):
    views = views_of(mode)
    flange, shift = views.T_base_flange.copy(), se3.make(np.eye(3), [0.012, 0.006, 0.0])
    flange[8:] = shift @ flange[8:] if mode == "eye_in_hand" else flange[8:] @ shift
    found = verdict_of(replace(views, T_base_flange=flange))
    assert found.word == "wrong"
    assert any("the board or the camera moved by about" in r for r in found.reasons), found


def test_poses_that_have_nothing_to_do_with_the_pictures():
    views = views_of("eye_in_hand")
    found = verdict_of(replace(views, T_base_flange=views.T_base_flange[::-1].copy()))
    assert found.word == "wrong"
    assert any("the arm's poses and the pictures disagree" in r for r in found.reasons), found


def test_a_bent_board_shows_in_the_corners():
    views = views_of("eye_in_hand", pixel=1.6)
    found = verdict_of(views)
    assert found.word == "wrong"
    assert any("around a flat board" in r for r in found.reasons), found


def test_few_views_ask_for_more():
    found = verdict_of(views_of("eye_in_hand", count=5))
    assert found.word == "collect_more"
    assert "only 5 good views" in found.reasons[0]


def test_a_coarse_arm_asks_for_more_and_gets_better_with_more():
    arm = (2e-3, float(np.deg2rad(0.2)))
    few = solve(views_of("eye_in_hand", arm=arm, count=12))
    many = solve(views_of("eye_in_hand", arm=arm, count=60))
    assert judge(few).word == "collect_more"
    assert any("the result is uncertain by" in r for r in judge(few).reasons)
    assert many.uncertainty[0] < 0.7 * few.uncertainty[0]


# What is kept.


def test_the_report_says_what_is_kept():
    views = replace(views_of("eye_in_hand"), stamps=np.full(15, 1_795_232_964_500_000_000))
    found = solve(views)
    verdict = judge(found)
    text = report.told(found, verdict, np.eye(4))
    assert "verdict: trust it" in text
    assert all(name in text for name in ("tsai", "park", "horaud", "andreff", "daniilidis", "robot_world_shah"))
    kept = report.calibration(found, verdict, BOARD, ("tool0", "camera_color_optical_frame"), "camera", "0123", ())
    assert apart(kept.T_parent_child, found.X) < (1e-3, 1e-4)
    assert (kept.views, kept.rejected, kept.serial, kept.verdict) == (15, 0, "0123", "trust")
    assert kept.date == datetime(2026, 11, 21, 3, 49, 24, tzinfo=timezone.utc)
    assert kept.residual.mm == pytest.approx(found.residual[0], abs=1e-3)


def test_a_wrong_result_is_not_kept():
    found = solve(views_of("eye_in_hand"))
    with pytest.raises(InputError, match="is not kept"):
        report.calibration(found, Verdict("wrong", ("x",)), BOARD, ("a", "b"), "camera", "", ())


# Checking a result.


@pytest.mark.parametrize("mode", MODES)
def test_a_check_tells_good_from_bad(mode: Mode):
    views, X, Y = make_views(mode, 7, 6, pixel=0.1)
    good = check.check(views, X)
    assert good.good
    assert good.rms < 0.5
    assert apart(good.Y, Y) < (0.5, 0.1)
    bad = check.check(views, X @ se3.make(se3.exp_so3([0.0, 0.02, 0.0]), [0.006, 0.0, 0.0]))
    assert not bad.good
    assert "calibrate again" in str(bad)


def test_a_check_needs_three_views():
    views, X, _ = make_views("eye_in_hand", 7, 2)
    with pytest.raises(InputError, match="2 views: 3 at least"):
        check.check(views, X)


def test_fingertips_go_over_the_corners():
    T_base_board = se3.make(se3.rpy_matrix(np.pi, 0.0, 0.4), [0.5, 0.1, 0.05])
    tcp = se3.make(se3.rpy_matrix(np.pi, 0.1, 1.0), [0.4, 0.0, 0.4])
    poses = check.touch_poses(T_base_board, BOARD.corners, 0.02, tcp)
    over = se3.transform(se3.inverse(T_base_board), poses[:, :3, 3])
    np.testing.assert_allclose(over[:, 2], -0.02, atol=1e-9)
    extent = BOARD.corners[:, :2].min(axis=0), BOARD.corners[:, :2].max(axis=0)
    np.testing.assert_allclose([over[:4, :2].min(axis=0), over[:4, :2].max(axis=0)], extent, atol=1e-9)
    assert se3.is_rotation(poses[:, :3, :3]).all()
    np.testing.assert_allclose(poses[:, :3, 2], np.tile(T_base_board[:3, 2], (5, 1)), atol=1e-9)
    assert (poses[:, :3, 0] @ tcp[:3, 0] > 0.9).all(), "no needless turn of the gripper"


# Advice.


def test_advice_begins_with_a_first_view_and_ends_when_all_is_covered():
    assert "a first view" in guide.missing(np.zeros((0, 4, 4)), BOARD.centre)[0]
    looks = candidates(BOARD, K, SIZE, Range())
    assert guide.missing(looks[np.argsort(np.abs(guide.turned(looks)))], BOARD.centre) == []
    straight = looks[:1]
    missing = guide.missing(straight, BOARD.centre)
    assert len(missing) == 7
    assert sum("seen from" in m for m in missing) == 4


@pytest.mark.parametrize(
    ("axis", "angle", "side"), [(1, 0.4, "left"), (1, -0.4, "right"), (0, -0.4, "above"), (0, 0.4, "below")]
)
def test_advice_names_the_side_that_is_missing(axis: int, angle: float, side: str):
    """A board turned about the picture's vertical so that its right side comes nearer faces to the left, and so on."""
    R = se3.exp_so3(angle * np.eye(3)[axis])
    T = se3.make(R, np.array([0.0, 0.0, 0.5]) - R @ BOARD.centre)[None]
    text = "; ".join(guide.missing(T, BOARD.centre))
    assert f"seen from {side}" not in text
    assert text.count("seen from") == 3
