"""Free and straight motion: free of collision, inside the limits, repeatable, and clear about failures."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from arm_control.planning import Exemption, HeldObject, MotionPlanner, make_planner
from arm_control.planning.collision import Mode
from arm_control.planning.timing import trapezoid
from grasp_core.errors import ConfigError, ErrorCode, PlanningError
from grasp_eval.trajectory_check import TrajectoryChecker

from .conftest import solid, top_down


@pytest.fixture(scope="session")
def checker(arm, gripper, cell):
    return TrajectoryChecker(arm, gripper, cell)


def contacts(checker, trajectory, width, cloud=None):
    """All contacts of a trajectory by the independent check, every 20 ms."""
    tree = None if cloud is None else cKDTree(cloud)
    hand = checker.fingers(width)
    times = np.linspace(0, trajectory.duration, int(trajectory.duration / 0.02) + 2)
    return {k: v for q in trajectory.sample(times) for k, v in checker.contacts(q, hand, tree, tree).items()}


def assert_within_limits(planner, trajectory, scaling=None):
    limits = planner.limits(scaling)
    assert (np.abs(trajectory.qd) <= limits.velocity * 1.001).all()
    assert (np.abs(trajectory.qdd) <= limits.acceleration * 1.001).all()
    assert (np.diff(trajectory.times) > 0).all()
    assert trajectory.times[0] == 0
    assert np.abs(trajectory.qd[[0, -1]]).max() < 1e-9
    t = np.linspace(0, trajectory.duration, 400)
    p = planner.kin.tcp_positions(trajectory.sample(t))
    assert np.linalg.norm(np.diff(p, axis=0), axis=1).max() / (t[1] - t[0]) <= limits.tcp_velocity * 1.03


def test_it_is_a_motion_planner(planner):
    assert isinstance(planner, MotionPlanner)


def test_an_unknown_planner_is_an_error(arm, gripper, cell):
    with pytest.raises(ConfigError, match="unknown"):
        make_planner("magic", "", arm, gripper, cell)


def test_a_straight_joint_motion(planner, home):
    goal = home + np.array([0.8, 0.1, -0.1, 0, 0, 0.5])
    trajectory = planner.plan_joints(home, goal, 0.085)
    np.testing.assert_allclose(trajectory.q[0], home)
    np.testing.assert_allclose(trajectory.q[-1], goal, atol=1e-9)
    assert_within_limits(planner, trajectory)


@pytest.mark.parametrize("scaling", [0.2, 1.0])
def test_velocity_scaling(planner, home, scaling):
    trajectory = planner.plan_joints(home, home + 1.0 * np.eye(6)[0], 0.085, velocity_scaling=scaling)
    assert_within_limits(planner, trajectory, scaling)


def wall() -> np.ndarray:
    """A wall between the bin and the tray, 40 cm high."""
    return solid([0.4, 0.25, 0.0], [0.8, 0.27, 0.4])


def test_a_wall_is_avoided(planner, checker, home):
    planner.set_scene(wall())
    goal = planner.ik(top_down(0.3, 0.5, 0.2), home)[0]
    trajectory = planner.plan_joints(home, goal, 0.085)
    assert_within_limits(planner, trajectory)
    assert contacts(checker, trajectory, 0.085, wall()) == {}
    middle = (home + goal) / 2
    assert planner.contacts(middle, 0.085), "the straight way would have hit the wall"


def test_plans_are_repeatable(planner, home):
    planner.set_scene(wall())
    goal = planner.ik(top_down(0.3, 0.5, 0.2), home)[0]
    first, second = (planner.plan_joints(home, goal, 0.085) for _ in range(2))
    np.testing.assert_array_equal(first.q, second.q)


def test_a_held_object_counts(planner, home):
    planner.set_scene(None, held=HeldObject(np.array([0, 0, 0.15]), np.array([0.05, 0.05, 0.3])))
    with pytest.raises(PlanningError) as caught:
        planner.plan_pose(home, top_down(0.5, 0.0, 0.2), 0.05)
    assert caught.value.code == ErrorCode.GOAL_IN_COLLISION
    assert "held_object" in str(caught.value)
    planner.set_held(None)
    planner.plan_pose(home, top_down(0.5, 0.0, 0.2), 0.05)


def test_plan_pose_ends_at_the_pose(planner, checker, home):
    T = top_down(0.3, 0.5, 0.25, yaw=0.7)
    trajectory = planner.plan_pose(home, T, 0.0)
    np.testing.assert_allclose(planner.fk(trajectory.q[-1]), T, atol=1e-6)
    assert contacts(checker, trajectory, 0.0) == {}


@pytest.mark.parametrize(
    ("T", "code"),
    [
        (top_down(1.5, 0.0, 0.3), ErrorCode.UNREACHABLE),
        (top_down(0.5, 0.0, -0.02), ErrorCode.GOAL_IN_COLLISION),
        (np.full((4, 4), np.nan), ErrorCode.INVALID_GOAL),
    ],
)
def test_bad_pose_targets(planner, home, T, code):
    with pytest.raises(PlanningError) as caught:
        planner.plan_pose(home, T, 0.085)
    assert caught.value.code == code


def test_bad_joint_targets(planner, home):
    for goal, code in [
        (home + 4.0 * np.eye(6)[2], ErrorCode.OUT_OF_LIMITS),
        (np.array([0, 0.3, 0, 0, 0, 0.0]), ErrorCode.GOAL_IN_COLLISION),
        (home[:5], ErrorCode.INVALID_GOAL),
    ]:
        with pytest.raises(PlanningError) as caught:
            planner.plan_joints(home, goal, 0.085)
        assert caught.value.code == code


@pytest.mark.parametrize("width", [-0.01, 0.2, np.nan])
def test_bad_widths(planner, home, width):
    with pytest.raises(PlanningError) as caught:
        planner.plan_joints(home, home, width)
    assert caught.value.code == ErrorCode.INVALID_GOAL


@pytest.mark.parametrize("scaling", [0.0, 1.5, np.nan])
def test_bad_scalings(planner, home, scaling):
    with pytest.raises(PlanningError) as caught:
        planner.plan_joints(home, home, 0.085, velocity_scaling=scaling)
    assert caught.value.code == ErrorCode.INVALID_GOAL


@pytest.mark.parametrize("cloud", [np.zeros((3, 2)), np.array([[np.nan, 0, 0]])])
def test_bad_clouds(planner, cloud):
    with pytest.raises(PlanningError) as caught:
        planner.set_scene(cloud)
    assert caught.value.code == ErrorCode.INVALID_GOAL


def test_no_way_through_is_no_path(planner, home):
    box = solid([0.2, -0.35, 0.0], [0.8, 0.35, 0.02])  # a cage around the hand at home
    sides = [solid([0.36, y, 0.3], [0.66, y, 0.5]) for y in (0.02, 0.26)]
    planner.set_scene(np.concatenate([box, *sides, solid([0.36, 0.02, 0.24], [0.66, 0.26, 0.24])]))
    planner.max_time, keep = 0.3, planner.max_time
    try:
        with pytest.raises(PlanningError) as caught:
            planner.plan_pose(home, top_down(0.3, 0.5, 0.01), 0.085)
        assert caught.value.code in (ErrorCode.NO_PATH, ErrorCode.GOAL_IN_COLLISION)
    finally:
        planner.max_time = keep


def test_a_straight_line_is_straight_and_at_its_speed(planner, home):
    T0 = planner.fk(home)
    T1 = T0.copy()
    T1[:3, 3] += [0.05, -0.1, -0.12]
    trajectory = planner.plan_linear(home, T1, 0.085)
    p = planner.kin.tcp_positions(trajectory.sample(np.linspace(0, trajectory.duration, 300)))
    d = (T1 - T0)[:3, 3] / np.linalg.norm((T1 - T0)[:3, 3])
    off = (p - T0[:3, 3]) - np.outer((p - T0[:3, 3]) @ d, d)
    assert np.linalg.norm(off, axis=1).max() < 1e-3
    speed = np.linalg.norm(np.diff(p, axis=0), axis=1) / (trajectory.duration / 299)
    assert speed.max() <= planner.arm.linear_velocity * 1.02
    np.testing.assert_allclose(planner.fk(trajectory.q[-1]), T1, atol=1e-4)
    assert_within_limits(planner, trajectory)


def test_a_line_out_of_reach(planner, home):
    with pytest.raises(PlanningError) as caught:
        planner.plan_linear(home, top_down(1.4, 0.13, 0.33), 0.085)
    assert caught.value.code in (ErrorCode.UNREACHABLE, ErrorCode.NO_PATH)
    assert "%" in str(caught.value)


def test_a_line_into_the_table(planner, home):
    with pytest.raises(PlanningError) as caught:
        planner.plan_linear(home, top_down(0.5, 0.0, -0.01, yaw=-np.pi / 2), 0.085)
    assert caught.value.code == ErrorCode.GOAL_IN_COLLISION
    assert "bin_floor" in str(caught.value)


def test_the_exemption_holds_for_its_points_only(planner, home):
    start = planner.ik(top_down(0.5, 0.0, 0.2), home)[0]
    goal = top_down(0.5, 0.0, 0.06)
    box = Exemption(top_down(0.5, 0.0, 0.06), np.array([0.1, 0.08, 0.1]))
    target = solid([0.455, -0.01, 0.02], [0.545, 0.01, 0.07], 0.005)  # the fingers come down on it
    planner.set_scene(target)
    with pytest.raises(PlanningError) as caught:
        planner.plan_linear(start, goal, 0.085)
    assert "finger - scene" in str(caught.value)
    planner.plan_linear(start, goal, 0.085, ignore=box)
    planner.set_scene(np.concatenate([target, solid([0.5, 0.02, 0.16], [0.55, 0.03, 0.2], 0.005)]))
    with pytest.raises(PlanningError) as caught:
        planner.plan_linear(start, goal, 0.085, ignore=box)
    assert "palm - scene" in str(caught.value)


def test_known_boxes_are_never_exempt(planner, home):
    start = planner.ik(top_down(0.5, 0.0, 0.2), home)[0]
    box = Exemption(np.eye(4), np.full(3, 5.0))
    with pytest.raises(PlanningError) as caught:
        planner.plan_linear(start, top_down(0.5, 0.0, 0.003), 0.085, ignore=box)
    assert caught.value.code == ErrorCode.GOAL_IN_COLLISION
    planner.plan_linear(start, top_down(0.5, 0.0, 0.0085), 0.085, ignore=box)  # 2.5 mm above the bin's floor


def test_points_on_known_boxes_are_dropped(planner, home):
    planner.set_scene(solid([0.35, -0.1, 0.0], [0.65, 0.1, 0.01]))
    assert len(planner.world.points) == 0


def test_a_start_that_touches_the_cloud_is_left(planner, home, checker):
    start = planner.ik(top_down(0.5, 0.0, 0.12), home)[0]
    planner.set_scene(solid([0.53, -0.02, 0.01], [0.56, 0.02, 0.125]))
    assert planner.contacts(start, 0.085)
    trajectory = planner.plan_joints(start, home, 0.085)
    free = planner.world.checker(Mode.FREE, 0.085)
    touching = [free.collides(q) for q in trajectory.q]
    assert not touching[-1]
    assert touching == sorted(touching, reverse=True), "contact ends and does not come back"
    way = planner.kin.tcp_positions(trajectory.q[touching])
    assert np.ptp(way[:, :2], axis=0).max() < 1e-3, "straight up until it is clear"


def test_a_start_deep_in_something_is_refused(planner, home):
    start = planner.ik(top_down(0.5, 0.0, 0.12), home)[0]
    planner.set_scene(solid([0.4, -0.1, 0.1], [0.6, 0.1, 0.3]))
    with pytest.raises(PlanningError) as caught:
        planner.plan_joints(start, home, 0.085)
    assert caught.value.code == ErrorCode.START_IN_COLLISION
    assert "scene" in str(caught.value)


@pytest.mark.parametrize("length", [1e-4, 0.01, 0.3, 2.0])
def test_trapezoids_are_consistent(length):
    t, x, v, a = trapezoid(length, 0.5, 1.0)
    assert x[0] == 0
    assert x[-1] == pytest.approx(length)
    assert v.max() <= 0.5 + 1e-9
    assert v[0] == 0
    assert v[-1] == pytest.approx(0)
    assert np.abs(np.gradient(x, t) - v).max() < 0.03
    assert np.abs(a).max() <= 1.0
