"""The simulated work cell behind the doors of arm_control: drivers, arm_node's part in placing, and a timed planner."""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np

from arm_control.cancel import CancelToken
from arm_control.drivers.joint_states import JointSample
from arm_control.moves import Target, TargetKind
from arm_control.nodes.arm_state import ArmState
from arm_control.planning import HeldObject, MotionPlanner, Trajectory
from arm_control.stages.context import ArmContext, GraspSettings
from grasp_core.errors import ErrorCode, ExecutionError
from grasp_core.follower import Goal, Outcome, Tolerances
from grasp_core.trajectory import Spline
from grasp_sim.gripper_controller import GripperCommand
from grasp_sim.work_cell import WorkCell


class Arm:
    """Follows trajectories in the work cell."""

    def __init__(self, cell: WorkCell) -> None:
        self._cell = cell

    def execute(self, trajectory: Trajectory, cancel: object, settle: bool = True, again: object | None = None) -> None:
        """Step the physics until the trajectory has ended; ExecutionError when it did not succeed."""
        free = np.full(trajectory.q.shape[1], np.inf)
        tolerances = Tolerances(np.full_like(free, 0.2), free, np.full_like(free, 0.02), free, 1.0)
        spline = Spline(trajectory.times, trajectory.q, trajectory.qd, trajectory.qdd)
        goal = Goal(spline, self._cell.time, tolerances)
        self._cell.arm.follow(goal)
        while goal.outcome is None:
            self._cell.step(5)
        if goal.outcome is not Outcome.SUCCEEDED:
            raise ExecutionError(f"trajectory ended with {goal.outcome.name}: {goal.message}")


class PendingGrip:
    """A gripper command under way."""

    def __init__(self, cell: WorkCell, command: GripperCommand) -> None:
        self._cell, self._command = cell, command

    def finish(self, cancel: object) -> float:
        """Step the physics until the fingers rest; the opening in m."""
        limit = self._cell.time + 5.0
        while not self._command.done:
            if self._cell.time > limit:
                raise ExecutionError("the fingers do not come to rest", ErrorCode.GRIPPER_FAILED)
            self._cell.step(5)
        return self._cell.width


class Hand:
    """Moves the fingers in the work cell."""

    def __init__(self, cell: WorkCell) -> None:
        self._cell = cell

    def start(self, width: float, force: float | None = None, allow_stall: bool = False) -> PendingGrip:
        """Begin to move to `width` m."""
        return PendingGrip(self._cell, self._cell.gripper.move(width, force))

    def move(self, width: float, cancel: object, force: float | None = None, allow_stall: bool = False) -> float:
        """`start` and `finish`."""
        return self.start(width, force, allow_stall).finish(cancel)

    def width(self) -> float:
        """The opening, m."""
        return self._cell.width


class Joints:
    """The joint states of the work cell."""

    def __init__(self, cell: WorkCell) -> None:
        self._cell = cell

    def arm(self) -> JointSample:
        """The present positions and velocities."""
        return JointSample(q=self._cell.q.copy(), qd=self._cell.qd.copy(), stamp=round(self._cell.time * 1e9))


class TimedPlanner:
    """A planner that adds up the wall-clock time spent in its methods, `seconds`."""

    def __init__(self, planner: MotionPlanner) -> None:
        self._planner = planner
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._planner, name)
        if not callable(found):
            return found

        def timed(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return found(*args, **options)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


class Carrier:
    """arm_node as the place stage sees it, in the work cell `world`, after the grasp of `ctx` (see ArmActions)."""

    def __init__(self, world: WorkCell, planner: MotionPlanner, ctx: ArmContext) -> None:
        self._world, self._planner = world, planner
        self._hand = Hand(world)
        self._state = ArmState(ctx.model, ctx.cell, float("inf"), GraspSettings().held_width)
        self._points = ctx.points if ctx.scene is None else ctx.scene
        self._state.grasped(ctx.held, ctx.width, self._points, 0)

    def move_to(self, target: Target, cancel: CancelToken, gripper_width: float | None = None) -> None:
        """Plan as arm_node does and move, then set the gripper; PlanningError, ExecutionError."""
        world = self._world
        if target.kind != TargetKind.HERE:
            self._state.update_held(self._hand)
            q, width = world.q.copy(), world.width
            path, _ = self._state.plan(self._planner, target, q, width, self._points, world.arm_profile, None)
            Arm(world).execute(path, cancel)
        if gripper_width is not None:
            if gripper_width >= world.width:
                self._state.released()
            self._hand.move(gripper_width, cancel)

    def held(self) -> HeldObject | None:
        """What is held, by the measured opening."""
        return self._state.update_held(self._hand)

    def width(self) -> float:
        """The opening, m."""
        return self._world.width


def branch(world: WorkCell) -> WorkCell:
    """A copy of a work cell with a state of its own: what happens in it does not happen in `world`."""
    shared = (world.model, world.cell_model, world.cell, world.arm_profile, world.gripper_profile, world.objects)
    return copy.deepcopy(world, {id(part): part for part in shared})
