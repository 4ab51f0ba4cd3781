"""A node that offers move_group's services, answered by the MoveIt double."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from moveit_msgs.msg import ContactInformation, MoveItErrorCodes
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.node import Node

from arm_control.drivers.moveit.move_group import SERVICES
from grasp_ros.conversions import matrix_to_pose, pose_to_matrix

from .double import MoveItDouble


class MoveGroupDouble(Node):
    """`silent`: services that do not answer before `reset`; `refuse`: scenes are refused; `forget`: taken, not kept;
    `foreign`: edge of the cells of somebody else's octomap; `shift`: of the flange in its robot model."""

    def __init__(self, context: Context, moveit: MoveItDouble, absent: tuple[str, ...] = ()) -> None:
        super().__init__("move_group", context=context)
        self.moveit = moveit
        self._end = threading.Event()
        self.reset()
        group = ReentrantCallbackGroup()
        self._offered = [
            self.create_service(kind, f"/{name}", self._guard(name), callback_group=group)
            for name, kind in SERVICES.items()
            if name not in absent
        ]

    def reset(self) -> None:
        """Without any fault."""
        self.close()
        self._end = threading.Event()
        self.silent: set[str] = set()
        self.refuse = self.forget = False
        self.foreign: float | None = None
        self.shift = np.eye(4)
        self.moveit.plan_answer = self.moveit.reach = None
        self.moveit.on_plan = lambda: None
        self.moveit.complaints.clear()
        self.moveit.requests.clear()

    def close(self) -> None:
        """Let silent services answer."""
        self._end.set()

    def _guard(self, name: str) -> Callable[[Any, Any], Any]:
        answer = getattr(self, f"_{name}")

        def serve(request: Any, response: Any) -> Any:
            if name in self.silent:
                end = self._end
                end.wait(20.0)
            answer(request, response)
            return response

        return serve

    def _plan_kinematic_path(self, request: Any, response: Any) -> None:
        out = response.motion_plan_response
        out.error_code.val, out.trajectory = self.moveit.plan(request.motion_plan_request)

    def _compute_cartesian_path(self, request: Any, response: Any) -> None:
        response.error_code.val, response.solution, response.fraction = self.moveit.cartesian(request)

    def _compute_ik(self, request: Any, response: Any) -> None:
        ask = request.ik_request
        if not self.moveit.frame_known(ask.pose_stamped.header.frame_id, "compute_ik") or not ask.timeout.sec:
            self.moveit.complain("compute_ik without a frame, or without whole seconds of time")
        seed = self.moveit.joints(ask.robot_state, "seed")
        T = pose_to_matrix(ask.pose_stamped.pose, "pose")
        found = self.moveit.ik(ask.group_name, ask.ik_link_name, T, seed, ask.avoid_collisions)
        if isinstance(found, int):
            response.error_code.val = found
            return
        response.error_code.val = MoveItErrorCodes.SUCCESS
        response.solution.joint_state.name = list(reversed(self.moveit.arm.joints))
        response.solution.joint_state.position = found[::-1].tolist()

    def _compute_fk(self, request: Any, response: Any) -> None:
        link = request.fk_link_names[0]
        if link != self.moveit.arm.flange_frame:
            response.error_code.val = MoveItErrorCodes.INVALID_LINK_NAME
            return
        T = self.moveit.kin.fk(self.moveit.joints(request.robot_state, "compute_fk")) @ self.shift
        self.moveit.frame_known(request.header.frame_id, "compute_fk")
        response.pose_stamped = [PoseStamped(header=request.header, pose=matrix_to_pose(T))]
        response.fk_link_names = [link]
        response.error_code.val = MoveItErrorCodes.SUCCESS

    def _check_state_validity(self, request: Any, response: Any) -> None:
        if request.group_name != self.moveit.group:
            self.moveit.complain(f"check_state_validity for group '{request.group_name}'")
        pairs = self.moveit.scene.contacts(self.moveit.joints(request.robot_state, "state"))
        response.valid = not pairs
        response.contacts = [ContactInformation(contact_body_1=a, contact_body_2=b) for a, b in pairs]

    def _apply_planning_scene(self, request: Any, response: Any) -> None:
        response.success = not self.refuse and (self.forget or self.moveit.scene.apply(request.scene))

    def _get_planning_scene(self, request: Any, response: Any) -> None:
        response.scene = self.moveit.scene.message(request.components.components)
        if self.foreign is not None:
            response.scene.world.octomap.octomap.resolution = self.foreign
