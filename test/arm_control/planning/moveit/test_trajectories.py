"""What of MoveIt's trajectories is refused, and how they are slowed down."""

import numpy as np
import pytest
from moveit_msgs.msg import RobotTrajectory
from trajectory_msgs.msg import JointTrajectoryPoint

from arm_control.drivers.moveit.messages import trajectory_of
from arm_control.planning import Trajectory
from arm_control.planning import timing as tm
from arm_control.planning.cartesian import follow_line
from arm_control.planning.moveit.trajectories import backwards, check_straight, checked, slowed
from grasp_core.errors import ErrorCode, PlanningError


@pytest.fixture
def goal(home) -> np.ndarray:
    return home + np.array([0.5, 0.1, 0.0, 0.0, 0.0, 0.2])


@pytest.fixture
def fast(planner, home, goal) -> Trajectory:
    """A trajectory at three times our limits."""
    limits = planner.limits(1.0)
    wild = tm.Limits(3 * limits.velocity, 9 * limits.acceleration, 10.0, 10.0, 10.0)
    return tm.time_straight(planner.kin, home, goal, wild)


def changed(trajectory: Trajectory, **arrays) -> Trajectory:
    given = {k: getattr(trajectory, k).copy() for k in ("times", "q", "qd", "qdd")}
    return Trajectory(trajectory.names, **{**given, **arrays})


def test_ends_are_put_exactly(fast, home, goal):
    q = fast.q.copy()
    q[-1] += 5e-4
    exact = checked(changed(fast, q=q), home, goal)
    np.testing.assert_array_equal(exact.q[-1], goal)
    np.testing.assert_array_equal(exact.q[0], home)


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (lambda t: {"q": t.q * np.nan}, ErrorCode.NO_PATH, "positions that are not finite"),
        (lambda t: {"times": t.times * 0}, ErrorCode.TIMING_FAILED, "is not timed"),
        (lambda t: {"times": t.times + 1.0}, ErrorCode.TIMING_FAILED, "is not timed"),
        (lambda t: {"qd": t.qd + 0.1}, ErrorCode.TIMING_FAILED, "at rest"),
        (lambda t: {"q": t.q + 2 * np.pi * np.eye(6)[5]}, ErrorCode.NO_PATH, "start at the arm's position: wrist_3"),
        (lambda t: {"q": t.q[:-1], "times": t.times[:-1]}, ErrorCode.NO_PATH, "end at the goal"),
    ],
)
def test_trajectories_that_are_refused(fast, home, goal, spoil, code, words):
    arrays = spoil(fast)
    if "times" in arrays and len(arrays["times"]) < len(fast):
        arrays |= {"qd": np.delete(fast.qd, -2, axis=0), "qdd": fast.qdd[:-1]}
    with pytest.raises(PlanningError, match=words) as caught:
        checked(changed(fast, **arrays), home, goal)
    assert caught.value.code == code


def test_a_fast_trajectory_is_slowed_to_our_limits_on_the_same_path(planner, fast):
    limits = planner.limits(0.5)
    slow = slowed(planner.kin, fast, limits, straight=False)
    assert (np.abs(slow.qd) <= limits.velocity * 1.0001).all()
    assert (np.abs(slow.qdd) <= limits.acceleration * 1.0001).all()
    np.testing.assert_array_equal(slow.q[[0, -1]], fast.q[[0, -1]])
    assert np.diff(slow.times).max() <= 1.1 * tm.DT
    middle = slow.duration * np.linspace(0, 1, 50)
    np.testing.assert_allclose(slow.sample(middle), fast.sample(middle * fast.duration / slow.duration), atol=1e-6)


def test_a_slow_trajectory_stays_as_it_is(planner, home, goal):
    limits = planner.limits(0.2)
    gentle = tm.time_straight(planner.kin, home, goal, planner.limits(0.1))
    same = slowed(planner.kin, gentle, limits, straight=False)
    assert same.duration == gentle.duration
    np.testing.assert_allclose(same.sample(gentle.times), gentle.q, atol=1e-6)


def test_points_far_apart_are_filled_in(planner, home, goal):
    limits = planner.limits(1.0)
    path = tm.time_straight(planner.kin, home, goal, limits)
    few = [0, len(path) // 3, 2 * len(path) // 3, len(path) - 1]
    sparse = changed(path, times=path.times[few], q=path.q[few], qd=path.qd[few], qdd=path.qdd[few])
    dense = slowed(planner.kin, sparse, limits, straight=False)
    assert np.diff(dense.times).max() <= 1.1 * tm.DT
    assert (np.abs(dense.qdd) <= limits.acceleration * 1.001).all()


def test_backwards(fast):
    back = backwards(fast)
    np.testing.assert_array_equal(back.q[0], fast.q[-1])
    assert back.times[0] == 0.0
    t = np.linspace(0, fast.duration, 40)
    np.testing.assert_allclose(back.sample(t), fast.sample(fast.duration - t), atol=1e-9)


def test_lines_that_jump_or_stray_are_refused(planner, home):
    T = planner.fk(home)
    T[2, 3] -= 0.1
    line = follow_line(planner.inverse, home, T)
    good = tm.time_line(planner.kin, line, planner.limits(None))
    check_straight(planner.kin, good, line)
    bent = good.q.copy()
    bent[1:-1, 0] += 0.05
    with pytest.raises(PlanningError, match="strays by"):
        check_straight(planner.kin, changed(good, q=bent), line)
    jumped = good.q.copy()
    jumped[-1] = next(q for q in planner.inverse.solve(T, home)[0] if np.abs(q - line.q[-1]).max() > 1.0)
    with pytest.raises(PlanningError, match="another configuration"):
        check_straight(planner.kin, changed(good, q=jumped), line)


def message(**fields) -> RobotTrajectory:
    out = RobotTrajectory()
    out.joint_trajectory.joint_names = ["b", "finger", "a"]
    out.joint_trajectory.points = [JointTrajectoryPoint(**fields), JointTrajectoryPoint(**fields)]
    return out


def test_joints_are_put_in_our_order():
    found = trajectory_of(message(positions=[2.0, 9.0, 1.0], velocities=[4.0, 9.0, 3.0]), ["a", "b"])
    np.testing.assert_array_equal(found.q, [[1.0, 2.0]] * 2)
    np.testing.assert_array_equal(found.qd, [[3.0, 4.0]] * 2)
    np.testing.assert_array_equal(found.qdd, np.zeros((2, 2)))


def test_a_trajectory_without_velocities_or_joints():
    with pytest.raises(PlanningError, match="add a time parameterization") as caught:
        trajectory_of(message(positions=[2.0, 9.0, 1.0]), ["a", "b"])
    assert caught.value.code == ErrorCode.TIMING_FAILED
    with pytest.raises(PlanningError, match="has no joint c; it has b, finger, a"):
        trajectory_of(message(positions=[2.0, 9.0, 1.0], velocities=[0.0] * 3), ["a", "c"])
