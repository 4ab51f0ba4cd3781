"""What every `MotionPlanner` does about grasps: whole motions, and the search through candidates."""

import numpy as np
import pytest

from grasp_core import se3
from grasp_core.errors import ErrorCode, PlanningError

from .conftest import assert_within_limits, block, contacts, solid, top_down


def neighbours() -> np.ndarray:
    return np.concatenate([block(0.40, 0.05), block(0.60, -0.05, 0.06)])


def test_a_grasp_in_the_bin(any_planner, home, checker):
    any_planner.set_scene(np.concatenate([block(), neighbours()]))
    T = top_down(0.5, 0.0, 0.05)
    plan = any_planner.plan_grasp(home, T[:3, :3], T[:3, 3], 0.06)
    np.testing.assert_array_equal(plan.approach.q[0], home)
    for a, b in ((plan.approach, plan.descent), (plan.descent, plan.lift)):
        np.testing.assert_allclose(a.q[-1], b.q[0], atol=1e-9)
    end = any_planner.fk(plan.descent.q[-1])
    np.testing.assert_allclose(end, plan.T_base_tcp, atol=1e-4)
    np.testing.assert_allclose(end[:3, 3], T[:3, 3], atol=1e-4)
    np.testing.assert_allclose(end[:3, 2], T[:3, 2], atol=1e-4)
    up = any_planner.fk(plan.lift.q[-1])[:3, 3] - end[:3, 3]
    np.testing.assert_allclose(up, [0, 0, plan.lift_distance], atol=1e-4)
    for part in (plan.approach, plan.descent, plan.lift):
        assert_within_limits(any_planner, part)
    assert contacts(checker, plan.approach, 0.06, np.concatenate([block(), neighbours()])) == {}
    assert contacts(checker, plan.descent, 0.06, neighbours()) == {}
    assert plan.target.contains(block()).mean() > 0.5
    assert not plan.target.contains(neighbours()).any()
    assert plan.held.size[0] == pytest.approx(0.06)
    assert set(plan.timings) >= {"ik", "path", "timing", "linear", "total"}


def test_the_half_turn_is_taken_when_it_is_nearer(any_planner, home):
    near = any_planner.fk(home)
    for turn in (0.0, np.pi):
        R = near[:3, :3] @ se3.rpy_matrix(0, 0, turn)
        plan = any_planner.plan_grasp(home, R, near[:3, 3] - [0, 0, 0.1], 0.05)
        assert plan.flipped == (turn != 0)
        assert abs(plan.descent.q[-1][5] - home[5]) < 0.5


@pytest.mark.parametrize(
    ("T", "code", "words"),
    [
        (top_down(1.5, 0.0, 0.1), ErrorCode.UNREACHABLE, "reach"),
        (top_down(0.5, 0.0, 0.0), ErrorCode.GOAL_IN_COLLISION, "finger - bin_floor"),
        (top_down(0.5, None, 0.05, np.pi / 2), ErrorCode.GOAL_IN_COLLISION, "bin_left"),
    ],
)
def test_hopeless_grasps(any_planner, home, cell, T, code, words):
    T = T.copy()
    if np.isnan(T[1, 3]):  # a finger in the wall of the bin
        T[1, 3] = cell.bin.center[1] + cell.bin.size[1] / 2 - 0.032
    with pytest.raises(PlanningError, match=words) as caught:
        any_planner.plan_grasp(home, T[:3, :3], T[:3, 3], 0.06)
    assert caught.value.code == code


def test_a_neighbour_under_a_finger_is_a_collision(any_planner, home):
    any_planner.set_scene(np.concatenate([block(), block(0.56, 0.0)]))
    T = top_down(0.5, 0.0, 0.05)
    with pytest.raises(PlanningError, match="finger - scene") as caught:
        any_planner.plan_grasp(home, T[:3, :3], T[:3, 3], 0.085)
    assert caught.value.code == ErrorCode.GOAL_IN_COLLISION


def test_nothing_above_may_stop_the_hand(any_planner, home):
    roof = solid([0.42, -0.08, 0.20], [0.58, 0.08, 0.22])
    any_planner.set_scene(np.concatenate([block(), roof]))
    T = top_down(0.5, 0.0, 0.05)
    with pytest.raises(PlanningError) as caught:
        any_planner.plan_grasp(home, T[:3, :3], T[:3, 3], 0.06)
    assert caught.value.code in (ErrorCode.GOAL_IN_COLLISION, ErrorCode.NO_PATH)
    assert "scene" in str(caught.value)


@pytest.mark.parametrize(
    ("R", "t"),
    [
        (np.full((3, 3), np.nan), np.zeros(3)),
        (np.eye(3) * 1.2, np.zeros(3)),
        (np.eye(3), np.zeros(2)),
        (np.eye(3), np.array([0, np.inf, 0])),
    ],
)
def test_invalid_grasps(any_planner, home, R, t):
    with pytest.raises(PlanningError) as caught:
        any_planner.plan_grasp(home, R, t, 0.05)
    assert caught.value.code == ErrorCode.INVALID_GOAL


def test_the_search_takes_the_first_that_works(any_planner, home):
    any_planner.set_scene(block())
    poses = np.stack([top_down(1.5, 0, 0.1), top_down(0.5, 0, 0.0), top_down(0.5, 0, 0.05), top_down(0.5, 0, 0.06)])
    poses[1, 0, 0] = np.nan
    found = any_planner.plan_grasps(home, poses[:, :3, :3], poses[:, :3, 3], np.full(4, 0.06))
    assert found.index == 2
    assert found.tried == 3
    assert [r.code for r in found.rejected] == [ErrorCode.UNREACHABLE, ErrorCode.INVALID_GOAL]
    assert found.counts() == {"UNREACHABLE": 1, "INVALID_GOAL": 1}
    np.testing.assert_allclose(found.plan.T_base_tcp[:3, 3], [0.5, 0, 0.05], atol=1e-6)


def test_the_search_reports_when_nothing_works(any_planner, home):
    poses = np.stack([top_down(1.5, 0, 0.1)] * 3)
    found = any_planner.plan_grasps(home, poses[:, :3, :3], poses[:, :3, 3], np.full(3, 0.06))
    assert found.plan is None
    assert found.index == -1
    assert found.tried == 3
    none = any_planner.plan_grasps(home, poses[:0, :3, :3], poses[:0, :3, 3], np.zeros(0))
    assert none.plan is None
    assert none.tried == 0


def test_the_search_refuses_arrays_that_do_not_fit(any_planner, home):
    with pytest.raises(PlanningError) as caught:
        any_planner.plan_grasps(home, np.zeros((2, 3, 3)), np.zeros((3, 3)), np.zeros(2))
    assert caught.value.code == ErrorCode.INVALID_GOAL


def test_a_bad_start_is_raised_at_once(any_planner, home):
    T = top_down(0.5, 0, 0.05)[None]
    with pytest.raises(PlanningError) as caught:
        any_planner.plan_grasps(home * np.nan, T[:, :3, :3], T[:, :3, 3], np.full(1, 0.06))
    assert caught.value.code == ErrorCode.INVALID_GOAL
    start = any_planner.ik(top_down(0.5, 0.0, 0.12), home)[0]
    any_planner.set_scene(solid([0.4, -0.1, 0.1], [0.6, 0.1, 0.3]))
    with pytest.raises(PlanningError) as caught:
        any_planner.plan_grasps(start, T[:, :3, :3], T[:, :3, 3], np.full(1, 0.06))
    assert caught.value.code == ErrorCode.START_IN_COLLISION


def test_after_the_lift_the_object_goes_with_the_arm(any_planner, home):
    any_planner.set_scene(np.concatenate([block(), neighbours()]))
    T = top_down(0.5, 0.0, 0.05)
    plan = any_planner.plan_grasp(home, T[:3, :3], T[:3, 3], 0.06)
    any_planner.set_scene(neighbours(), held=plan.held)
    away = any_planner.plan_joints(plan.lift.q[-1], home, 0.04)
    np.testing.assert_allclose(away.q[-1], home)
