"""MoveIt through the services of a running move_group: the planner `move_group`."""

from __future__ import annotations

from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from moveit_msgs.msg import AllowedCollisionMatrix, PlanningScene, PlanningSceneComponents
from moveit_msgs.srv import (
    ApplyPlanningScene,
    GetCartesianPath,
    GetMotionPlan,
    GetPlanningScene,
    GetPositionFK,
    GetPositionIK,
    GetStateValidity,
)
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from arm_control.cancel import wait_future, wait_until
from arm_control.drivers.moveit.messages import (
    plan_request,
    scene_message,
    seen_in,
    state_message,
    trajectory_of,
)
from arm_control.drivers.moveit.model_check import compare_flange
from arm_control.planning import Trajectory
from arm_control.planning.cartesian import STEP, Line
from arm_control.planning.moveit.errors import SUCCESS, refused
from arm_control.planning.moveit.scene import SceneChange, Seen, our_name
from grasp_core.arm import ArmProfile
from grasp_core.errors import ErrorCode, SeegraspError
from grasp_ros.conversions import matrix_to_pose, pose_to_matrix

SERVICES = {
    "plan_kinematic_path": GetMotionPlan,
    "compute_cartesian_path": GetCartesianPath,
    "compute_ik": GetPositionIK,
    "compute_fk": GetPositionFK,
    "check_state_validity": GetStateValidity,
    "apply_planning_scene": ApplyPlanningScene,
    "get_planning_scene": GetPlanningScene,
}
JUMP = 5.0  # times the mean joint step of a straight line that one step may be
IK_TIME = 1  # s that MoveIt's kinematics solver may take; it reads whole seconds only
_SEEN = (
    PlanningSceneComponents.WORLD_OBJECT_NAMES
    | PlanningSceneComponents.ROBOT_STATE_ATTACHED_OBJECTS
    | PlanningSceneComponents.OCTOMAP
)


class MoveGroup:
    """See `door.MoveIt`. Services have MoveIt's own absolute names; for a move_group in a namespace remap them.

    Args:
        node: clients are created on it; an executor in other threads must spin it.
        arm: profile: group, joints, frames.
        server_timeout: s (steady) that a service may be absent.
        answer_timeout: s (steady) that an answer may take, beyond the time given for planning.
    """

    name = "move_group"

    def __init__(self, node: Node, arm: ArmProfile, server_timeout: float = 3.0, answer_timeout: float = 5.0) -> None:
        self._arm, self._joints, self._group = arm, tuple(arm.joints), arm.planning_group
        self._server_timeout, self._answer_timeout = server_timeout, answer_timeout
        self._node = node
        callbacks = ReentrantCallbackGroup()
        self._clients = {
            name: node.create_client(kind, f"/{name}", callback_group=callbacks) for name, kind in SERVICES.items()
        }

    def close(self) -> None:
        """See `MoveIt.close`."""
        for client in self._clients.values():
            self._node.destroy_client(client)

    def check_model(self, q: np.ndarray, T_base_flange: np.ndarray) -> None:
        """See `MoveIt.check_model`."""
        request = GetPositionFK.Request(fk_link_names=[self._arm.flange_frame])
        request.header.frame_id = self._arm.base_frame
        request.robot_state = state_message(self._joints, q)
        answer = self._ask("compute_fk", request)
        self._check(answer.error_code, f"forward kinematics of {self._arm.flange_frame}")
        compare_flange(pose_to_matrix(answer.pose_stamped[0].pose, "compute_fk"), T_base_flange, self._arm, self.name)
        if self._ik(T_base_flange, q, avoid_collisions=False) is None:
            raise SeegraspError(
                f"MoveIt's compute_ik finds no joints for a pose that it computed itself: has group '{self._group}' a "
                "solver in kinematics.yaml?",
                ErrorCode.CONFIG,
            )

    def apply(self, change: SceneChange) -> bool:
        """See `MoveIt.apply`."""
        found = AllowedCollisionMatrix()
        if change.allowed is not None:
            found = self._scene(PlanningSceneComponents.ALLOWED_COLLISION_MATRIX).allowed_collision_matrix
        request = ApplyPlanningScene.Request(scene=scene_message(change, self._arm.base_frame, found))
        return self._ask("apply_planning_scene", request).success

    def seen(self) -> Seen:
        """See `MoveIt.seen`."""
        return seen_in(self._scene(_SEEN))

    def contacts(self, q: np.ndarray) -> list[tuple[str, str]]:
        """See `MoveIt.contacts`."""
        request = GetStateValidity.Request(robot_state=state_message(self._joints, q), group_name=self._group)
        answer = self._ask("check_state_validity", request)
        if answer.valid:
            return []
        pairs = ((our_name(c.contact_body_1), our_name(c.contact_body_2)) for c in answer.contacts)
        return list(dict.fromkeys(pairs)) or [("the state", "limits or constraints of MoveIt")]

    def solve(self, T_base_flange: np.ndarray, seed_q: np.ndarray) -> np.ndarray | None:
        """See `MoveIt.solve`."""
        return self._ik(T_base_flange, seed_q, avoid_collisions=True)

    def plan(self, q_start: np.ndarray, q_goal: np.ndarray, scaling: float, max_time: float) -> Trajectory:
        """See `MoveIt.plan`."""
        request = plan_request(self._joints, q_start, q_goal, self._group, scaling, max_time)
        answer = self._ask(
            "plan_kinematic_path", GetMotionPlan.Request(motion_plan_request=request), max_time
        ).motion_plan_response
        self._check(answer.error_code, "free motion")
        return trajectory_of(answer.trajectory, self._joints)

    def follow(self, line: Line, flange: np.ndarray, scaling: float) -> tuple[Trajectory | None, float]:
        """See `MoveIt.follow`; always with a trajectory, unless MoveIt went nowhere."""
        request = GetCartesianPath.Request(
            start_state=state_message(self._joints, line.q[0]),
            group_name=self._group,
            link_name=self._arm.flange_frame,
            waypoints=[matrix_to_pose(flange[-1])],
            max_step=STEP,
            jump_threshold=JUMP,
            avoid_collisions=True,
        )
        request.header.frame_id = self._arm.base_frame
        if hasattr(request, "max_velocity_scaling_factor"):  # from Iron on; Humble goes as fast as it can
            request.max_velocity_scaling_factor = request.max_acceleration_scaling_factor = float(scaling)
        answer = self._ask("compute_cartesian_path", request)
        self._check(answer.error_code, "straight line")
        points = answer.solution.joint_trajectory.points
        return (trajectory_of(answer.solution, self._joints) if len(points) > 1 else None), answer.fraction

    def _ik(self, T_base_flange: np.ndarray, seed_q: np.ndarray, avoid_collisions: bool) -> np.ndarray | None:
        request = GetPositionIK.Request()
        ik = request.ik_request
        ik.group_name, ik.ik_link_name = self._group, self._arm.flange_frame
        ik.robot_state, ik.avoid_collisions = state_message(self._joints, seed_q), avoid_collisions
        ik.pose_stamped.header.frame_id = self._arm.base_frame
        ik.pose_stamped.pose, ik.timeout = matrix_to_pose(T_base_flange), Duration(sec=IK_TIME)
        answer = self._ask("compute_ik", request, IK_TIME)
        error = refused(answer.error_code.val, "inverse kinematics", self._group)
        if error.code == ErrorCode.UNREACHABLE:
            return None
        self._check(answer.error_code, "inverse kinematics")
        state = answer.solution.joint_state
        found = dict(zip(state.name, state.position, strict=True))
        return np.array([found[j] for j in self._joints])

    def _scene(self, components: int) -> PlanningScene:
        wanted = PlanningSceneComponents(components=components)
        return self._ask("get_planning_scene", GetPlanningScene.Request(components=wanted)).scene

    def _check(self, code: Any, what: str) -> None:
        if code.val != SUCCESS:
            raise refused(code.val, what, self._group, getattr(code, "message", ""))  # no message in Humble

    def _ask(self, name: str, request: Any, more_time: float = 0.0) -> Any:
        """The answer of a service; SeegraspError PLANNER_UNAVAILABLE without one."""
        client = self._clients[name]
        if not wait_until(client.service_is_ready, self._server_timeout, None):
            raise SeegraspError(
                f"service {client.srv_name} of move_group is not there: start MoveIt beside, for a UR with "
                f"`ros2 launch ur_moveit_config ur_moveit.launch.py ur_type:={self._arm.name} launch_rviz:=false` "
                "(docs/MOVEIT.md), or choose planner:=builtin",
                ErrorCode.PLANNER_UNAVAILABLE,
            )
        future = client.call_async(request)
        limit = self._answer_timeout + more_time
        if not wait_future(future, limit):
            client.remove_pending_request(future)
            raise SeegraspError(
                f"service {client.srv_name} of move_group did not answer within {limit:.1f} s: has it died or hung?",
                ErrorCode.PLANNER_UNAVAILABLE,
            )
        if future.exception() is not None:
            raise SeegraspError(f"service {client.srv_name}: {future.exception()}", ErrorCode.PLANNER_UNAVAILABLE)
        return future.result()
