"""Straight lines of the grasp frame as joint paths, by following one inverse kinematics branch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arm_control.planning.ik import InverseKinematics
from grasp_core import se3
from grasp_core.errors import ErrorCode, PlanningError

STEP = 0.005  # m
ANGLE_STEP = np.deg2rad(2.0)
MAX_JUMP = 0.2  # rad that a joint may move in one step: more means that the line passes near a singularity
ANGLE_AS_LENGTH = 0.2  # m/rad: turning counts as this much travel where speed is limited


@dataclass(frozen=True)
class Line:
    """A line sampled at fractions `s` (N,) from 0 to 1: poses (N, 4, 4), joints `q` (N, dof); `length` m to travel."""

    s: np.ndarray
    poses: np.ndarray
    q: np.ndarray
    length: float


def poses_between(T0: np.ndarray, T1: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Fractions (N,), poses (N, 4, 4) at most STEP and ANGLE_STEP apart, and the travel in m."""
    distance = float(np.linalg.norm(T1[:3, 3] - T0[:3, 3]))
    angle = float(se3.rotation_angle(T0[:3, :3], T1[:3, :3]))
    n = max(1, int(np.ceil(max(distance / STEP, angle / ANGLE_STEP) - 1e-9)))
    s = np.linspace(0.0, 1.0, n + 1)
    if angle < 1e-6:
        poses = np.repeat(T1[None], n + 1, 0)
        poses[:, :3, 3] = T0[:3, 3] + s[:, None] * (T1[:3, 3] - T0[:3, 3])
    else:
        poses = se3.interpolate(T0, T1, s)
    return s, poses, max(distance, angle * ANGLE_AS_LENGTH)


def follow_line(ik: InverseKinematics, q_start: np.ndarray, T_goal: np.ndarray) -> Line:
    """The line from where the grasp frame is at `q_start` to `T_goal`.

    Raises:
        PlanningError: UNREACHABLE (the line leaves the reach), OUT_OF_LIMITS (a joint runs into its limit), NO_PATH
            (a joint would have to jump: the line passes a singularity). The message says how far along the line.
    """
    kin = ik.kin
    T0 = kin.fk(q_start)
    s, poses, length = poses_between(T0, T_goal)
    q = [np.array(q_start, float)]
    for i in range(1, len(s)):
        guess = q[-1] if i == 1 else 2 * q[-1] - q[-2]
        found = ik.refine(guess, poses[i])
        where = f"{100 * s[i]:.0f} % of a straight line of {np.linalg.norm(T_goal[:3, 3] - T0[:3, 3]):.3f} m"
        if found is None:
            raise PlanningError(f"no inverse kinematics at {where}", ErrorCode.UNREACHABLE)
        jump = np.abs(found - q[-1])
        if jump.max() > MAX_JUMP:
            name = kin.names[int(np.argmax(jump))]
            raise PlanningError(
                f"{name} would jump by {jump.max():.2f} rad at {where}: it passes a singularity", ErrorCode.NO_PATH
            )
        if (found < kin.lower).any() or (found > kin.upper).any():
            name = kin.names[int(np.argmax((found < kin.lower) | (found > kin.upper)))]
            raise PlanningError(f"{name} reaches its limit at {where}", ErrorCode.OUT_OF_LIMITS)
        q.append(found)
    return Line(s, poses, np.array(q), length)


def reverse(line: Line) -> Line:
    """The same line travelled backwards."""
    return Line(1.0 - line.s[::-1], line.poses[::-1], line.q[::-1], line.length)
