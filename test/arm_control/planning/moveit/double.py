"""A double of MoveIt on messages, its searches done by our own libraries; it checks that requests are MoveIt's.

The rules are those of move_group's default capabilities and moveit_core (Humble to Kilted); `complaints` lists what
MoveIt would refuse, log as an error, or silently do otherwise than asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from moveit_msgs.msg import Constraints, MotionPlanRequest, MoveItErrorCodes, RobotState, RobotTrajectory
from trajectory_msgs.msg import JointTrajectoryPoint

from arm_control.planning import Trajectory
from arm_control.planning import timing as tm
from arm_control.planning.cartesian import Line, follow_line
from arm_control.planning.free_motion import plan_free
from arm_control.planning.ik import InverseKinematics
from arm_control.planning.kinematics import Kinematics
from grasp_core.arm import ArmProfile
from grasp_core.errors import PlanningError
from grasp_ros.conversions import pose_to_matrix

from .double_scene import DoubleScene

E = MoveItErrorCodes
BEYOND = 10.0  # m/s: MoveIt knows no limit of the tool's speed


class MoveItDouble:
    """One robot model, one group, one scene. `codes`: False as in Kilted, whose planning service tells FAILURE only."""

    def __init__(self, urdf: str, arm: ArmProfile, group: str = "ur_manipulator", codes: bool = True) -> None:
        self.arm, self.group, self.codes = arm, group, codes
        self.kin = Kinematics(urdf, arm, np.eye(4))
        self.inverse = InverseKinematics(self.kin)
        self.scene = DoubleScene(urdf, self.kin, arm.base_frame)
        self.complaints: list[str] = self.scene.complaints
        self.plan_answer: int | None = None  # an error code to give instead of a plan
        self.on_plan = lambda: None  # what happens while MoveIt plans
        self.reach: float | None = None  # how much of straight lines is followed at most
        self.requests: list = []

    # states ----------------------------------------------------------------------------------------------------------

    def joints(self, state: RobotState, what: str) -> np.ndarray:
        """The arm's joints of a state; everything that is not there is a complaint."""
        found = dict(zip(state.joint_state.name, state.joint_state.position, strict=True))
        if not state.is_diff:
            self.complain(f"{what}: a state that is no difference has nothing attached")
        if missing := [j for j in self.arm.joints if j not in found]:
            self.complain(f"{what}: no {missing}")
        if foreign := found.keys() - set(self.arm.joints):
            self.complain(f"{what}: unknown joints {foreign}")
        return np.array([found.get(j, 0.0) for j in self.arm.joints])

    def complain(self, text: str) -> None:
        self.complaints.append(text)

    def frame_known(self, name: str, what: str) -> bool:
        if name and name not in self.scene.joints:
            self.complain(f"{what}: unknown frame '{name}'")
            return False
        return True

    # planning --------------------------------------------------------------------------------------------------------

    def plan(self, request: MotionPlanRequest) -> tuple[int, RobotTrajectory]:
        """A free path; code and trajectory."""
        self.requests.append(request)
        code, trajectory = self._plan(request)
        self.on_plan()
        return (code if self.codes or code == E.SUCCESS else E.FAILURE), trajectory

    def _plan(self, request: MotionPlanRequest) -> tuple[int, RobotTrajectory]:
        none = RobotTrajectory()
        q0 = self.joints(request.start_state, "start state")
        if request.group_name != self.group:
            return E.INVALID_GROUP_NAME, none
        if not 0.0 < request.max_velocity_scaling_factor <= 1.0 or not 0 < request.max_acceleration_scaling_factor <= 1:
            self.complain("a scaling outside (0, 1] is taken as 1")
        if request.allowed_planning_time <= 0.0 or request.num_planning_attempts < 1:
            self.complain("no time or no attempts")
        if len(request.goal_constraints) != 1:
            return E.INVALID_GOAL_CONSTRAINTS, none
        q1 = self._goal(request.goal_constraints[0])
        if self.plan_answer is not None:
            return self.plan_answer, none
        if self.scene.contacts(q0):
            return E.START_STATE_IN_COLLISION, none
        if self.scene.contacts(q1):
            return E.GOAL_IN_COLLISION, none
        collides = lambda q: bool(self.scene.contacts(q))  # noqa: E731
        path = plan_free(self.kin, collides, q0, q1, request.allowed_planning_time, 0)
        if path is None:
            return E.TIMED_OUT, none
        limits = self.limits(request.max_velocity_scaling_factor)
        parts = [tm.time_straight(self.kin, a, b, limits) for a, b in pairwise(path)]
        return E.SUCCESS, self.message(tm.join(parts))

    def _goal(self, goal: Constraints) -> np.ndarray:
        found = {c.joint_name: c.position for c in goal.joint_constraints}
        if set(found) != set(self.arm.joints):
            self.complain(f"goal constrains {sorted(found)}")
        for c in goal.joint_constraints:
            if not (c.tolerance_above > 0 and c.tolerance_below > 0 and c.weight > 0):
                self.complain(f"goal of {c.joint_name}: tolerances {c.tolerance_above}, weight {c.weight}")
        return np.array([found.get(j, 0.0) for j in self.arm.joints])

    def limits(self, scaling: float) -> tm.Limits:
        """Of the URDF, as in MoveIt's joint_limits.yaml; nothing of our profiles."""
        velocity = self.kin.model.upperVelocityLimit * scaling
        return tm.Limits(velocity, np.full(self.kin.dof, 15.0 * scaling), BEYOND, BEYOND, BEYOND)

    def line(self, q0: np.ndarray, T_goal: np.ndarray) -> tuple[Line, float]:
        """The part of a straight line of the flange that is free, and its fraction; the start is not looked at."""
        try:
            line = follow_line(self.inverse, q0, T_goal)
        except PlanningError:
            return Line(np.zeros(1), T_goal[None], q0[None], 0.0), 0.0
        free = next((i for i in range(1, len(line.q)) if self.scene.contacts(line.q[i])), len(line.q))
        if self.reach is not None:
            free = min(free, max(1, int(self.reach * len(line.q))))
        s = line.s[:free]
        part = Line(s / max(s[-1], 1e-9), line.poses[:free], line.q[:free], line.length * float(s[-1]))
        return part, float(s[-1])

    def cartesian(self, request) -> tuple[int, RobotTrajectory, float]:
        """compute_cartesian_path."""
        self.requests.append(request)
        if request.group_name != self.group:
            return E.INVALID_GROUP_NAME, RobotTrajectory(), 0.0
        if not self.frame_known(request.header.frame_id, "straight line"):
            return E.FRAME_TRANSFORM_FAILURE, RobotTrajectory(), 0.0
        if request.max_step <= 0.0:
            return E.FAILURE, RobotTrajectory(), 0.0
        if request.link_name != self.arm.flange_frame:
            self.complain(f"straight line of link '{request.link_name}'")
        if not request.avoid_collisions:
            self.complain("a straight line that does not avoid collisions")
        if not 0.0 < request.max_velocity_scaling_factor <= 1.0:
            self.complain("a straight line at a scaling outside (0, 1]")
        q0 = self.joints(request.start_state, "start of the line")
        part, fraction = self.line(q0, pose_to_matrix(request.waypoints[-1], "waypoint"))
        if len(part.q) < 2:
            return E.SUCCESS, RobotTrajectory(), 0.0
        timed = tm.time_line(self.kin, part, self.limits(request.max_velocity_scaling_factor))
        return E.SUCCESS, self.message(timed), fraction

    def ik(self, group: str, link: str, T: np.ndarray, seed: np.ndarray, avoid_collisions: bool) -> np.ndarray | int:
        """Joints, or an error code."""
        if group != self.group:
            return E.INVALID_GROUP_NAME
        if link != self.arm.flange_frame:
            self.complain(f"inverse kinematics of link '{link}'")
        found = self.inverse.solve(T, seed)[0]
        found = [q for q in found if not (avoid_collisions and self.scene.contacts(q))]
        return found[0] if found else E.NO_IK_SOLUTION

    def message(self, trajectory: Trajectory) -> RobotTrajectory:
        """As MoveIt tells it: joints in the order of its own group, which need not be ours."""
        out = RobotTrajectory()
        out.joint_trajectory.joint_names = list(reversed(trajectory.names))
        rows: Sequence = (trajectory.times, trajectory.q[:, ::-1], trajectory.qd[:, ::-1], trajectory.qdd[:, ::-1])
        for t, q, qd, qdd in zip(*rows, strict=True):
            point = JointTrajectoryPoint(positions=q.tolist(), velocities=qd.tolist(), accelerations=qdd.tolist())
            point.time_from_start.sec, point.time_from_start.nanosec = divmod(round(t * 1e9), 1_000_000_000)
            out.joint_trajectory.points.append(point)
        return out
