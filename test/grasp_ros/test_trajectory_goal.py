"""Which FollowJointTrajectory goals the joint trajectory controller takes, and what it says about the others."""

import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from control_msgs.action import FollowJointTrajectory
from control_msgs.msg import JointTolerance
from trajectory_msgs.msg import JointTrajectoryPoint

from grasp_core.trajectory import State
from grasp_ros.trajectory_goal import GoalError, Limits, parse_goal

Result = FollowJointTrajectory.Result
LIMITS = Limits(("a", "b"), np.array([[-2.0, 2.0], [-1.0, 1.0]]), np.array([2.0, 2.0]))
NOW = 100_000_000_000
HERE = State.at_rest(np.array([0.1, -0.1]))


def point(t: float, *q: float, qd: tuple | None = None) -> JointTrajectoryPoint:
    stamp = Duration(sec=int(t // 1), nanosec=round((t % 1) * 1e9))
    return JointTrajectoryPoint(positions=list(q), velocities=list(qd or ()), time_from_start=stamp)


def goal(*points: JointTrajectoryPoint, joints: tuple[str, ...] = ("a", "b")) -> FollowJointTrajectory.Goal:
    message = FollowJointTrajectory.Goal()
    message.trajectory.joint_names = list(joints)
    message.trajectory.points = list(points)
    return message


GOOD = (point(0.0, 0.1, -0.1, qd=(0.0, 0.0)), point(1.0, 0.5, 0.2, qd=(0.0, 0.0)))


def test_a_good_goal_starts_here_and_ends_there() -> None:
    request = parse_goal(goal(*GOOD), LIMITS, HERE, NOW)
    np.testing.assert_allclose(request.spline.sample(0.0).q, HERE.q)
    np.testing.assert_allclose(request.spline.sample(1.0).q, [0.5, 0.2])
    assert request.spline.duration == pytest.approx(1.0)


def test_joints_may_come_in_any_order() -> None:
    request = parse_goal(goal(point(1.0, 0.2, 0.5), joints=("b", "a")), LIMITS, HERE, NOW)
    np.testing.assert_allclose(request.spline.sample(1.0).q, [0.5, 0.2])


def test_a_stamp_ahead_delays_and_one_behind_joins_midway() -> None:
    later, earlier = goal(*GOOD), goal(*GOOD)
    later.trajectory.header.stamp = Time(sec=102)
    earlier.trajectory.header.stamp = Time(sec=99, nanosec=500_000_000)
    assert parse_goal(later, LIMITS, HERE, NOW).spline.duration == pytest.approx(3.0)
    assert parse_goal(earlier, LIMITS, HERE, NOW).spline.duration == pytest.approx(0.5)


def test_tolerances_are_the_goals_the_defaults_or_none() -> None:
    message = goal(*GOOD)
    message.path_tolerance = [JointTolerance(name="b", position=0.03, velocity=0.4)]
    message.goal_tolerance = [JointTolerance(name="a", position=-1.0)]
    message.goal_time_tolerance = Duration(sec=2)
    limits = parse_goal(message, LIMITS, HERE, NOW).tolerances
    assert limits.path_position.tolist() == [0.2, 0.03]
    assert limits.path_velocity.tolist() == [np.inf, 0.4]
    assert limits.goal_position.tolist() == [np.inf, 0.02]
    assert limits.goal_time == 2.0


def stamped(seconds: int) -> FollowJointTrajectory.Goal:
    message = goal(*GOOD)
    message.trajectory.header.stamp = Time(sec=seconds)
    return message


def tolerated(**values: object) -> FollowJointTrajectory.Goal:
    message = goal(*GOOD)
    message.path_tolerance = [JointTolerance(**values)]
    return message


@pytest.mark.parametrize(
    ("message", "code", "says"),
    [
        (goal(), Result.INVALID_GOAL, "no points"),
        (goal(*GOOD, joints=("a", "c")), Result.INVALID_JOINTS, "expected"),
        (goal(point(1.0, 0.5), joints=("a",)), Result.INVALID_JOINTS, "expected"),
        (goal(point(1.0, 0.5)), Result.INVALID_GOAL, "2 positions"),
        (goal(point(1.0, 0.5, 0.2, qd=(0.0,))), Result.INVALID_GOAL, "2 velocities"),
        (goal(point(1.0, 0.5, np.nan)), Result.INVALID_GOAL, "not finite"),
        (goal(point(1.0, 0.5, np.inf)), Result.INVALID_GOAL, "not finite"),
        (goal(point(1.0, 0.5, 0.2), point(1.0, 0.5, 0.2)), Result.INVALID_GOAL, "rise strictly"),
        (goal(point(2.0, 0.5, 0.2), point(1.0, 0.5, 0.2)), Result.INVALID_GOAL, "rise strictly"),
        (goal(point(3.0, 0.5, 1.2)), Result.INVALID_GOAL, "b would be at"),
        (goal(point(0.1, 0.5, 0.2)), Result.INVALID_GOAL, "rad/s"),
        (goal(point(0.0, 0.3, -0.1), point(1.0, 0.5, 0.2)), Result.INVALID_GOAL, "starts 0.200 rad"),
        (goal(point(1.0, 0.5, 0.2, qd=(0.3, 0.0))), Result.INVALID_GOAL, "would not stop"),
        (stamped(98), Result.OLD_HEADER_TIMESTAMP, "ended 1.000 s ago"),
        (tolerated(name="c", position=0.1), Result.INVALID_JOINTS, "unknown joint 'c'"),
        (tolerated(name="a", position=-2.0), Result.INVALID_GOAL, "-1 for no limit"),
    ],
)
def test_bad_goals_say_what_is_wrong(message: FollowJointTrajectory.Goal, code: int, says: str) -> None:
    with pytest.raises(GoalError, match=says) as caught:
        parse_goal(message, LIMITS, HERE, NOW)
    assert caught.value.code == code
