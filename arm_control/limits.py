"""What no motion may leave, whoever planned it: joints, speed, the space of the fingertips, the approach cone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from arm_control.planning import Trajectory
from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ErrorCode, PlanningError
from grasp_core.gripper import Gripper

_SAMPLES = 200  # of a trajectory, at most
_SLACK = 1e-3  # m and rad: rounding, and the controller's error at the start


@dataclass(frozen=True)
class SafetyLimits:
    """The limits of an arm with a gripper in a cell; `speed` (0, 1] scales every speed of the profile.

    A start that is outside already (the arm was moved there by hand) is no error, but no motion leads further out.
    """

    arm: ArmProfile
    gripper: Gripper
    cell: Cell
    speed: float = 1.0

    def scaling(self, asked: float | None) -> float:
        """Velocity scaling for the planner: what a goal asked for, `speed` at most; None: `speed` times the default.

        A goal that asks for a tenth gets it, whether or not the bringup allows more: the two do not multiply.
        """
        return self.arm.velocity_scaling * self.speed if asked is None else min(asked, self.speed)

    def checked(self, trajectory: Trajectory, fk: Callable[[np.ndarray], np.ndarray]) -> Trajectory:
        """The trajectory, stretched in time where it is faster than allowed.

        Args:
            trajectory: what is to be sent.
            fk: joints (dof,) rad -> T_base_tcp (4, 4).

        Raises:
            PlanningError: OUT_OF_LIMITS, with how far what would get where.
        """
        self._check_joints(trajectory)
        times = np.linspace(0.0, trajectory.duration, min(max(len(trajectory), 2), _SAMPLES))
        poses = np.array([fk(q) for q in trajectory.sample(times)])
        self._check_space(poses)
        return self._slowed(trajectory, times, poses)

    def allowed(self, R: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Which grasps R (N, 3, 3), t (N, 3) m in the base frame keep cone, workspace and height, (N,) bool."""
        tilt = np.arccos(np.clip(-np.asarray(R, float)[:, 2, 2], -1.0, 1.0))
        poses = np.tile(np.eye(4), (len(t), 1, 1))
        poses[:, :3, :3], poses[:, :3, 3] = R, t
        inside = (self._outside(poses) <= _SLACK) & (self._below(poses) <= _SLACK)
        return inside & (tilt <= self.cell.safety.max_tilt + 1e-6)

    def _check_joints(self, trajectory: Trajectory) -> None:
        low, high = self.arm.position_limits_array()
        out = np.maximum(low - trajectory.q, trajectory.q - high)
        excess = out - np.maximum(out[0], 0.0)
        if excess.max() > _SLACK:
            row, joint = np.unravel_index(int(excess.argmax()), excess.shape)
            raise self._error(
                f"{trajectory.names[joint]} would be at {trajectory.q[row, joint]:.3f} rad after "
                f"{trajectory.times[row]:.1f} s: arm profile {self.arm.name} allows {low[joint]:.3f} .. "
                f"{high[joint]:.3f} (position_limits)"
            )

    def _check_space(self, poses: np.ndarray) -> None:
        for excess, what in ((self._outside(poses), "workspace"), (self._below(poses), "min_height")):
            worst = int(excess.argmax())
            if excess[worst] > max(excess[0], 0.0) + _SLACK:
                x, y, z = poses[worst, :3, 3]
                raise self._error(
                    f"the fingertips would be at ({x:.3f}, {y:.3f}, {z:.3f}) m, {excess[worst]:.3f} m beyond "
                    f"safety.{what} of cell {self.cell.name}"
                )

    def _outside(self, poses: np.ndarray) -> np.ndarray:
        """How far the fingertips (N, 4, 4) are out of the workspace, (N,) m, negative inside."""
        box = self.cell.safety.workspace
        if box is None:
            return np.full(len(poses), -np.inf)
        t = poses[:, :3, 3]
        return np.maximum(np.array(box.min) - t, t - np.array(box.max)).max(axis=1)

    def _below(self, poses: np.ndarray) -> np.ndarray:
        """How far the lowest corner of the open fingers is below the least height over its support, (N,) m."""
        centres, sizes = self.gripper.boxes(self.gripper.max_width)
        signs = np.array([[x, y, 0.5] for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
        corners = (centres[:2, None] + sizes[:2, None] * signs).reshape(-1, 3)
        points = se3.transform(poses, corners)
        return (self.cell.support_below(points) + self.cell.safety.min_height - points[..., 2]).max(axis=1)

    def _slowed(self, trajectory: Trajectory, times: np.ndarray, poses: np.ndarray) -> Trajectory:
        joint = (np.abs(trajectory.qd) / np.array(self.arm.max_velocity)).max(initial=0.0)
        steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1) / np.maximum(np.diff(times), 1e-9)
        factor = max(joint, steps.max(initial=0.0) / self.arm.max_tcp_velocity) / self.speed
        if factor <= 1.0 + _SLACK:
            return trajectory
        return replace(
            trajectory,
            times=trajectory.times * factor,
            qd=trajectory.qd / factor,
            qdd=trajectory.qdd / factor**2,
        )

    def _error(self, what: str) -> PlanningError:
        return PlanningError(f"{what}; nothing was sent", ErrorCode.OUT_OF_LIMITS)
