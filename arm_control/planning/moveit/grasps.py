"""Approach, descent and lift for one grasp through MoveIt; `planning.grasp_motion` says what is tried, in which order.

Before MoveIt is asked, joint solutions whose grasp touches something by our own model are left out: that costs a
millisecond instead of several service calls.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from arm_control.planning import Exemption, GraspPlan, HeldObject, Trajectory
from arm_control.planning.collision import Mode, describe
from arm_control.planning.grasp_motion import (
    LIFT_DISTANCES,
    PREGRASP_DISTANCES,
    Branch,
    GraspMotion,
    estimate_held,
    further,
    target_region,
)
from arm_control.planning.moveit.trajectories import backwards
from arm_control.planning.moveit.way import Way
from grasp_core.errors import ErrorCode, PlanningError

if TYPE_CHECKING:
    from arm_control.planning.moveit.planner import MoveItPlanner


class MoveItGraspMotion(GraspMotion):
    """Plans for grasps from one start; the start is checked once, when it is made."""

    planner: MoveItPlanner

    def __init__(self, planner: MoveItPlanner, q_start: np.ndarray, width: float, velocity_scaling: float | None):
        self._scaling = velocity_scaling
        super().__init__(planner, q_start, width, velocity_scaling)
        planner.way_out(self.q_start, width, velocity_scaling)

    def open(self, width: float) -> None:
        """Plan with an opening of `width` m from here on."""
        self.width = width

    def _descent(self, branch: Branch) -> Trajectory:
        """Planned from the grasp back to the pregrasp, so that it ends exactly at the grasp, and turned round."""
        began = perf_counter()
        region = target_region(branch.T, self.width, self.planner.gripper)
        error: PlanningError | None = None
        for distance in PREGRASP_DISTANCES:
            T = branch.T.copy()
            T[:3, 3] -= distance * branch.T[:3, 2]
            try:
                path = backwards(self._straight(branch, T, None, region, "descent"))
                self._check_free(path.q[0])
            except PlanningError as caught:
                error = further(error, caught)
                continue
            finally:
                self._add("linear", began)
                began = perf_counter()
            self.distance = distance
            return path
        raise error

    def _check_free(self, q: np.ndarray) -> None:
        self.planner.show(Mode.FREE, self.width)
        touching = self.planner.touching(q, self.world.checker(Mode.FREE, self.width))
        if touching:
            raise PlanningError(f"the pregrasp is in collision: {describe(touching)}", ErrorCode.GOAL_IN_COLLISION)

    def _lift(self, branch: Branch, held: HeldObject | None) -> Trajectory:
        """Straight up with the object, as far as that is free; contacts at the grasp are tolerated."""
        began = perf_counter()
        gripper = self.planner.gripper
        held = estimate_held(self.world.points, branch.T, self.width, gripper) if held is None else held
        region = target_region(branch.T, self.width, gripper)
        error: PlanningError | None = None
        for distance in LIFT_DISTANCES:
            T = branch.T.copy()
            T[2, 3] += distance
            try:
                path = self._straight(branch, T, held, region, "lift")
            except PlanningError as caught:
                error = caught
                continue
            finally:
                self._add("linear", began)
                began = perf_counter()
            self.held, self.lifted = held, distance
            return path
        raise PlanningError(f"no lift of {LIFT_DISTANCES[-1]} m or more: {error}", ErrorCode.NO_PATH)

    def _straight(
        self, branch: Branch, T: np.ndarray, held: HeldObject | None, region: Exemption, what: str
    ) -> Trajectory:
        return self.planner.straight(branch.q, T, Way(self.width, held, region, self._scaling, what))

    def _approach(self, q_goal: np.ndarray) -> Trajectory:
        began = perf_counter()
        p = self.planner
        path = p.free(self.q_start, q_goal, self.width, self._scaling, p.grasp_time)
        self._add("path", began)
        return path

    def _finish(self, branch: Branch, approach: Trajectory, descent: Trajectory, lift: Trajectory) -> GraspPlan:
        self.spent.setdefault("timing", 0.0)  # MoveIt's, inside path and linear
        return self._plan(branch, approach, descent, lift)
