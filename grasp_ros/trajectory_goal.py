"""FollowJointTrajectory goals into splines and tolerances, with every check a real controller makes and a few more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from builtin_interfaces.msg import Duration
from control_msgs.action import FollowJointTrajectory
from control_msgs.msg import JointTolerance
from trajectory_msgs.msg import JointTrajectoryPoint

from grasp_core.follower import Tolerances
from grasp_core.trajectory import Spline, State
from grasp_ros.conversions import stamp_to_ns

Result = FollowJointTrajectory.Result

START_TOLERANCE = 0.05  # rad between the arm and a first point at time 0
VELOCITY_SLACK = 1.05  # times the limit: splines overshoot a little between their points
CHECK_STEP = 0.02  # s between the samples that are checked against the limits
DEFAULT_PATH = 0.2  # rad, as ur_robot_driver configures its controllers
DEFAULT_GOAL = 0.02  # rad
DEFAULT_GOAL_VELOCITY = 0.05  # rad/s
DEFAULT_GOAL_TIME = 1.0  # s


class GoalError(Exception):
    """A goal that must not be executed: ``code`` is one of FollowJointTrajectory's error codes."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Limits:
    """Joint names and limits in the arm's order: (dof, 2) rad and (dof,) rad/s."""

    joints: tuple[str, ...]
    position: np.ndarray
    velocity: np.ndarray


@dataclass(frozen=True)
class Request:
    """A checked goal: the spline from now on, and its tolerances."""

    spline: Spline
    tolerances: Tolerances


def parse_goal(goal: FollowJointTrajectory.Goal, limits: Limits, current: State, now_ns: int) -> Request:
    """Check a goal against the limits and the present setpoint ``current`` of the arm.

    Joints may come in any order. The spline begins now at ``current`` and joins the points that lie ahead; a header
    stamp in the future makes all of them later, one in the past leaves those out that should have been passed.

    Raises:
        GoalError: the goal contradicts itself, the limits, or where the arm is.
    """
    trajectory = goal.trajectory
    order = _joint_order(trajectory.joint_names, limits.joints)
    if goal.multi_dof_trajectory.points or goal.component_path_tolerance or goal.component_goal_tolerance:
        raise GoalError(Result.INVALID_GOAL, "multi-DOF trajectories and component tolerances are not supported")
    times, q, qd, qdd = _points(trajectory.points, len(limits.joints), order)
    delay = _delay(stamp_to_ns(trajectory.header.stamp), now_ns, times[-1])
    spline = _from_current(times + delay, q, qd, qdd, current, limits.joints)
    _check_limits(spline, limits)
    return Request(spline, _tolerances(goal, limits.joints))


def _delay(start_ns: int, now_ns: int, duration: float) -> float:
    """Seconds from now until the trajectory's time 0: negative when that has passed already."""
    if start_ns == 0:
        return 0.0
    delay = (start_ns - now_ns) * 1e-9
    if delay + duration <= 0:
        raise GoalError(
            Result.OLD_HEADER_TIMESTAMP,
            f"the trajectory ended {-delay - duration:.3f} s ago: stamp it with its start, or with 0 for now",
        )
    return delay


def _joint_order(names: Sequence[str], joints: tuple[str, ...]) -> list[int]:
    """Where each of the arm's joints is in the message."""
    if sorted(names) != sorted(joints):
        raise GoalError(Result.INVALID_JOINTS, f"joints are {list(names)}, expected {list(joints)} in any order")
    return [list(names).index(joint) for joint in joints]


def _points(
    points: Sequence[JointTrajectoryPoint], dof: int, order: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    if not points:
        raise GoalError(Result.INVALID_GOAL, "the trajectory has no points")
    columns: dict[str, np.ndarray | None] = {}
    for field in ("positions", "velocities", "accelerations"):
        rows = [getattr(point, field) for point in points]
        if field != "positions" and not any(len(row) for row in rows):
            columns[field] = None
            continue
        if any(len(row) != dof for row in rows):
            sizes = sorted({len(row) for row in rows})
            raise GoalError(Result.INVALID_GOAL, f"every point needs {dof} {field}, found points with {sizes}")
        values = np.array(rows, dtype=np.float64)[:, order]
        if not np.isfinite(values).all():
            raise GoalError(Result.INVALID_GOAL, f"{field} of point {_first_bad(values)} are not finite")
        columns[field] = values
    times = np.array([p.time_from_start.sec + p.time_from_start.nanosec * 1e-9 for p in points])
    if times[0] < 0 or not np.all(np.diff(times) > 0):
        raise GoalError(Result.INVALID_GOAL, "time_from_start must rise strictly from point to point, from 0 or later")
    if columns["velocities"] is None:
        columns["accelerations"] = None
    elif np.abs(columns["velocities"][-1]).max() > 1e-3:
        raise GoalError(Result.INVALID_GOAL, "the last point's velocities are not zero: the arm would not stop there")
    return times, columns["positions"], columns["velocities"], columns["accelerations"]


def _first_bad(values: np.ndarray) -> int:
    return int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])


def _from_current(
    times: np.ndarray,
    q: np.ndarray,
    qd: np.ndarray | None,
    qdd: np.ndarray | None,
    current: State,
    joints: tuple[str, ...],
) -> Spline:
    """The spline from the present setpoint to the points that lie ahead; a first point at time 0 has to be near it."""
    past = int(np.count_nonzero(times <= 1e-9))
    if past == 1 and times[0] > -1e-9:
        off = np.abs(q[0] - current.q)
        if off.max() > START_TOLERANCE:
            worst = int(off.argmax())
            raise GoalError(
                Result.INVALID_GOAL,
                f"the trajectory starts {off[worst]:.3f} rad from where {joints[worst]} is "
                f"(allowed {START_TOLERANCE}): plan it from the present joint states",
            )
    if past == len(times):  # a single point at time 0: go there, which is next to nothing
        times, past = times + CHECK_STEP, 0
    times, q = times[past:], q[past:]
    qd, qdd = (None if a is None else a[past:] for a in (qd, qdd))
    times = np.concatenate([[0.0], times])
    rows = [(q, current.q), (qd, current.qd), (qdd, current.qdd)]
    return Spline(times, *(None if a is None else np.vstack([first, a]) for a, first in rows))


def _check_limits(spline: Spline, limits: Limits) -> None:
    times, q, qd = spline.sample_many(CHECK_STEP)
    low, high = limits.position.T
    for values, outside, unit in (
        (q, (q < low - 1e-6) | (q > high + 1e-6), "rad"),
        (qd, np.abs(qd) > limits.velocity * VELOCITY_SLACK, "rad/s"),
    ):
        if outside.any():
            row, joint = np.argwhere(outside)[0]
            bound = limits.velocity[joint] if unit == "rad/s" else limits.position[joint].round(3).tolist()
            raise GoalError(
                Result.INVALID_GOAL,
                f"{limits.joints[joint]} would be at {values[row, joint]:.3f} {unit} after {times[row]:.2f} s: "
                f"its limit is {bound}",
            )


def _tolerances(goal: FollowJointTrajectory.Goal, joints: tuple[str, ...]) -> Tolerances:
    path = _tolerance(goal.path_tolerance, joints, DEFAULT_PATH, np.inf)
    final = _tolerance(goal.goal_tolerance, joints, DEFAULT_GOAL, DEFAULT_GOAL_VELOCITY)
    wait = _seconds(goal.goal_time_tolerance)
    return Tolerances(*path, *final, wait if wait > 0 else DEFAULT_GOAL_TIME)


def _tolerance(
    items: Sequence[JointTolerance], joints: tuple[str, ...], position: float, velocity: float
) -> tuple[np.ndarray, np.ndarray]:
    """(dof,) rad and rad/s: 0 means the default, -1 no limit."""
    limits = [np.full(len(joints), position), np.full(len(joints), velocity)]
    for item in items:
        if item.name not in joints:
            raise GoalError(Result.INVALID_JOINTS, f"tolerance for unknown joint {item.name!r}; known: {list(joints)}")
        for values, given in zip(limits, (item.position, item.velocity), strict=True):
            if not (given >= 0 or given == -1):
                raise GoalError(Result.INVALID_GOAL, f"tolerance {given} of {item.name}: give >= 0, or -1 for no limit")
            if given:
                values[joints.index(item.name)] = np.inf if given < 0 else given
    return limits[0], limits[1]


def _seconds(duration: Duration) -> float:
    return duration.sec + duration.nanosec * 1e-9
