"""moveit_msgs <-> what `arm_control.planning.moveit` speaks."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import numpy as np
from moveit_msgs.msg import (
    AllowedCollisionEntry,
    AllowedCollisionMatrix,
    AttachedCollisionObject,
    CollisionObject,
    Constraints,
    JointConstraint,
    MotionPlanRequest,
    PlanningScene,
    RobotState,
    RobotTrajectory,
)
from octomap_msgs.msg import OctomapWithPose
from sensor_msgs.msg import JointState
from shape_msgs.msg import SolidPrimitive

from arm_control.planning import Trajectory
from arm_control.planning.moveit.octree import Octree
from arm_control.planning.moveit.scene import PREFIX, Body, SceneChange, Seen
from grasp_core.errors import ErrorCode, PlanningError
from grasp_ros.conversions import matrix_to_pose

GOAL_TOLERANCE = 1e-4  # rad: MoveIt's own default for joint goals


def scene_message(change: SceneChange, base_frame: str, found: AllowedCollisionMatrix) -> PlanningScene:
    """The difference of scenes as MoveIt takes it.

    `found`: MoveIt's matrix of allowed collisions. One in a difference replaces the old one, so it has to be whole.
    """
    msg = PlanningScene(is_diff=True)
    msg.robot_state.is_diff = True
    for body in change.attached:
        msg.robot_state.attached_collision_objects.append(
            AttachedCollisionObject(link_name=body.link, object=_box(body), touch_links=list(body.touch))
        )
    for body_id in change.detached:
        off = CollisionObject(id=body_id, operation=CollisionObject.REMOVE)
        msg.robot_state.attached_collision_objects.append(AttachedCollisionObject(object=off))
        msg.world.collision_objects.append(off)  # detaching leaves it in the world
    msg.world.collision_objects += [_box(body) for body in change.fixed]
    if change.octree is not None:
        msg.world.octomap = octomap_message(change.octree, base_frame)
    if change.allowed is not None:
        msg.allowed_collision_matrix = allowed_matrix(found, change.allowed)
    return msg


def octomap_message(tree: Octree, frame: str) -> OctomapWithPose:
    """The tree as a message, its origin that of `frame`."""
    msg = OctomapWithPose()
    msg.header.frame_id = msg.octomap.header.frame_id = frame
    msg.octomap.binary, msg.octomap.id, msg.octomap.resolution = True, "OcTree", float(tree.resolution)
    msg.octomap.data = array("b", tree.data)
    return msg


def _box(body: Body) -> CollisionObject:
    out = CollisionObject(id=body.id, operation=CollisionObject.ADD, pose=matrix_to_pose(body.T))
    out.header.frame_id = body.link
    out.primitives = [SolidPrimitive(type=SolidPrimitive.BOX, dimensions=[float(x) for x in body.size])]
    out.primitive_poses = [matrix_to_pose(np.eye(4))]
    return out


def allowed_matrix(found: AllowedCollisionMatrix, allowed: Iterable[tuple[str, str]]) -> AllowedCollisionMatrix:
    """`found` with `allowed` pairs of ids, and without what it had of our bodies."""
    names = [n for n in found.entry_names if not n.startswith(PREFIX)]
    old = [i for i, n in enumerate(found.entry_names) if not n.startswith(PREFIX)]
    pairs = list(allowed)
    names += sorted({n for pair in pairs for n in pair} - set(names))
    index = {n: i for i, n in enumerate(names)}
    matrix = np.zeros((len(names), len(names)), bool)
    rows = np.array([found.entry_values[i].enabled for i in old], bool).reshape(len(old), -1)
    matrix[: len(old), : len(old)] = rows[:, old]
    for a, b in pairs:
        matrix[index[a], index[b]] = matrix[index[b], index[a]] = True
    return AllowedCollisionMatrix(
        entry_names=names,
        entry_values=[AllowedCollisionEntry(enabled=row.tolist()) for row in matrix],
        default_entry_names=found.default_entry_names,
        default_entry_values=found.default_entry_values,
    )


def seen_in(scene: PlanningScene) -> Seen:
    """What a scene that MoveIt told of has of ours."""
    fixed = (o.id for o in scene.world.collision_objects)
    attached = (o.object.id for o in scene.robot_state.attached_collision_objects)
    octomap = scene.world.octomap.octomap
    return Seen(
        frozenset(i for i in fixed if i.startswith(PREFIX)),
        frozenset(i for i in attached if i.startswith(PREFIX)),
        octomap.resolution if len(octomap.data) else None,
    )


def state_message(joints: Sequence[str], q: np.ndarray) -> RobotState:
    """The arm at `q`, everything else as MoveIt has it."""
    return RobotState(joint_state=JointState(name=list(joints), position=[float(x) for x in q]), is_diff=True)


def joint_goal(joints: Sequence[str], q: np.ndarray) -> Constraints:
    """The goal constraints of a joint position."""
    limits = {"tolerance_above": GOAL_TOLERANCE, "tolerance_below": GOAL_TOLERANCE, "weight": 1.0}
    rows = zip(joints, q, strict=True)
    return Constraints(joint_constraints=[JointConstraint(joint_name=n, position=float(x), **limits) for n, x in rows])


def plan_request(
    joints: Sequence[str], q_start: np.ndarray, q_goal: np.ndarray, group: str, scaling: float, max_time: float
) -> MotionPlanRequest:
    """A request for a free motion with the pipeline and planner that MoveIt has as its default."""
    return MotionPlanRequest(
        start_state=state_message(joints, q_start),
        goal_constraints=[joint_goal(joints, q_goal)],
        group_name=group,
        num_planning_attempts=1,
        allowed_planning_time=float(max_time),
        max_velocity_scaling_factor=float(scaling),
        max_acceleration_scaling_factor=float(scaling),
    )


def trajectory_of(msg: RobotTrajectory, joints: Sequence[str]) -> Trajectory:
    """The joints' part of MoveIt's trajectory, in our order.

    PlanningError: TIMING_FAILED without velocities or without points, NO_PATH when a joint is not in it.
    """
    names = list(msg.joint_trajectory.joint_names)
    points = msg.joint_trajectory.points
    absent = [j for j in joints if j not in names]
    if absent and points:
        raise PlanningError(f"MoveIt's trajectory has no joint {absent[0]}; it has {', '.join(names)}")
    if not points or any(len(p.velocities) != len(names) for p in points):
        raise PlanningError(
            f"MoveIt's trajectory has {len(points)} points, not all with velocities: add a time parameterization to "
            "its planning pipeline",
            ErrorCode.TIMING_FAILED,
        )
    order = [names.index(j) for j in joints]
    times = np.array([p.time_from_start.sec + 1e-9 * p.time_from_start.nanosec for p in points])
    q, qd = (np.array([getattr(p, k) for p in points])[:, order] for k in ("positions", "velocities"))
    accelerated = all(len(p.accelerations) == len(names) for p in points)
    qdd = np.array([p.accelerations for p in points])[:, order] if accelerated else np.zeros_like(q)
    return Trajectory(tuple(joints), times, q, qd, qdd)
