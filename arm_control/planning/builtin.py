"""The `builtin` planner: Pinocchio, Coal, OMPL and toppra behind the `MotionPlanner` protocol."""

from __future__ import annotations

from itertools import pairwise
from time import perf_counter

import numpy as np
from scipy.interpolate import CubicSpline

from arm_control.planning import Exemption, Trajectory
from arm_control.planning import timing as tm
from arm_control.planning.base import PlannerBase
from arm_control.planning.cartesian import Line, follow_line
from arm_control.planning.checks import check_line, no_solution
from arm_control.planning.collision import Checker, Mode, Padding, describe
from arm_control.planning.free_motion import plan_free, segment_steps
from arm_control.planning.grasp_motion import GraspMotion
from arm_control.planning.kinematics import check_pose
from arm_control.planning.start import escape, tolerance_at
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ErrorCode, PlanningError
from grasp_core.gripper import Gripper

CORNER_RADIUS = 0.3  # rad: how far before a corner the path may begin to turn
MIN_CORNER_RADIUS = 0.02


class BuiltinPlanner(PlannerBase):
    """See `MotionPlanner` for the methods and `PlannerBase` for the other arguments.

    Args:
        max_time: s of one core for one search of a free path (`plan_joints`, `plan_pose`).
        grasp_time: s for one such search inside `plan_grasp`.
        seed: of everything random.
    """

    def __init__(
        self,
        urdf: str,
        arm: ArmProfile,
        gripper: Gripper,
        cell: Cell,
        padding: Padding | None = None,
        max_time: float = 2.0,
        grasp_time: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(urdf, arm, gripper, cell, padding)
        self.max_time, self.grasp_time, self.seed = max_time, grasp_time, seed

    def close(self) -> None:
        """See `MotionPlanner.close`: nothing is open."""

    # queries -------------------------------------------------------------------------------------------------------

    def contacts(self, q: np.ndarray, width: float) -> list[tuple[str, str]]:
        """See `MotionPlanner.contacts`."""
        q = self.kin.check_joints(q, "joints")
        return self.world.checker(Mode.FREE, self.check_width(width)).contacts(q)

    def ik(self, T_base_tcp: np.ndarray, seed_q: np.ndarray, width: float | None = None) -> np.ndarray:
        """See `MotionPlanner.ik`; UNREACHABLE, OUT_OF_LIMITS or GOAL_IN_COLLISION when there is no solution."""
        T = check_pose(T_base_tcp, "target pose")
        seed_q = self.kin.check_joints(seed_q, "seed joints")
        width = self.gripper.max_width if width is None else self.check_width(width)
        found, total = self.inverse.solve(T, seed_q)
        if not len(found):
            raise no_solution(T, total)
        checker = self.world.checker(Mode.FREE, width)
        free = [q for q in found if not checker.collides(q)]
        if not free:
            raise PlanningError(
                f"the target pose is in collision: {describe(checker.contacts(found[0]))}", ErrorCode.GOAL_IN_COLLISION
            )
        return np.array(free)

    # motions -------------------------------------------------------------------------------------------------------

    def plan_joints(
        self, q_start: np.ndarray, q_goal: np.ndarray, width: float, velocity_scaling: float | None = None
    ) -> Trajectory:
        """See `MotionPlanner.plan_joints`."""
        q_start = self.kin.check_joints(q_start, "start joints")
        q_goal = self.kin.check_joints(q_goal, "goal joints")
        width, limits = self.check_width(width), self.limits(velocity_scaling)
        checker = self.world.checker(Mode.FREE, width)
        if checker.collides(q_goal):
            raise PlanningError(
                f"the goal is in collision: {describe(checker.contacts(q_goal))}", ErrorCode.GOAL_IN_COLLISION
            )
        out = escape(self.world, self.inverse, q_start, width)
        return self.free_trajectory(q_start, q_goal, out, checker, limits, self.max_time)

    def plan_pose(
        self, q_start: np.ndarray, T_base_tcp: np.ndarray, width: float, velocity_scaling: float | None = None
    ) -> Trajectory:
        """See `MotionPlanner.plan_pose`."""
        q_start = self.kin.check_joints(q_start, "start joints")
        solutions = self.ik(T_base_tcp, q_start, width)
        width, limits = self.check_width(width), self.limits(velocity_scaling)
        checker = self.world.checker(Mode.FREE, width)
        out = escape(self.world, self.inverse, q_start, width)
        error = None
        for goal in solutions[:3]:
            try:
                return self.free_trajectory(q_start, goal, out, checker, limits, self.max_time / 2)
            except PlanningError as caught:
                error = caught
        raise error

    def plan_linear(
        self,
        q_start: np.ndarray,
        T_base_tcp: np.ndarray,
        width: float,
        ignore: Exemption | None = None,
        velocity_scaling: float | None = None,
    ) -> Trajectory:
        """See `MotionPlanner.plan_linear`. Contacts of the start are tolerated by the rule of `planning.start`."""
        q_start = self.kin.check_joints(q_start, "start joints")
        T = check_pose(T_base_tcp, "target pose")
        width, limits = self.check_width(width), self.limits(velocity_scaling)
        line = follow_line(self.inverse, q_start, T)
        checker = self.world.checker(Mode.LINEAR, width)
        checker.focus(line.poses, ignore)
        if checker.collides(q_start):
            checker = self.world.tolerant(Mode.LINEAR, width, tolerance_at(self.world, checker, q_start))
            checker.focus(line.poses, ignore)
        check_line(line, checker, "straight line")
        return tm.time_line(self.kin, line, limits)

    def grasp_motion(self, q_start: np.ndarray, width: float, velocity_scaling: float | None) -> GraspMotion:
        """See `PlannerBase.grasp_motion`."""
        return GraspMotion(self, q_start, width, velocity_scaling)

    # parts that grasp motions use too --------------------------------------------------------------------------------

    def free_trajectory(
        self,
        q_start: np.ndarray,
        q_goal: np.ndarray,
        out: Line | None,
        checker: Checker,
        limits: tm.Limits,
        max_time: float,
        spent: dict[str, float] | None = None,
    ) -> Trajectory:
        """Free motion, after the way out of the start's contacts `out`; adds ms of path and timing to `spent`."""
        spent = {} if spent is None else spent
        began = perf_counter()
        begin = q_start if out is None else out.q[-1]
        path = plan_free(self.kin, checker.collides, begin, q_goal, max_time, self.seed)
        spent["path"] = spent.get("path", 0.0) + 1000 * (perf_counter() - began)
        if path is None:
            raise PlanningError(f"no collision-free path found in {max_time:.2f} s worth of search", ErrorCode.NO_PATH)
        began = perf_counter()
        trajectory = self._time_path(path, checker, limits)
        if out is not None:
            trajectory = tm.join([tm.time_line(self.kin, out, limits), trajectory])
        spent["timing"] = spent.get("timing", 0.0) + 1000 * (perf_counter() - began)
        return trajectory

    def _time_path(self, path: np.ndarray, checker: Checker, limits: tm.Limits) -> Trajectory:
        """Round the corners as far as that stays free, checked anew on the timed trajectory; else stop at them."""
        if len(path) == 2:
            return tm.time_straight(self.kin, path[0], path[1], limits)
        curve = self._rounded(path, checker)
        if curve is not None:
            trajectory = tm.time_curve(self.kin, curve, limits)
            if self.trajectory_free(trajectory, checker):
                return trajectory
        return tm.join([tm.time_straight(self.kin, a, b, limits) for a, b in pairwise(path)])

    def _rounded(self, path: np.ndarray, checker: Checker) -> CubicSpline | None:
        """A smooth free curve along `path`; the corner nearest to a contact is made tighter until there is none."""
        radii = np.full(len(path), CORNER_RADIUS)
        while radii.min() > MIN_CORNER_RADIUS:
            curve = tm.smooth(tm.round_corners(path, radii))
            n = sum(segment_steps(self.kin, a, b) for a, b in pairwise(path))
            hit = next((q for q in curve(np.linspace(0, curve.x[-1], n + 1)) if checker.collides(q)), None)
            if hit is None:
                return curve
            corner = 1 + int(np.argmin(np.linalg.norm(path[1:-1] - hit, axis=1)))
            radii[corner] /= 2
        return None

    def trajectory_free(self, trajectory: Trajectory, checker: Checker) -> bool:
        """Whether a trajectory is free and inside the joint limits, checked as densely as a path."""
        q = trajectory.q
        if (q < self.kin.lower).any() or (q > self.kin.upper).any():
            return False
        for i in range(len(q) - 1):
            n = segment_steps(self.kin, q[i], q[i + 1])
            at = trajectory.times[i] + (trajectory.times[i + 1] - trajectory.times[i]) * np.arange(1, n + 1) / n
            if any(checker.collides(x) for x in trajectory.sample(at)):
                return False
        return True
