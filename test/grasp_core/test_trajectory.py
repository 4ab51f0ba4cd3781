"""Splines, braking and the follower's state machine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.errors import InputError
from grasp_core.follower import Goal, Outcome, Tolerances, TrajectoryFollower
from grasp_core.trajectory import Spline, State, Stop

JOINTS = ("a", "b")
number = st.floats(-3, 3)
pair = st.tuples(number, number)


@settings(max_examples=60, deadline=None)
@given(
    points=st.lists(st.tuples(pair, pair, pair), min_size=2, max_size=5),
    gaps=st.lists(st.floats(0.05, 2.0), min_size=5, max_size=5),
    order=st.sampled_from([0, 1, 2]),
)
def test_splines_pass_through_their_points_smoothly(points: list, gaps: list[float], order: int) -> None:
    times = np.concatenate([[0.0], np.cumsum(gaps[: len(points) - 1])])
    q, qd, qdd = (np.array([p[i] for p in points]) for i in range(3))
    spline = Spline(times, q, qd if order > 0 else None, qdd if order > 1 else None)
    for i, t in enumerate(times):
        before, after = spline.sample(t - 1e-9 if i else t), spline.sample(t)
        np.testing.assert_allclose(before.q, q[i], atol=1e-6)
        np.testing.assert_allclose(after.q, q[i], atol=1e-6)
        inner = 0 < i < len(times) - 1
        if order > 0 and inner:
            np.testing.assert_allclose(before.qd, qd[i], atol=1e-4)
            np.testing.assert_allclose(after.qd, qd[i], atol=1e-4)
        if order > 1 and inner:
            np.testing.assert_allclose(before.qdd, qdd[i], atol=1e-2)
            np.testing.assert_allclose(after.qdd, qdd[i], atol=1e-2)
    middle = times[0] + 0.37 * (times[1] - times[0])
    slope = (spline.sample(middle + 1e-6).q - spline.sample(middle - 1e-6).q) / 2e-6
    np.testing.assert_allclose(spline.sample(middle).qd, slope, atol=1e-3, rtol=1e-4)


def test_splines_refuse_nonsense() -> None:
    good = np.zeros((2, 2))
    for times, q in (([0.0], good[:1]), ([0.0, 0.0], good), ([0.0, np.nan], good), ([0.0, 1.0], good * np.nan)):
        with pytest.raises(InputError):
            Spline(times, q)
    with pytest.raises(InputError):
        Spline([0.0, 1.0], good, np.zeros((2, 3)))


@settings(max_examples=50, deadline=None)
@given(velocity=pair)
def test_braking_keeps_the_direction_and_the_limit(velocity: tuple[float, float]) -> None:
    start, limit = State(np.zeros(2), np.array(velocity), np.zeros(2)), np.array([4.0, 8.0])
    stop = Stop(start, limit)
    middle, end = stop.sample(stop.duration / 2), stop.sample(stop.duration)
    np.testing.assert_allclose(middle.qd, np.array(velocity) / 2, atol=1e-9)
    np.testing.assert_allclose(end.qd, 0.0, atol=1e-9)
    assert np.all(np.abs(middle.qdd) <= limit + 1e-9)
    np.testing.assert_allclose(end.q, np.array(velocity) * stop.duration / 2, atol=1e-9)


def follower() -> TrajectoryFollower:
    return TrajectoryFollower(np.zeros(2), JOINTS, np.array([4.0, 4.0]))


def ramp(path: float = 0.2, goal: float = 0.02, patience: float = 0.5) -> Goal:
    """1 rad of the first joint in 1 s, from time 0."""
    limits = Tolerances(np.full(2, path), np.full(2, np.inf), np.full(2, goal), np.full(2, 0.05), patience)
    zero = np.zeros((2, 2))
    return Goal(Spline([0.0, 1.0], np.array([[0.0, 0.0], [1.0, 0.0]]), zero, zero), 0.0, limits)


def drive(arm: TrajectoryFollower, until: float, start: float = 0.0, error: float = 0.0) -> np.ndarray:
    """A perfect arm, but for a constant error of its first joint; returns its positions over time."""
    q, positions = arm.setpoint.q.copy(), []
    for t in np.arange(start, until, 0.002):
        state = arm.update(t, q + np.array([error, 0.0]), arm.setpoint.qd)
        q = state.q.copy()
        positions.append(q)
    return np.array(positions)


def test_a_followed_goal_succeeds_and_holds() -> None:
    arm, goal = follower(), ramp()
    arm.follow(goal)
    drive(arm, 1.1)
    assert goal.outcome is Outcome.SUCCEEDED
    assert not arm.moving
    np.testing.assert_allclose(arm.setpoint.q, [1.0, 0.0])


def test_cancelling_brakes_within_the_deceleration_and_holds() -> None:
    arm, goal = follower(), ramp()
    arm.follow(goal)
    drive(arm, 0.5)
    arm.cancel(goal, 0.5)
    positions = drive(arm, 1.5, start=0.5)
    speeds = np.diff(positions[:, 0]) / 0.002
    assert goal.outcome is Outcome.CANCELLED
    assert np.abs(np.diff(speeds) / 0.002).max() < 4.5
    assert speeds[-1] == 0.0
    assert positions[-1, 0] < 0.99


def test_a_newer_goal_preempts_and_cancelling_the_old_one_does_nothing() -> None:
    arm, first, second = follower(), ramp(), ramp()
    arm.follow(first)
    arm.follow(second)
    arm.cancel(first, 0.0)
    assert first.outcome is Outcome.PREEMPTED
    assert arm.goal is second


def test_straying_from_the_path_aborts_with_joint_and_amount() -> None:
    arm, goal = follower(), ramp(path=0.01)
    arm.follow(goal)
    drive(arm, 0.5, error=0.05)
    assert goal.outcome is Outcome.PATH_TOLERANCE
    assert "a is 0.05" in goal.message


def test_missing_the_goal_aborts_after_the_patience() -> None:
    arm, goal = follower(), ramp(goal=0.01)
    arm.follow(goal)
    drive(arm, 1.3, error=0.03)
    assert goal.outcome is None
    drive(arm, 1.6, start=1.3, error=0.03)
    assert goal.outcome is Outcome.GOAL_TOLERANCE


def test_reset_ends_a_goal() -> None:
    arm, goal = follower(), ramp()
    arm.follow(goal)
    arm.reset(np.array([0.3, 0.3]))
    assert goal.outcome is Outcome.RESET
    np.testing.assert_array_equal(arm.update(0.0, np.zeros(2), np.zeros(2)).q, [0.3, 0.3])
