"""Whether an arm that follows a target can still stop in time: joints within limits, clear of itself. ROS-free."""

from __future__ import annotations

import numpy as np

from arm_control.limits import SafetyLimits
from arm_control.planning import MotionPlanner
from grasp_core.errors import ErrorCode, ExecutionError

_REACTION = 0.15  # s from the joint states of one look until the arm begins to brake after the next one


class ServoWatch:
    """Of one goal. What is out of limits or touching when it begins may stay so, but not get worse."""

    def __init__(self, limits: SafetyLimits, planner: MotionPlanner, q: np.ndarray, width: float) -> None:
        """`q` (dof,) rad: where it begins; `width` m of the gripper. What is held is taken from the planner's scene."""
        self._arm, self._planner, self._width = limits.arm, planner, width
        self._low, self._high = limits.arm.position_limits_array()
        self._low, self._high = np.minimum(self._low, q), np.maximum(self._high, q)
        self._touching = set(planner.self_contacts(q, width))

    def check(self, q: np.ndarray, qd: np.ndarray) -> None:
        """`q` (dof,) rad, `qd` (dof,) rad/s: now. ExecutionError OUT_OF_LIMITS, GOAL_IN_COLLISION."""
        rest = q + qd * _REACTION + qd * np.abs(qd) / (2.0 * np.array(self._arm.max_acceleration))
        out = np.maximum(self._low - rest, rest - self._high)
        joint = int(out.argmax())
        if out[joint] > 0.0:
            raise ExecutionError(
                f"{self._arm.joints[joint]} is at {q[joint]:.3f} rad and would come to rest at {rest[joint]:.3f}: arm "
                f"profile {self._arm.name} allows {self._low[joint]:.3f} .. {self._high[joint]:.3f} "
                "(position_limits); the arm stops",
                ErrorCode.OUT_OF_LIMITS,
            )
        new = [pair for pair in self._planner.self_contacts(rest, self._width) if pair not in self._touching]
        if new:
            raise ExecutionError(
                f"the arm would touch itself: {' - '.join(new[0])}; the arm stops", ErrorCode.GOAL_IN_COLLISION
            )
