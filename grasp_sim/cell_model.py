"""The whole work cell as one MuJoCo model, with the indices that controllers and publishers need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError
from grasp_core.gripper import Gripper
from grasp_sim import surroundings
from grasp_sim.calibration_board import BoardPlace, add_board
from grasp_sim.objects import ObjectSpec, add_object
from grasp_sim.robot_model import FINGERS, PALM, add_camera, add_gripper, load_arm, velocity_limits, wxyz

# What a geom belongs to, for the bookkeeping of contacts.
ENVIRONMENT, OBJECT, ARM, FINGER = range(4)


@dataclass(frozen=True, eq=False)
class CellModel:
    """A compiled model and where things are in it.

    Attributes:
        arm_qpos, arm_dof, arm_motor: (dof,) indices in the profile's joint order.
        finger_qpos, finger_dof, finger_motor: (2,) indices, left and right.
        objects: name -> body id. moving_frames: (parent name, child name, parent id, child id) of the arm's links.
        static_frames: the same for frames that never move against their parent.
        cameras: MuJoCo camera names in the order of cell.cameras.
        geom_kind: (ngeom,) int8, ENVIRONMENT, OBJECT, ARM (links, palm, cameras) or FINGER.
        arm_range, arm_velocity, arm_torque: the URDF's limits, (dof, 2) rad, (dof,) rad/s, (dof,) N m.
    """

    model: mujoco.MjModel
    arm_qpos: np.ndarray
    arm_dof: np.ndarray
    arm_motor: np.ndarray
    finger_qpos: np.ndarray
    finger_dof: np.ndarray
    finger_motor: np.ndarray
    objects: dict[str, int]
    moving_frames: tuple[tuple[str, str, int, int], ...]
    static_frames: tuple[tuple[str, str, int, int], ...]
    cameras: tuple[str, ...]
    geom_kind: np.ndarray
    arm_range: np.ndarray
    arm_velocity: np.ndarray
    arm_torque: np.ndarray


def build_cell_model(
    cell: Cell,
    arm: ArmProfile,
    gripper: Gripper,
    objects: Sequence[ObjectSpec] = (),
    poses: np.ndarray | None = None,
    with_bin: bool = True,
    board: BoardPlace | None = None,
) -> CellModel:
    """Build arm, gripper, cameras, table, bin, tray and free objects.

    Args:
        objects: their names must differ. poses: (N, 4, 4) in the base frame, m.
        with_bin: False leaves the cell's bin out (scenes on the bare table).
        board: a calibration board, if there is to be one.

    Raises:
        ConfigError: the cell belongs to another base frame, or names a frame that the arm does not have.
    """
    if cell.base_frame != arm.base_frame:
        raise ConfigError(
            f"cell {cell.name} is given in {cell.base_frame!r}, arm {arm.name} stands in {arm.base_frame!r}"
        )
    spec = load_arm(arm)
    links = [body.name for body in spec.bodies if body.name != "world"]
    add_gripper(spec, gripper, arm.flange_frame)
    cameras = tuple(add_camera(spec, mounted, i) for i, mounted in enumerate(cell.cameras))
    surroundings.set_physics(spec)
    surroundings.add_boxes(spec, cell, with_bin)
    surroundings.add_looks(spec, cell)
    if board is not None:
        add_board(spec, board)
    for obj, pose in zip(objects, () if poses is None else poses, strict=True):
        add_object(spec, obj, obj.name, pose[:3, 3].tolist(), wxyz(pose[:3, :3]))
    return _index(spec.compile(), arm, cameras, links, [obj.name for obj in objects])


def _index(
    model: mujoco.MjModel, arm: ArmProfile, cameras: tuple[str, ...], links: list[str], objects: list[str]
) -> CellModel:
    joints = [model.joint(name) for name in arm.joints]
    slides = [model.joint(f"{name}_slide") for name in FINGERS]
    frames = [_frame(model, name) for name in links if model.body(name).parentid[0] != 0]
    ids = {name: model.body(name).id for name in objects}
    limits = np.array([model.actuator(f"{name}_motor").ctrlrange for name in arm.joints])
    return CellModel(
        model=model,
        arm_qpos=np.array([int(j.qposadr[0]) for j in joints]),
        arm_dof=np.array([int(j.dofadr[0]) for j in joints]),
        arm_motor=np.array([model.actuator(f"{name}_motor").id for name in arm.joints]),
        finger_qpos=np.array([int(j.qposadr[0]) for j in slides]),
        finger_dof=np.array([int(j.dofadr[0]) for j in slides]),
        finger_motor=np.array([model.actuator(f"{name}_motor").id for name in FINGERS]),
        objects=ids,
        moving_frames=tuple(f for f in frames if model.body_jntnum[f[3]] > 0),
        static_frames=tuple(f for f in frames if model.body_jntnum[f[3]] == 0),
        cameras=cameras,
        geom_kind=_geom_kinds(model, set(links), set(ids.values())),
        arm_range=np.array([j.range for j in joints]),
        arm_velocity=velocity_limits(arm),
        arm_torque=limits[:, 1],
    )


def _frame(model: mujoco.MjModel, name: str) -> tuple[str, str, int, int]:
    child = model.body(name).id
    parent = int(model.body_parentid[child])
    return model.body(parent).name, name, parent, child


def _geom_kinds(model: mujoco.MjModel, links: set[str], objects: set[int]) -> np.ndarray:
    kinds = np.full(model.ngeom, ENVIRONMENT, dtype=np.int8)
    for geom in range(model.ngeom):
        body = int(model.geom_bodyid[geom])
        name = model.body(body).name
        if body in objects:
            kinds[geom] = OBJECT
        elif name in FINGERS:
            kinds[geom] = FINGER
        elif name in links or name == PALM or (name.startswith("camera_") and model.body_weldid[body] != 0):
            kinds[geom] = ARM
    return kinds
