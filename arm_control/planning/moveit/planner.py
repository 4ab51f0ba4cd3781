"""A `MotionPlanner` whose paths are MoveIt's, behind the door of `door.MoveIt`.

MoveIt searches free paths, follows straight lines and has the last word on contacts. This side keeps its scene, chooses
among joint solutions, leaves contacts of the start by the rule of `planning.start`, checks every straight line against
its own kinematics, and makes trajectories keep the arm profile's limits. Execution stays with the trajectory driver,
which watches joint states, pauses and stops; MoveIt executes nothing.
"""

from __future__ import annotations

import numpy as np

from arm_control.planning import Exemption, Trajectory
from arm_control.planning import timing as tm
from arm_control.planning.base import PlannerBase
from arm_control.planning.cartesian import Line, follow_line
from arm_control.planning.checks import check_line, no_solution
from arm_control.planning.collision import Checker, Mode, Padding, describe
from arm_control.planning.kinematics import check_pose
from arm_control.planning.moveit.door import UNNAMED, MoveIt
from arm_control.planning.moveit.grasps import MoveItGraspMotion
from arm_control.planning.moveit.keeper import SceneKeeper
from arm_control.planning.moveit.scene import SceneModel, tolerated
from arm_control.planning.moveit.trajectories import check_straight, checked, slowed
from arm_control.planning.moveit.way import Way
from arm_control.planning.start import escape, tolerance_at
from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ErrorCode, PlanningError
from grasp_core.gripper import Gripper

MIN_FRACTION = 0.99  # of a straight line that MoveIt has to reach


class MoveItPlanner(PlannerBase):
    """See `MotionPlanner` for the methods and `PlannerBase` for the other arguments.

    Args:
        moveit: the door.
        max_time: s that MoveIt may search for one free path.
        grasp_time: s for one such search inside `plan_grasp`.
        min_fraction: of a straight line, 0..1, that has to be free.
    """

    def __init__(
        self,
        moveit: MoveIt,
        urdf: str,
        arm: ArmProfile,
        gripper: Gripper,
        cell: Cell,
        padding: Padding | None = None,
        max_time: float = 2.0,
        grasp_time: float = 1.0,
        min_fraction: float = MIN_FRACTION,
    ) -> None:
        super().__init__(urdf, arm, gripper, cell, padding)
        self.moveit = moveit
        self.max_time, self.grasp_time, self.min_fraction = max_time, grasp_time, min_fraction
        self._model = SceneModel(self.world, urdf, arm.base_frame)
        self._keeper = SceneKeeper(moveit)
        self._met = False

    def close(self) -> None:
        """See `MotionPlanner.close`: lets go of MoveIt."""
        self.moveit.close()

    # queries -------------------------------------------------------------------------------------------------------

    def contacts(self, q: np.ndarray, width: float) -> list[tuple[str, str]]:
        """See `MotionPlanner.contacts`; MoveIt's, by our names."""
        q = self.kin.check_joints(q, "joints")
        self.show(Mode.FREE, self.check_width(width))
        return self.touching(q, self.world.checker(Mode.FREE, self.check_width(width)))

    def ik(self, T_base_tcp: np.ndarray, seed_q: np.ndarray, width: float | None = None) -> np.ndarray:
        """See `MotionPlanner.ik`; UNREACHABLE, OUT_OF_LIMITS or GOAL_IN_COLLISION when there is no solution.

        Solutions are those of our own kinematics, all that there are; MoveIt's solver is asked when there is none.
        """
        T = check_pose(T_base_tcp, "target pose")
        seed_q = self.kin.check_joints(seed_q, "seed joints")
        width = self.gripper.max_width if width is None else self.check_width(width)
        found, total = self.inverse.solve(T, seed_q)
        self.show(Mode.FREE, width)
        if not len(found):
            other = None if self.inverse.closed.supported else self.moveit.solve(self._flange(T), seed_q)
            if other is None:
                raise no_solution(T, total)
            return other[None]
        checker = self.world.checker(Mode.FREE, width)
        contacts = [self.touching(q, checker) for q in found]
        free = np.array([not c for c in contacts])
        if not free.any():
            raise PlanningError(
                f"the target pose is in collision: {describe(contacts[0])}", ErrorCode.GOAL_IN_COLLISION
            )
        return found[free]

    # motions -------------------------------------------------------------------------------------------------------

    def plan_joints(
        self, q_start: np.ndarray, q_goal: np.ndarray, width: float, velocity_scaling: float | None = None
    ) -> Trajectory:
        """See `MotionPlanner.plan_joints`."""
        q_start = self.kin.check_joints(q_start, "start joints")
        q_goal = self.kin.check_joints(q_goal, "goal joints")
        return self.free(q_start, q_goal, self.check_width(width), velocity_scaling, self.max_time)

    def plan_pose(
        self, q_start: np.ndarray, T_base_tcp: np.ndarray, width: float, velocity_scaling: float | None = None
    ) -> Trajectory:
        """See `MotionPlanner.plan_pose`."""
        q_start = self.kin.check_joints(q_start, "start joints")
        width = self.check_width(width)
        error = None
        for goal in self.ik(T_base_tcp, q_start, width)[:3]:
            try:
                return self.free(q_start, goal, width, velocity_scaling, self.max_time / 2)
            except PlanningError as caught:
                if caught.code != ErrorCode.NO_PATH:
                    raise
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
        return self.straight(q_start, T, Way(self.check_width(width), self.world.held, ignore, velocity_scaling))

    def grasp_motion(self, q_start: np.ndarray, width: float, velocity_scaling: float | None) -> MoveItGraspMotion:
        """See `PlannerBase.grasp_motion`."""
        return MoveItGraspMotion(self, q_start, width, velocity_scaling)

    # parts that grasp motions use too --------------------------------------------------------------------------------

    def show(self, mode: Mode, width: float) -> None:
        """Give MoveIt the whole scene for motions of a mode."""
        self._meet()
        self._keeper.show(self._model.scene(mode, width, self.world.held))

    def touching(self, q: np.ndarray, checker: Checker) -> list[tuple[str, str]]:
        """Contacts at `q` in the scene that MoveIt has; named by our own model where MoveIt does not name them."""
        found = self.moveit.contacts(q)
        return checker.contacts(q) or found if UNNAMED in found else found

    def free(
        self, q_start: np.ndarray, q_goal: np.ndarray, width: float, velocity_scaling: float | None, max_time: float
    ) -> Trajectory:
        """Free motion, after the straight way out where the start is in contact; PlanningError."""
        limits, scaling = self.limits(velocity_scaling), self.scaling(velocity_scaling)
        out = self.way_out(q_start, width, velocity_scaling)
        if out is not None:
            self.show(Mode.FREE, width)
        begin = q_start if out is None else out.q[-1]
        touching = self.touching(q_goal, self.world.checker(Mode.FREE, width))
        if touching:
            raise PlanningError(f"the goal is in collision: {describe(touching)}", ErrorCode.GOAL_IN_COLLISION)
        if np.abs(q_goal - begin).max() < 1e-6:
            path = tm.still(self.kin, q_goal)
        else:
            path = checked(self.moveit.plan(begin, q_goal, scaling, max_time), begin, q_goal)
            path = slowed(self.kin, path, limits, straight=False)
        self._keeper.confirm()
        return path if out is None else tm.join([out, path])

    def way_out(self, q: np.ndarray, width: float, velocity_scaling: float | None) -> Trajectory | None:
        """Straight out of contacts at `q`; None, and MoveIt has the scene of free motions: there are none."""
        self.show(Mode.FREE, width)
        touching = self.touching(q, self.world.checker(Mode.FREE, width))
        if not touching:
            return None
        line = escape(self.world, self.inverse, q, width)
        if line is None:
            raise PlanningError(
                f"the start is in collision for MoveIt, not for our own model: {describe(touching)}; move the arm "
                "clear, or compare MoveIt's robot model with the arm profile's URDF",
                ErrorCode.START_IN_COLLISION,
            )
        way = Way(width, self.world.held, None, velocity_scaling, "way out of the contacts", Mode.FREE)
        return self.straight(q, line.poses[-1], way)

    def straight(self, q_start: np.ndarray, T: np.ndarray, way: Way) -> Trajectory:
        """The grasp frame on a straight line from `q_start` to `T`; PlanningError says which part MoveIt reached."""
        self._meet()
        limits = self.limits(way.scaling)
        line = follow_line(self.inverse, q_start, T)
        self._show_for(line, way)
        if line.length < 1e-6:
            return tm.still(self.kin, line.q[-1])
        path, fraction = self.moveit.follow(line, self._flange(line.poses), self.scaling(way.scaling))
        if fraction < self.min_fraction:
            raise self._stopped(line, fraction, way)
        self._keeper.confirm()
        if path is None:
            return tm.time_line(self.kin, line, limits)
        path = checked(path, q_start, None)
        check_straight(self.kin, path, line)
        return slowed(self.kin, path, limits, straight=True)

    # inside ----------------------------------------------------------------------------------------------------------

    def _meet(self) -> None:
        """Before the first plan: is it the same arm?"""
        if not self._met:
            T = self._flange(self.kin.fk(self.kin.home))
            self.moveit.check_model(self.kin.home, T)
            self._met = True

    def _flange(self, T_base_tcp: np.ndarray) -> np.ndarray:
        return T_base_tcp @ se3.inverse(self.gripper.T_flange_tcp)

    def _show_for(self, line: Line, way: Way) -> None:
        """Give MoveIt the scene for a straight line: without the exempt points, contacts of its start tolerated."""
        keep = np.ones(len(self.world.points), bool)
        if way.ignore is not None:
            keep &= ~way.ignore.contains(self.world.points)
        scene = self._model.scene(way.mode, way.width, way.held, keep)
        self._keeper.show(scene)
        q = line.q[0]
        if not self.moveit.contacts(q):
            return
        own = self._checker(way)
        own.focus(line.poses, way.ignore)
        tolerance = tolerance_at(self.world, own, q)
        if tolerance.cloud_dropped is not None:
            keep &= ~tolerance.cloud_dropped
        scene = tolerated(self._model.scene(way.mode, way.width, way.held, keep), own.contacts(q))
        self._keeper.show(scene)
        left = self.touching(q, own)
        if left:
            raise PlanningError(
                f"the start of the {way.what} is in collision: {describe(left)}", ErrorCode.START_IN_COLLISION
            )
        loose = Checker(self.world, way.mode, way.held, tolerance)
        loose.set_width(way.width)
        loose.focus(line.poses, way.ignore)
        check_line(line, loose, way.what)

    def _checker(self, way: Way) -> Checker:
        own = Checker(self.world, way.mode, way.held, None)
        own.set_width(way.width)
        return own

    def _stopped(self, line: Line, fraction: float, way: Way) -> PlanningError:
        """Why MoveIt reached only a part of a line."""
        told = (
            f"MoveIt followed {100 * fraction:.0f} % of the {way.what} of {line.length:.3f} m "
            f"(needed: {100 * self.min_fraction:.0f} %)"
        )
        own = self._checker(way)
        end = self.touching(line.q[-1], own)
        if end:
            return PlanningError(
                f"the end of the {way.what} is in collision: {describe(end)}; {told}", ErrorCode.GOAL_IN_COLLISION
            )
        first = int(np.searchsorted(line.s, fraction, side="right"))
        for q in line.q[first : first + 3]:
            touching = self.touching(q, own)
            if touching:
                return PlanningError(f"{told}: {describe(touching)}", ErrorCode.NO_PATH)
        return PlanningError(f"{told}, and nothing touches there: its kinematics solver fails", ErrorCode.NO_PATH)
