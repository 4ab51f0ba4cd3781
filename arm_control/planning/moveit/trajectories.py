"""What MoveIt's trajectories are checked for before anything moves, and how they are made to keep our limits."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from arm_control.planning import Trajectory
from arm_control.planning.cartesian import Line
from arm_control.planning.kinematics import Kinematics
from arm_control.planning.timing import DT, MAX_SLOWDOWN, Limits
from grasp_core.errors import ErrorCode, PlanningError

JOINT_TOLERANCE = 1e-3  # rad that the ends may be off the states asked for: MoveIt samples goals within 1e-4 rad
LINE_TOLERANCE = 0.003  # m that a straight path may stray
CONFIGURATION = 0.5  # rad: another end of a line than this is another configuration of the arm


def checked(trajectory: Trajectory, q_start: np.ndarray, q_goal: np.ndarray | None) -> Trajectory:
    """The trajectory with its ends put exactly where they have to be, at rest there.

    PlanningError: TIMING_FAILED (not timed, or moving at an end), NO_PATH (not finite, or from or to somewhere else).
    """
    q, qd, qdd, times = trajectory.q.copy(), trajectory.qd.copy(), trajectory.qdd, trajectory.times
    for name, values in (("positions", q), ("velocities", qd), ("accelerations", qdd), ("times", times)):
        if not np.isfinite(values).all():
            raise PlanningError(f"MoveIt's trajectory has {name} that are not finite", ErrorCode.NO_PATH)
    if len(times) < 2 or times[0] != 0.0 or (np.diff(times) <= 0).any():
        raise PlanningError(
            "MoveIt's trajectory is not timed: add a time parameterization (AddTimeOptimalParameterization) to the "
            "adapters of its planning pipeline",
            ErrorCode.TIMING_FAILED,
        )
    if np.abs(qd[[0, -1]]).max() > 1e-2:
        raise PlanningError("MoveIt's trajectory does not begin and end at rest", ErrorCode.TIMING_FAILED)
    for at, wanted, where in ((0, q_start, "start at the arm's position"), (-1, q_goal, "end at the goal")):
        if wanted is None:
            continue
        off = np.abs(q[at] - wanted)
        if off.max() > JOINT_TOLERANCE:
            name = trajectory.names[int(off.argmax())]
            raise PlanningError(
                f"MoveIt's trajectory does not {where}: {name} is {off.max():.3f} rad off (a joint turned once more?)",
                ErrorCode.NO_PATH,
            )
        q[at] = wanted
    qd[[0, -1]] = 0.0
    return Trajectory(trajectory.names, times, q, qd, qdd)


def check_straight(kin: Kinematics, trajectory: Trajectory, line: Line) -> None:
    """PlanningError NO_PATH unless the grasp frame stays on the line and the arm in its configuration.

    MoveIt's jump thresholds are not enough: Kilted takes them and does not use them.
    """
    off = np.abs(trajectory.q[-1] - line.q[-1])
    if off.max() > CONFIGURATION:
        name = trajectory.names[int(off.argmax())]
        raise PlanningError(
            f"MoveIt's straight line of {line.length:.3f} m ends in another configuration: {name} is {off.max():.2f} "
            "rad from where an even motion leads",
            ErrorCode.NO_PATH,
        )
    p = kin.tcp_positions(trajectory.sample(_grid(trajectory)))
    begin, end = line.poses[0, :3, 3], line.poses[-1, :3, 3]
    along = end - begin
    s = np.clip((p - begin) @ along / max(float(along @ along), 1e-12), 0.0, 1.0)
    stray = np.linalg.norm(p - begin - s[:, None] * along, axis=1).max()
    if stray > LINE_TOLERANCE:
        raise PlanningError(f"MoveIt's straight line strays by {1000 * stray:.0f} mm", ErrorCode.NO_PATH)


def slowed(kin: Kinematics, trajectory: Trajectory, limits: Limits, straight: bool) -> Trajectory:
    """The trajectory evenly slower, as far as our limits demand, at points every DT.

    MoveIt keeps the limits of its own joint_limits.yaml, and gives points every 0.1 s; what lies between them is fixed
    here, so that the controller moves what was checked.

    PlanningError TIMING_FAILED for a straight line on which a joint demands more than MAX_SLOWDOWN of what the speed
    of the grasp frame does: it passes near a singularity.
    """
    path = CubicHermiteSpline(trajectory.times, trajectory.q, trajectory.qd)
    t = _grid(trajectory)
    bend = np.concatenate([path.c[1], 3 * path.c[0] * np.diff(trajectory.times)[:, None] + path.c[1]])
    joints = max((np.abs(path(t, 1)) / limits.velocity).max(), np.sqrt((np.abs(2 * bend) / limits.acceleration).max()))
    p = kin.tcp_positions(path(t))
    velocity = np.gradient(p, t, axis=0)
    top = np.linalg.norm(velocity, axis=1).max()
    tcp = top / limits.tcp_velocity
    if straight:
        acceleration = np.linalg.norm(np.gradient(velocity, t, axis=0), axis=1).max()
        tcp = max(top / limits.linear_velocity, np.sqrt(acceleration / limits.linear_acceleration))
        if joints > MAX_SLOWDOWN * max(1.0, tcp):
            raise PlanningError(
                f"a joint would have to move {joints:.0f} times as fast as it may on the straight line",
                ErrorCode.TIMING_FAILED,
            )
    k = max(1.0, 1.001 * joints, 1.02 * tcp)  # that of the grasp frame is taken from differences
    end = trajectory.times[-1]
    t = np.linspace(0.0, end, max(3, int(np.ceil(end * k / DT)) + 1))
    q, qd = path(t), path(t, 1) / k
    q[[0, -1]], qd[[0, -1]] = trajectory.q[[0, -1]], 0.0
    over = max(1.0, (np.abs(qd) / limits.velocity).max())  # between the times looked at before
    return Trajectory(trajectory.names, t * k * over, q, qd / over, path(t, 2) / (k * over) ** 2)


def backwards(trajectory: Trajectory) -> Trajectory:
    """The same path from its end to its start."""
    times = trajectory.times[-1] - trajectory.times[::-1]
    return Trajectory(trajectory.names, times, trajectory.q[::-1], -trajectory.qd[::-1], trajectory.qdd[::-1])


def _grid(trajectory: Trajectory) -> np.ndarray:
    """Times (N,) at most DT apart, at least 20."""
    return np.linspace(0.0, trajectory.duration, max(20, int(np.ceil(trajectory.duration / DT)) + 1))
