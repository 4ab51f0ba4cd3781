"""Goals of arm_node checked and turned into arrays, in the base frame. Nothing moves on a goal that fails here."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from seegrasp_msgs.action import ExecuteGrasp, MoveTo

from arm_control.moves import Target, TargetKind
from arm_control.stages.context import Detection
from grasp_core.arm import ArmProfile
from grasp_core.errors import ErrorCode, InputError, SeegraspError
from grasp_core.gripper import Gripper
from grasp_ros.conversions import msg_to_grasps, pose_to_matrix, stamp_to_ns

Lookup = Callable[[str, int], np.ndarray]
"""(frame, stamp in ns, 0: newest) -> T_base_frame; FrameError."""


def invalid(message: str) -> SeegraspError:
    """A goal that cannot be meant so."""
    return SeegraspError(message, ErrorCode.INVALID_GOAL)


def parse_scaling(value: float) -> float | None:
    """(0, 1] as it is, 0 as None (the profile's default); INVALID_GOAL otherwise."""
    if not math.isfinite(value) or not 0.0 <= value <= 1.0:
        raise invalid(f"velocity_scaling is {value}: expected 0 (the arm profile's default) or a number in (0, 1]")
    return float(value) or None


def parse_gripper(goal: MoveTo.Goal, gripper: Gripper) -> float | None:
    """The opening asked for in m, or None; INVALID_GOAL on NaN, OUT_OF_LIMITS beyond the gripper."""
    if not goal.set_gripper:
        return None
    width = float(goal.gripper_width)
    if not math.isfinite(width):
        raise invalid(f"gripper_width is {width}: expected m")
    if not gripper.min_width - 1e-4 <= width <= gripper.max_width + 1e-4:
        raise SeegraspError(
            f"gripper_width is {width:.4f} m: gripper {gripper.name} opens {gripper.min_width}..{gripper.max_width} m",
            ErrorCode.OUT_OF_LIMITS,
        )
    return min(max(width, gripper.min_width), gripper.max_width)


def parse_target(goal: MoveTo.Goal, arm: ArmProfile, lookup: Lookup) -> Target:
    """The target in the base frame; INVALID_GOAL (unknown kind, wrong count, NaN, bad quaternion), NO_TF."""
    try:
        kind = TargetKind(goal.target_type)
    except ValueError:
        raise invalid(f"target_type is {goal.target_type}: expected one of MoveTo's constants (0..4)") from None
    if kind == TargetKind.NAMED:
        if not goal.name:
            raise invalid("target_type NAMED needs a name")
        return Target(kind, name=goal.name)
    if kind == TargetKind.JOINTS:
        joints = np.array(goal.joints, dtype=np.float64)
        if joints.shape != (arm.dof,) or not np.isfinite(joints).all():
            raise invalid(
                f"joints are {joints.tolist()}: expected {arm.dof} finite numbers, rad, {', '.join(arm.joints)}"
            )
        return Target(kind, joints=joints)
    if kind == TargetKind.HERE:
        if not goal.set_gripper:
            raise invalid("target_type HERE without set_gripper asks for nothing")
        return Target(kind)
    if not goal.pose.header.frame_id:
        raise invalid("pose has no frame_id")
    try:
        T_frame_tcp = pose_to_matrix(goal.pose.pose, "pose")
    except InputError as error:
        raise invalid(str(error)) from error
    T_base_frame = lookup(goal.pose.header.frame_id, stamp_to_ns(goal.pose.header.stamp))
    return Target(kind, pose=T_base_frame @ T_frame_tcp)


def parse_candidates(goal: ExecuteGrasp.Goal, gripper: Gripper, base_frame: str, lookup: Lookup) -> Detection:
    """The candidates in the base frame; INVALID_GOAL (none, NaN, quaternion, gripper), OUT_OF_LIMITS, NO_TF."""
    msg = goal.candidates
    if not msg.grasps:
        raise invalid("candidates are empty: nothing to execute")
    if not msg.header.frame_id:
        raise invalid("candidates have no frame_id")
    if msg.gripper and msg.gripper != gripper.name:
        raise invalid(f"candidates were made for gripper '{msg.gripper}', this arm has '{gripper.name}'")
    try:
        grasps = msg_to_grasps(msg)
    except InputError as error:
        raise invalid(str(error)) from error
    widest = float(grasps.width.max())
    if widest > gripper.max_width + 1e-4:
        raise SeegraspError(
            f"candidate {int(grasps.width.argmax())} needs {widest:.4f} m: gripper {gripper.name} opens to "
            f"{gripper.max_width} m",
            ErrorCode.OUT_OF_LIMITS,
        )
    stamp = stamp_to_ns(msg.header.stamp)
    return Detection(grasps.transformed(lookup(msg.header.frame_id, stamp)), base_frame, stamp)
