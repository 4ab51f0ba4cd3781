"""Approach, descent and lift for one grasp, cheap checks first; and the search through a list of grasps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from arm_control.planning import Exemption, GraspPlan, GraspSearch, HeldObject, Rejection, Trajectory
from arm_control.planning import timing as tm
from arm_control.planning.cartesian import Line, follow_line, reverse
from arm_control.planning.checks import check_line, no_solution, pose_of
from arm_control.planning.collision import Checker, Mode, describe
from arm_control.planning.shapes import GRIPPER
from arm_control.planning.start import escape, tolerance_at
from grasp_core.errors import ErrorCode, PlanningError
from grasp_core.gripper import Gripper

if TYPE_CHECKING:
    from arm_control.planning.base import PlannerBase

PREGRASP_DISTANCES = (0.08, 0.12, 0.05)  # m back along the approach, in the order of preference
LIFT_DISTANCES = (0.15, 0.12, 0.08, 0.05)  # m up in the world
MAX_BRANCHES = 4  # joint solutions that a free path is searched for
TARGET_SLACK = 0.005  # m that the target's points may reach into the fingers: noise
TARGET_SIDE = 0.03  # m that the target region is wider than the fingers
TARGET_BELOW = 0.04  # m that it reaches beyond the fingertips
HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])


def target_region(T: np.ndarray, width: float, gripper: Gripper) -> Exemption:
    """The space between the open fingers at grasp `T`, inflated: its cloud points are taken to be the target."""
    low, high = -gripper.finger.length, TARGET_BELOW
    centre = np.eye(4)
    centre[2, 3] = (low + high) / 2
    size = [width + 2 * TARGET_SLACK, gripper.finger.width + 2 * TARGET_SIDE, high - low]
    return Exemption(T @ centre, np.array(size))


def estimate_held(points: np.ndarray, T: np.ndarray, width: float, gripper: Gripper) -> HeldObject:
    """A box around the cloud points in the target region, and at least what the pads hold, in the grasp frame."""
    found = points[target_region(T, width, gripper).contains(points)]
    local = (found - T[:3, 3]) @ T[:3, :3]
    half = np.array([max(width, 0.01) / 2, gripper.finger.width / 2])
    lower, upper = np.array([*-half, -gripper.pad_height]), np.array([*half, 0.0])
    if len(local):
        lower, upper = np.minimum(lower, local.min(0)), np.maximum(upper, local.max(0))
    lower[0], upper[0] = -half[0], half[0]  # the fingers bound it
    return HeldObject((lower + upper) / 2, upper - lower)


@dataclass(frozen=True)
class Branch:
    """One joint solution at the grasp."""

    q: np.ndarray
    T: np.ndarray
    flipped: bool


class GraspMotion:
    """Plans for grasps from one start; the start is checked once, when it is made.

    Raises:
        PlanningError: INVALID_GOAL, OUT_OF_LIMITS or START_IN_COLLISION for the start.
    """

    def __init__(self, planner: PlannerBase, q_start: np.ndarray, width: float, velocity_scaling: float | None):
        self.planner, self.kin, self.world = planner, planner.kin, planner.world
        self.q_start = self.kin.check_joints(q_start, "start joints")
        self.limits = planner.limits(velocity_scaling)
        self.open(width)

    def open(self, width: float) -> None:
        """Plan with an opening of `width` m from here on; PlanningError START_IN_COLLISION."""
        self.width = width
        self.out = escape(self.world, self.planner.inverse, self.q_start, width)

    def plan(self, T: np.ndarray, held: HeldObject | None = None, width: float | None = None) -> GraspPlan:
        """The whole motion for grasp `T`; PlanningError with the code of the stage that got furthest."""
        if width is not None and width != self.width:
            self.open(width)
        self.spent: dict[str, float] = {}
        error: PlanningError | None = None
        searches = 0
        for branch in self._branches(T):
            try:
                descent = self._descent(branch)
                searches += 1
                lift = self._lift(branch, held)
                approach = self._approach(descent.q[0])
            except PlanningError as caught:
                error = further(error, caught)
                if searches >= MAX_BRANCHES:
                    break
                continue
            return self._finish(branch, approach, descent, lift)
        raise error if error is not None else self._blocked

    def _branches(self, T: np.ndarray) -> Iterator[Branch]:
        """Joint solutions of the grasp and its half-turn that are free at the grasp, cheapest first.

        Ends early where the hand itself is in collision, since no other joint solution changes that; `_blocked` then
        holds the error.
        """
        began = perf_counter()
        both = np.stack([T, T @ HALF_TURN])
        q = self.planner.inverse.candidates(both, self.q_start)
        exists = ~np.isnan(q[..., 0])
        q, inside = self.planner.inverse.fold(q)
        if not inside.any():
            raise no_solution(T, int(exists.sum()))
        cost = np.where(inside, (np.abs(q - self.q_start) * self.kin.reach).sum(-1), np.inf)
        self._blocked = None
        for flat in np.argsort(cost, axis=None)[: int(inside.sum())]:
            f, k = np.unravel_index(flat, cost.shape)
            checker = self._linear(both, both[0])
            collides = checker.collides(q[f, k])
            touching = checker.contacts(q[f, k]) if collides and self._blocked is None else []
            self._add("ik", began)
            if not collides:
                yield Branch(q[f, k], both[f], bool(f))
            elif self._blocked is None:
                self._blocked = PlanningError(
                    f"the grasp is in collision: {describe(touching)}", ErrorCode.GOAL_IN_COLLISION
                )
                if any(a in GRIPPER and b in self.world.fixed for a, b in touching):
                    return
            began = perf_counter()

    def _linear(self, poses: np.ndarray, T: np.ndarray) -> Checker:
        checker = self.world.checker(Mode.LINEAR, self.width)
        checker.focus(poses, target_region(T, self.width, self.planner.gripper))
        return checker

    def _descent(self, branch: Branch) -> Line:
        """The straight way from a free pregrasp to the grasp, the longest preferred distance that works."""
        began = perf_counter()
        free = self.world.checker(Mode.FREE, self.width)
        error: PlanningError | None = None
        for distance in PREGRASP_DISTANCES:
            T = branch.T.copy()
            T[:3, 3] -= distance * branch.T[:3, 2]
            try:
                line = follow_line(self.planner.inverse, branch.q, T)
                if free.collides(line.q[-1]):
                    what = describe(free.contacts(line.q[-1]))
                    raise PlanningError(f"the pregrasp is in collision: {what}", ErrorCode.GOAL_IN_COLLISION)
                check_line(line, self._linear(line.poses, branch.T), "descent")
            except PlanningError as caught:
                error = further(error, caught)
                continue
            finally:
                self._add("linear", began)
                began = perf_counter()
            self.distance = distance
            return reverse(line)
        raise error

    def _lift(self, branch: Branch, held: HeldObject | None) -> Line:
        """Straight up with the object, as far as that is free; contacts at the grasp are tolerated."""
        began = perf_counter()
        gripper = self.planner.gripper
        if held is None:
            held = estimate_held(self.world.points, branch.T, self.width, gripper)
        region = target_region(branch.T, self.width, gripper)
        checker = self.world.carrying(held, self.width)
        checker.focus(branch.T[None], region)
        if checker.collides(branch.q):
            checker = self.world.carrying(held, self.width, tolerance_at(self.world, checker, branch.q))
        error: PlanningError | None = None
        for distance in LIFT_DISTANCES:
            T = branch.T.copy()
            T[2, 3] += distance
            try:
                line = follow_line(self.planner.inverse, branch.q, T)
                checker.focus(line.poses, region)
                check_line(line, checker, "lift")
            except PlanningError as caught:
                error = caught
                continue
            finally:
                self._add("linear", began)
                began = perf_counter()
            self.held, self.lifted = held, distance
            return line
        raise PlanningError(f"no lift of {LIFT_DISTANCES[-1]} m or more: {error}", ErrorCode.NO_PATH)

    def _approach(self, q_goal: np.ndarray) -> Trajectory:
        free = self.world.checker(Mode.FREE, self.width)
        p = self.planner
        return p.free_trajectory(self.q_start, q_goal, self.out, free, self.limits, p.grasp_time, self.spent)

    def _finish(self, branch: Branch, approach: Trajectory, descent: Line, lift: Line) -> GraspPlan:
        began = perf_counter()
        parts = tm.time_line(self.kin, descent, self.limits), tm.time_line(self.kin, lift, self.limits)
        self._add("linear", began)
        return self._plan(branch, approach, *parts)

    def _plan(self, branch: Branch, approach: Trajectory, descent: Trajectory, lift: Trajectory) -> GraspPlan:
        target = target_region(branch.T, self.width, self.planner.gripper)
        return GraspPlan(
            approach, descent, lift, branch.T, self.width, branch.flipped, self.distance, self.lifted, target,
            self.held, dict(self.spent),
        )  # fmt: skip

    def _add(self, stage: str, began: float) -> None:
        self.spent[stage] = self.spent.get(stage, 0.0) + 1000 * (perf_counter() - began)


_PROGRESS = (
    ErrorCode.INVALID_GOAL,
    ErrorCode.UNREACHABLE,
    ErrorCode.OUT_OF_LIMITS,
    ErrorCode.GOAL_IN_COLLISION,
    ErrorCode.START_IN_COLLISION,  # of the lift: what is held is in contact too deep
    ErrorCode.NO_PATH,
    ErrorCode.TIMING_FAILED,
)


def further(old: PlanningError | None, new: PlanningError) -> PlanningError:
    """The error of the attempt that got further; the older of two equals."""
    if old is None or _PROGRESS.index(new.code) > _PROGRESS.index(old.code):
        return new
    return old


def search_grasps(
    planner: PlannerBase,
    q_start: np.ndarray,
    R: np.ndarray,
    t: np.ndarray,
    width: np.ndarray,
    velocity_scaling: float | None,
    max_time: float | None,
) -> GraspSearch:
    """See `MotionPlanner.plan_grasps`."""
    R, t, width = np.asarray(R), np.asarray(t), np.asarray(width)
    n = len(width) if width.ndim else -1
    if R.shape != (n, 3, 3) or t.shape != (n, 3):
        raise PlanningError(
            f"grasps: shapes {R.shape}, {t.shape}, {width.shape}, expected (N, 3, 3), (N, 3), (N,)",
            ErrorCode.INVALID_GOAL,
        )
    motion = planner.grasp_motion(q_start, planner.gripper.max_width, velocity_scaling)
    rejected: list[Rejection] = []
    began = perf_counter()
    for i in range(n):
        if max_time is not None and perf_counter() - began > max_time:
            break
        one = perf_counter()
        try:
            plan = motion.plan(pose_of(R[i], t[i]), width=planner.check_width(width[i]))
        except PlanningError as error:
            rejected.append(Rejection(i, error.code, str(error), 1000 * (perf_counter() - one)))
            continue
        plan.timings["total"] = 1000 * (perf_counter() - one)
        return GraspSearch(plan, i, tuple(rejected))
    return GraspSearch(None, -1, tuple(rejected))
