"""Targets of `MoveTo` and their plans."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from arm_control.planning import Exemption, HeldObject, MotionPlanner, Trajectory
from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ErrorCode, PlanningError
from grasp_core.gripper import Gripper


class TargetKind(IntEnum):
    """The constants of `MoveTo.target_type`."""

    NAMED = 0
    JOINTS = 1
    POSE = 2
    POSE_LINEAR = 3
    HERE = 4


@dataclass(frozen=True)
class Target:
    """Where to move: a `name`, `joints` (dof,) rad, or `pose`, the grasp frame in the base frame, 4x4."""

    kind: TargetKind
    name: str = ""
    joints: np.ndarray | None = None
    pose: np.ndarray | None = None

    @classmethod
    def named(cls, name: str) -> Target:
        """A pose of the cell or of the arm profile."""
        return cls(TargetKind.NAMED, name=name)

    @classmethod
    def at(cls, pose: np.ndarray, linear: bool = False) -> Target:
        """A pose of the grasp frame, reached freely or on a straight line."""
        return cls(TargetKind.POSE_LINEAR if linear else TargetKind.POSE, pose=pose)

    @classmethod
    def here(cls) -> Target:
        """Where the arm is: only the gripper moves."""
        return cls(TargetKind.HERE)


def named_pose(name: str, cell: Cell, arm: ArmProfile) -> np.ndarray:
    """Joints (dof,) of a pose of the cell or, where it has none of that name, of the arm; INVALID_GOAL lists them."""
    poses = {**arm.poses, **cell.poses}
    if name not in poses:
        raise PlanningError(
            f"no pose '{name}' in cell {cell.name} or arm {arm.name}; there are: {', '.join(sorted(poses))}",
            ErrorCode.INVALID_GOAL,
        )
    if len(poses[name]) != arm.dof:
        raise PlanningError(
            f"pose '{name}' of cell {cell.name} has {len(poses[name])} joints, arm {arm.name} has {arm.dof}",
            ErrorCode.CONFIG,
        )
    return np.array(poses[name])


def plan_move(
    planner: MotionPlanner,
    target: Target,
    q: np.ndarray,
    width: float,
    cell: Cell,
    arm: ArmProfile,
    velocity_scaling: float | None = None,
) -> Trajectory:
    """A trajectory from `q` (dof,) to the target in the planner's scene; PlanningError."""
    if target.kind == TargetKind.POSE_LINEAR:
        return planner.plan_linear(q, target.pose, width, velocity_scaling=velocity_scaling)
    if target.kind == TargetKind.POSE:
        return planner.plan_pose(q, target.pose, width, velocity_scaling)
    joints = named_pose(target.name, cell, arm) if target.kind == TargetKind.NAMED else target.joints
    return planner.plan_joints(q, joints, width, velocity_scaling)


def around_gripper(
    planner: MotionPlanner,
    q: np.ndarray,
    width: float,
    gripper: Gripper,
    held: HeldObject | None,
    padding: float = 0.02,
) -> Exemption:
    """The box around gripper and held object at joints `q`: what touches them there is already touching."""
    centres, sizes = gripper.boxes(width)
    if held is not None:
        centres, sizes = np.vstack([centres, held.centre]), np.vstack([sizes, held.size])
    low, high = (centres - sizes / 2).min(axis=0) - padding, (centres + sizes / 2).max(axis=0) + padding
    T_tcp_box = se3.make(np.eye(3), (low + high) / 2)
    return Exemption(T_base_box=planner.fk(q) @ T_tcp_box, size=high - low)
