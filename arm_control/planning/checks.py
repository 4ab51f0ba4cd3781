"""Checks that several motions share, with their errors."""

from __future__ import annotations

import numpy as np

from arm_control.planning.cartesian import Line
from arm_control.planning.collision import Checker, describe
from arm_control.planning.kinematics import check_pose
from grasp_core.errors import ErrorCode, PlanningError


def pose_of(R: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The 4x4 pose of a rotation and a translation; PlanningError INVALID_GOAL."""
    R, t = np.asarray(R, float), np.asarray(t, float)
    if R.shape != (3, 3) or t.shape != (3,):
        raise PlanningError(f"grasp: shapes {R.shape} and {t.shape}, expected (3, 3) and (3,)", ErrorCode.INVALID_GOAL)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, t
    return check_pose(T, "grasp")


def no_solution(T: np.ndarray, total: int) -> PlanningError:
    """Why inverse kinematics found nothing: out of reach, or all `total` solutions outside the joint limits."""
    where = "(" + ", ".join(f"{x:.3f}" for x in T[:3, 3]) + ") m"
    if total:
        return PlanningError(f"all {total} joint solutions at {where} are outside the limits", ErrorCode.OUT_OF_LIMITS)
    return PlanningError(f"no inverse kinematics solution at {where}: out of reach", ErrorCode.UNREACHABLE)


def check_line(line: Line, checker: Checker, what: str) -> None:
    """PlanningError NO_PATH (GOAL_IN_COLLISION at its end) where a line is in collision."""
    if checker.collides(line.q[-1]):
        raise PlanningError(
            f"the end of the {what} is in collision: {describe(checker.contacts(line.q[-1]))}",
            ErrorCode.GOAL_IN_COLLISION,
        )
    for s, q in zip(line.s[1:-1], line.q[1:-1], strict=True):
        if checker.collides(q):
            raise PlanningError(
                f"the {what} is in collision at {100 * s:.0f} %: {describe(checker.contacts(q))}", ErrorCode.NO_PATH
            )
