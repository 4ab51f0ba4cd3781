"""Time parameterisation: trapezoids for straight paths, toppra for curved ones; limits hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import toppra
from scipy.interpolate import CubicSpline
from toppra import algorithm, constraint

from arm_control.planning import Trajectory
from arm_control.planning.cartesian import Line
from arm_control.planning.kinematics import Kinematics
from grasp_core.errors import ErrorCode, PlanningError

DT = 0.02  # s between the points of a trajectory
MAX_SLOWDOWN = 8.0  # a straight line that has to be slower than this by joint limits is refused


@dataclass(frozen=True)
class Limits:
    """Joint limits (dof,) rad/s and rad/s^2, and of the grasp frame: m/s anywhere, m/s and m/s^2 on straight lines."""

    velocity: np.ndarray
    acceleration: np.ndarray
    tcp_velocity: float
    linear_velocity: float
    linear_acceleration: float


def trapezoid(length: float, velocity: float, acceleration: float, dt: float = DT) -> tuple[np.ndarray, ...]:
    """Rest-to-rest profile: times, position, velocity, acceleration, each (M,)."""
    peak = min(velocity, np.sqrt(length * acceleration))
    ramp = peak / acceleration
    total = length / peak + ramp
    t = np.linspace(0.0, total, max(2, int(np.ceil(total / dt)) + 1))
    rest = total - t
    start, end = t < ramp, rest < ramp
    x = np.where(
        start, acceleration * t**2 / 2, np.where(end, length - acceleration * rest**2 / 2, peak * (t - ramp / 2))
    )
    v = np.where(start, acceleration * t, np.where(end, acceleration * rest, peak))
    a = np.where(start & ~end, acceleration, np.where(end, -acceleration, 0.0))
    return t, x, v, a


def still(kin: Kinematics, q: np.ndarray) -> Trajectory:
    """A trajectory that stays at `q` for one step."""
    zero = np.zeros((2, kin.dof))
    return Trajectory(kin.names, np.array([0.0, DT]), np.stack([q, q]), zero, zero.copy())


def time_straight(kin: Kinematics, q0: np.ndarray, q1: np.ndarray, limits: Limits) -> Trajectory:
    """The straight joint segment from `q0` to `q1`, rest to rest."""
    d = q1 - q0
    if np.abs(d).max() < 1e-6:
        return still(kin, q1)
    with np.errstate(divide="ignore"):
        v = (limits.velocity / np.abs(d)).min()
        a = (limits.acceleration / np.abs(d)).min()
    u = np.linspace(0, 1, max(3, int(np.ceil(np.abs(d).max() / 0.1)) + 1))
    speed = np.linalg.norm(np.diff(kin.tcp_positions(q0 + u[:, None] * d), axis=0), axis=1).max() * (len(u) - 1)
    v = min(v, limits.tcp_velocity / (1.02 * speed + 1e-9))
    t, x, xd, xdd = trapezoid(1.0, v, a)
    return Trajectory(kin.names, t, q0 + x[:, None] * d, xd[:, None] * d, xdd[:, None] * d)


def time_line(kin: Kinematics, line: Line, limits: Limits) -> Trajectory:
    """A straight line of the grasp frame at the linear limits, slower where the joints demand it.

    Raises:
        PlanningError: TIMING_FAILED, the joints would need more than MAX_SLOWDOWN times the time.
    """
    if line.length < 1e-6:
        return still(kin, line.q[-1])
    if len(line.q) < 4:
        return time_straight(kin, line.q[0], line.q[-1], limits)
    spline = CubicSpline(line.s * line.length, line.q)
    t, x, v, a = trapezoid(line.length, limits.linear_velocity, limits.linear_acceleration)
    q, dq, ddq = spline(x), spline(x, 1), spline(x, 2)
    qd = dq * v[:, None]
    qdd = ddq * v[:, None] ** 2 + dq * a[:, None]
    slow = _excess(qd, qdd, limits)
    if slow > MAX_SLOWDOWN:
        name = kin.names[int(np.argmax((np.abs(qd) / limits.velocity).max(0)))]
        raise PlanningError(f"{name} is {slow:.0f} times too slow for the straight line", ErrorCode.TIMING_FAILED)
    return Trajectory(kin.names, t * slow, q, qd / slow, qdd / slow**2)


def round_corners(waypoints: np.ndarray, radii: np.ndarray, spacing: float = 0.15) -> np.ndarray:
    """Points (N, dof) on a polyline (K, dof) whose corners are parabolas that begin at most `radii` (K,) rad before."""
    out = [waypoints[:1]]
    for i in range(1, len(waypoints) - 1):
        before, corner, after = waypoints[i - 1 : i + 2]
        la, lb = np.linalg.norm(before - corner), np.linalg.norm(after - corner)
        r = min(radii[i], 0.45 * la, 0.45 * lb)
        a, b = corner + (before - corner) * r / la, corner + (after - corner) * r / lb
        u = np.linspace(0, 1, 7)[:, None]
        out += [_fill(out[-1][-1], a, spacing), (1 - u) ** 2 * a + 2 * u * (1 - u) * corner + u**2 * b]
    out += [_fill(out[-1][-1], waypoints[-1], spacing), waypoints[-1:]]
    return np.concatenate(out)


def _fill(a: np.ndarray, b: np.ndarray, spacing: float) -> np.ndarray:
    """Points strictly between `a` and `b`, at most `spacing` apart and at least one."""
    n = max(2, int(np.ceil(np.linalg.norm(b - a) / spacing)))
    return a + (np.arange(1, n) / n)[:, None] * (b - a)


def smooth(points: np.ndarray) -> CubicSpline:
    """A C2 curve through `points` (N, dof), its parameter about the length in rad."""
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    return CubicSpline(s, points)


def time_curve(kin: Kinematics, curve: CubicSpline, limits: Limits) -> Trajectory:
    """A curve in joint space as fast as the limits allow, by toppra.

    Raises:
        PlanningError: TIMING_FAILED.
    """
    end = curve.x[-1]
    grid = np.linspace(0.0, end, int(np.clip(end / 0.03, 50, 200)) + 1)
    path = toppra.SplineInterpolator(curve.x, curve(curve.x))
    velocity = constraint.JointVelocityConstraintVarying(_velocity_limits(kin, curve, grid, limits))
    acceleration = constraint.JointAccelerationConstraint(
        np.stack([-limits.acceleration, limits.acceleration], 1), constraint.DiscretizationType.Interpolation
    )
    problem = algorithm.TOPPRA([velocity, acceleration], path, gridpoints=grid, parametrizer="ParametrizeConstAccel")
    timed = problem.compute_trajectory(0.0, 0.0)
    if timed is None:
        raise PlanningError("toppra found no time parameterisation of the path", ErrorCode.TIMING_FAILED)
    t = np.linspace(0.0, timed.duration, max(3, int(np.ceil(timed.duration / DT)) + 1))
    q, qd, qdd = timed(t), timed(t, 1), timed(t, 2)
    qd[[0, -1]] = 0.0
    slow = _excess(qd, qdd, limits)  # the limits hold at the grid points, between them they can be a little exceeded
    return Trajectory(kin.names, t * slow, q, qd / slow, qdd / slow**2)


def _excess(qd: np.ndarray, qdd: np.ndarray, limits: Limits) -> float:
    """How much slower (>= 1) a trajectory has to be for the joint limits to hold at its points."""
    return max(1.0, (np.abs(qd) / limits.velocity).max(), np.sqrt((np.abs(qdd) / limits.acceleration).max()))


def _velocity_limits(kin: Kinematics, curve: CubicSpline, grid: np.ndarray, limits: Limits) -> Callable:
    """Limits by path parameter: the joints', and one joint's more, so that the grasp frame keeps its own."""
    dq = np.abs(curve(grid, 1))
    ds = grid[1] - grid[0]
    speed = np.linalg.norm(np.gradient(kin.tcp_positions(curve(grid)), ds, axis=0), axis=1)
    speed = np.maximum(speed, np.maximum(np.roll(speed, 1), np.roll(speed, -1)))  # the fastest neighbour's
    bound = np.tile(limits.velocity, (len(grid), 1))
    rows, lead = np.arange(len(grid)), dq.argmax(1)
    cap = limits.tcp_velocity / (speed + 1e-9)
    bound[rows, lead] = np.minimum(bound[rows, lead], dq[rows, lead] * cap)

    def at(s: float) -> np.ndarray:
        i = min(round(s / ds), len(grid) - 1)
        return np.stack([-bound[i], bound[i]], 1)

    return at


def join(parts: list[Trajectory]) -> Trajectory:
    """Trajectories one after the other, with a rest where they meet."""
    if len(parts) == 1:
        return parts[0]
    times, offset = [parts[0].times], parts[0].times[-1]
    for p in parts[1:]:
        times.append(p.times[1:] + offset)
        offset += p.times[-1]
    rows = [slice(None)] + [slice(1, None)] * (len(parts) - 1)
    stack = [np.concatenate([getattr(p, k)[r] for p, r in zip(parts, rows, strict=True)]) for k in ("q", "qd", "qdd")]
    return Trajectory(parts[0].names, np.concatenate(times), *stack)
