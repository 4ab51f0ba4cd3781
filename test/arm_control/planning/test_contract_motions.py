"""What every `MotionPlanner` does: free and straight motion, scenes, starts in contact, errors."""

import numpy as np
import pytest

from arm_control.planning import Exemption, HeldObject, MotionPlanner
from grasp_core.errors import ErrorCode, PlanningError

from .conftest import assert_within_limits, contacts, solid, top_down, wall

STICK = HeldObject(np.array([0, 0, 0.15]), np.array([0.05, 0.05, 0.3]))


def refused(code, call, *args, **options) -> str:
    with pytest.raises(PlanningError) as caught:
        call(*args, **options)
    assert caught.value.code == code, caught.value
    return str(caught.value)


def test_it_is_a_motion_planner(any_planner, arm):
    assert isinstance(any_planner, MotionPlanner)
    assert any_planner.joint_names == tuple(arm.joints)


# Free motion.


def test_a_free_joint_motion(any_planner, home):
    goal = home + np.array([0.8, 0.1, -0.1, 0, 0, 0.5])
    trajectory = any_planner.plan_joints(home, goal, 0.085)
    assert trajectory.names == any_planner.joint_names
    np.testing.assert_array_equal(trajectory.q[0], home)
    np.testing.assert_allclose(trajectory.q[-1], goal, atol=1e-9)
    assert_within_limits(any_planner, trajectory)


@pytest.mark.parametrize("scaling", [0.2, 1.0])
def test_velocity_scaling(any_planner, home, scaling):
    trajectory = any_planner.plan_joints(home, home + 1.0 * np.eye(6)[0], 0.085, velocity_scaling=scaling)
    assert_within_limits(any_planner, trajectory, scaling)


def test_to_where_it_is(any_planner, home):
    trajectory = any_planner.plan_joints(home, home, 0.085)
    np.testing.assert_allclose(trajectory.q, np.tile(home, (len(trajectory), 1)))
    assert (np.diff(trajectory.times) > 0).all()


def test_a_wall_is_avoided(any_planner, checker, home):
    any_planner.set_scene(wall())
    goal = any_planner.ik(top_down(0.3, 0.5, 0.2), home)[0]
    trajectory = any_planner.plan_joints(home, goal, 0.085)
    assert_within_limits(any_planner, trajectory)
    assert contacts(checker, trajectory, 0.085, wall()) == {}
    touching = any_planner.contacts((home + goal) / 2, 0.085)
    assert touching, "the straight way would have hit the wall"
    assert any("scene" in pair for pair in touching)
    any_planner.set_scene(None)
    assert any_planner.contacts((home + goal) / 2, 0.085) == []


def test_the_opening_counts(any_planner, home):
    q = any_planner.ik(top_down(0.5, 0.0, 0.2), home)[0]
    any_planner.set_scene(solid([0.545, -0.005, 0.2], [0.55, 0.005, 0.24], 0.005))  # where the open finger is
    assert any_planner.contacts(q, 0.0) == []
    assert any("finger" in a + b for a, b in any_planner.contacts(q, 0.085))


def test_ik_solutions_are_free_and_the_nearest_comes_first(any_planner, home):
    T = top_down(0.5, 0.0, 0.12)
    found = any_planner.ik(T, home)
    assert len(found) >= 2
    for q in found:
        np.testing.assert_allclose(any_planner.fk(q), T, atol=1e-5)
        assert any_planner.contacts(q, 0.085) == []
    far = np.abs(found - home).sum(1)
    assert far[0] <= far.max()


def test_plan_pose_ends_at_the_pose(any_planner, checker, home):
    T = top_down(0.3, 0.5, 0.25, yaw=0.7)
    trajectory = any_planner.plan_pose(home, T, 0.0)
    np.testing.assert_allclose(any_planner.fk(trajectory.q[-1]), T, atol=1e-6)
    assert contacts(checker, trajectory, 0.0) == {}


@pytest.mark.parametrize(
    ("T", "code"),
    [
        (top_down(1.5, 0.0, 0.3), ErrorCode.UNREACHABLE),
        (top_down(0.5, 0.0, -0.02), ErrorCode.GOAL_IN_COLLISION),
        (np.full((4, 4), np.nan), ErrorCode.INVALID_GOAL),
    ],
)
def test_bad_pose_targets(any_planner, home, T, code):
    refused(code, any_planner.plan_pose, home, T, 0.085)


def test_bad_joint_targets(any_planner, home):
    refused(ErrorCode.OUT_OF_LIMITS, any_planner.plan_joints, home, home + 4.0 * np.eye(6)[2], 0.085)
    refused(ErrorCode.INVALID_GOAL, any_planner.plan_joints, home, home[:5], 0.085)
    told = refused(ErrorCode.GOAL_IN_COLLISION, any_planner.plan_joints, home, np.array([0, 0.3, 0, 0, 0, 0.0]), 0.085)
    assert "table" in told


@pytest.mark.parametrize("width", [-0.01, 0.2, np.nan])
def test_bad_widths(any_planner, home, width):
    refused(ErrorCode.INVALID_GOAL, any_planner.plan_joints, home, home, width)


@pytest.mark.parametrize("scaling", [0.0, 1.5, np.nan])
def test_bad_scalings(any_planner, home, scaling):
    refused(ErrorCode.INVALID_GOAL, any_planner.plan_joints, home, home, 0.085, velocity_scaling=scaling)


@pytest.mark.parametrize("cloud", [np.zeros((3, 2)), np.array([[np.nan, 0, 0]])])
def test_bad_clouds(any_planner, cloud):
    refused(ErrorCode.INVALID_GOAL, any_planner.set_scene, cloud)


def test_no_way_through_is_no_path(any_planner, home):
    box = solid([0.2, -0.35, 0.0], [0.8, 0.35, 0.02])  # a cage around the hand at home
    sides = [solid([0.36, y, 0.3], [0.66, y, 0.5]) for y in (0.02, 0.26)]
    any_planner.set_scene(np.concatenate([box, *sides, solid([0.36, 0.02, 0.24], [0.66, 0.26, 0.24])]))
    any_planner.max_time, keep = 0.3, any_planner.max_time
    try:
        with pytest.raises(PlanningError) as caught:
            any_planner.plan_pose(home, top_down(0.3, 0.5, 0.01), 0.085)
        assert caught.value.code in (ErrorCode.NO_PATH, ErrorCode.GOAL_IN_COLLISION)
    finally:
        any_planner.max_time = keep


# What is held.


def test_a_held_object_counts_until_it_is_released(any_planner, home):
    any_planner.set_scene(None, held=STICK)
    told = refused(ErrorCode.GOAL_IN_COLLISION, any_planner.plan_pose, home, top_down(0.5, 0.0, 0.2), 0.05)
    assert "held_object" in told
    any_planner.set_held(None)
    any_planner.plan_pose(home, top_down(0.5, 0.0, 0.2), 0.05)


def test_what_is_held_goes_round_a_wall(any_planner, checker, home):
    low = solid([0.35, 0.25, 0.0], [0.8, 0.27, 0.28])
    any_planner.set_scene(low, held=HeldObject(np.array([0, 0, 0.06]), np.array([0.05, 0.05, 0.12])))
    start = any_planner.ik(top_down(0.5, 0.0, 0.35), home, 0.05)[0]
    trajectory = any_planner.plan_pose(start, top_down(0.45, 0.5, 0.3), 0.05)
    q = trajectory.sample(np.linspace(0, trajectory.duration, 100))
    over = [any_planner.fk(x)[:3, 3] for x in q]
    assert all(p[2] > 0.28 + 0.1 for p in over if abs(p[1] - 0.26) < 0.03 and 0.35 < p[0] < 0.8)


def test_a_held_object_may_stand_where_it_is_lifted_from(any_planner, home):
    start = any_planner.ik(top_down(0.5, 0.0, 0.05), home, 0.05)[0]
    standing = HeldObject(np.array([0, 0, 0.018]), np.array([0.05, 0.05, 0.06]))  # down to 2 mm above the table
    any_planner.set_scene(None, held=standing)
    up = any_planner.plan_linear(start, top_down(0.5, 0.0, 0.2), 0.05)
    np.testing.assert_allclose(any_planner.fk(up.q[-1]), top_down(0.5, 0.0, 0.2), atol=1e-4)
    refused(ErrorCode.GOAL_IN_COLLISION, any_planner.plan_linear, start, top_down(0.5, 0.0, 0.03), 0.05)


# Straight lines.


def test_a_straight_line_is_straight_and_at_its_speed(any_planner, home, arm):
    T0 = any_planner.fk(home)
    T1 = T0.copy()
    T1[:3, 3] += [0.05, -0.1, -0.12]
    trajectory = any_planner.plan_linear(home, T1, 0.085)
    p = any_planner.kin.tcp_positions(trajectory.sample(np.linspace(0, trajectory.duration, 300)))
    d = (T1 - T0)[:3, 3] / np.linalg.norm((T1 - T0)[:3, 3])
    off = (p - T0[:3, 3]) - np.outer((p - T0[:3, 3]) @ d, d)
    assert np.linalg.norm(off, axis=1).max() < 1e-3
    speed = np.linalg.norm(np.diff(p, axis=0), axis=1) / (trajectory.duration / 299)
    assert speed.max() <= arm.linear_velocity * 1.03
    np.testing.assert_allclose(any_planner.fk(trajectory.q[-1]), T1, atol=1e-4)
    assert_within_limits(any_planner, trajectory)


def test_a_slower_line(any_planner, home, arm):
    T1 = any_planner.fk(home)
    T1[2, 3] -= 0.1
    slow = any_planner.plan_linear(home, T1, 0.085, velocity_scaling=arm.velocity_scaling / 4)
    assert slow.duration > 0.1 / (arm.linear_velocity / 4)


def test_a_line_out_of_reach(any_planner, home):
    with pytest.raises(PlanningError, match="%") as caught:
        any_planner.plan_linear(home, top_down(1.4, 0.13, 0.33), 0.085)
    assert caught.value.code in (ErrorCode.UNREACHABLE, ErrorCode.NO_PATH)


def test_a_line_into_the_table(any_planner, home):
    goal = top_down(0.5, 0.0, -0.01, yaw=-np.pi / 2)
    assert "bin_floor" in refused(ErrorCode.GOAL_IN_COLLISION, any_planner.plan_linear, home, goal, 0.085)


def test_a_line_through_something(any_planner, home):
    start = any_planner.ik(top_down(0.4, 0.0, 0.2), home)[0]
    any_planner.set_scene(solid([0.49, -0.1, 0.1], [0.51, 0.1, 0.25]))
    told = refused(ErrorCode.NO_PATH, any_planner.plan_linear, start, top_down(0.62, 0.0, 0.2), 0.085)
    assert "%" in told
    assert "scene" in told


def test_the_exemption_holds_for_its_points_only(any_planner, home):
    start = any_planner.ik(top_down(0.5, 0.0, 0.2), home)[0]
    goal = top_down(0.5, 0.0, 0.06)
    box = Exemption(top_down(0.5, 0.0, 0.06), np.array([0.1, 0.08, 0.1]))
    target = solid([0.455, -0.01, 0.02], [0.545, 0.01, 0.07], 0.005)  # the fingers come down on it
    any_planner.set_scene(target)
    assert "finger - scene" in refused(ErrorCode.GOAL_IN_COLLISION, any_planner.plan_linear, start, goal, 0.085)
    any_planner.plan_linear(start, goal, 0.085, ignore=box)
    any_planner.set_scene(np.concatenate([target, solid([0.5, 0.02, 0.16], [0.55, 0.03, 0.2], 0.005)]))
    with pytest.raises(PlanningError, match="palm - scene"):
        any_planner.plan_linear(start, goal, 0.085, ignore=box)


def test_known_boxes_are_never_exempt(any_planner, home):
    start = any_planner.ik(top_down(0.5, 0.0, 0.2), home)[0]
    box = Exemption(np.eye(4), np.full(3, 5.0))
    goal = top_down(0.5, 0.0, 0.003)
    refused(ErrorCode.GOAL_IN_COLLISION, any_planner.plan_linear, start, goal, 0.085, ignore=box)
    any_planner.plan_linear(start, top_down(0.5, 0.0, 0.0085), 0.085, ignore=box)  # 2.5 mm above the bin's floor


def test_points_on_known_boxes_are_dropped(any_planner, home):
    any_planner.set_scene(solid([0.35, -0.1, 0.0], [0.65, 0.1, 0.01]))
    start = any_planner.ik(top_down(0.5, 0.0, 0.2), home)[0]
    any_planner.plan_linear(start, top_down(0.5, 0.0, 0.0085), 0.085)


# Starts in contact.


def test_a_start_that_touches_the_cloud_is_left(any_planner, home):
    start = any_planner.ik(top_down(0.5, 0.0, 0.12), home)[0]
    any_planner.set_scene(solid([0.53, -0.02, 0.01], [0.56, 0.02, 0.125]))
    assert any_planner.contacts(start, 0.085)
    trajectory = any_planner.plan_joints(start, home, 0.085)
    assert_within_limits(any_planner, trajectory)
    touching = [bool(any_planner.contacts(q, 0.085)) for q in trajectory.q[:: max(1, len(trajectory) // 40)]]
    assert touching[0]
    assert not touching[-1]
    assert touching == sorted(touching, reverse=True), "contact ends and does not come back"


def test_a_start_deep_in_something_is_refused(any_planner, home):
    start = any_planner.ik(top_down(0.5, 0.0, 0.12), home)[0]
    any_planner.set_scene(solid([0.4, -0.1, 0.1], [0.6, 0.1, 0.3]))
    assert "scene" in refused(ErrorCode.START_IN_COLLISION, any_planner.plan_joints, start, home, 0.085)
