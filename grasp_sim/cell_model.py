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
from grasp_sim.objects import ObjectSpec, add_object
from grasp_sim.objects.mjcf import SOLIMP, SOLREF
from grasp_sim.robot_model import FINGERS, PALM, add_camera, add_gripper, load_arm, velocity_limits, wxyz

TIME_STEP = 0.002  # s
SURFACE_FRICTION = 0.6
# What a geom belongs to, for the bookkeeping of contacts.
ENVIRONMENT, OBJECT, ARM, FINGER = range(4)

_COLOURS = {"table": (0.78, 0.68, 0.55, 1.0), "bin": (0.33, 0.42, 0.50, 1.0), "tray": (0.55, 0.33, 0.26, 1.0)}


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
) -> CellModel:
    """Build arm, gripper, cameras, table, bin, tray and free objects.

    Args:
        objects: their names must differ. poses: (N, 4, 4) in the base frame, m.
        with_bin: False leaves the cell's bin out (scenes on the bare table).

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
    _set_physics(spec)
    _add_surroundings(spec, cell, with_bin)
    _add_looks(spec, cell)
    for obj, pose in zip(objects, () if poses is None else poses, strict=True):
        add_object(spec, obj, obj.name, pose[:3, 3].tolist(), wxyz(pose[:3, :3]))
    return _index(spec.compile(), arm, cameras, links, [obj.name for obj in objects])


def _set_physics(spec: mujoco.MjSpec) -> None:
    option = spec.option
    option.timestep = TIME_STEP
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10.0
    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET  # a diverged state is an error, not a new start


def _add_surroundings(spec: mujoco.MjSpec, cell: Cell, with_bin: bool) -> None:
    """Table, bin and tray, with the contact parameters that scenes are settled with."""
    for obstacle in cell.obstacle_boxes():
        kind = obstacle.name.partition("_")[0]
        if kind == "bin" and not with_bin:
            continue
        spec.worldbody.add_geom(
            name=obstacle.name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=list(obstacle.centre),
            size=(np.asarray(obstacle.size) / 2).tolist(),
            friction=[SURFACE_FRICTION, 0.005, 0.0001],
            condim=3,
            solref=list(SOLREF),
            solimp=list(SOLIMP),
            rgba=list(_COLOURS.get(kind, (0.6, 0.6, 0.6, 1.0))),
        )


def _add_looks(spec: mujoco.MjSpec, cell: Cell) -> None:
    """Light, sky and a floor, where what falls off the table comes to lie."""
    spec.visual.headlight.ambient = [0.30, 0.30, 0.30]
    spec.visual.headlight.diffuse = [0.20, 0.20, 0.20]
    spec.visual.headlight.specular = [0.0, 0.0, 0.0]
    spec.visual.quality.offsamples = 0
    spec.visual.map.znear, spec.visual.map.zfar = 0.005, 20.0
    spec.stat.extent, spec.stat.center = 1.0, [0.3, 0.0, 0.3]
    width, height = (
        max(c.camera_profile.width for c in cell.cameras),
        max(c.camera_profile.height for c in cell.cameras),
    )
    spec.visual.global_.offwidth, spec.visual.global_.offheight = max(width, 1280), max(height, 960)
    for pos, level in (([0.9, -0.8, 2.0], 0.45), ([0.0, 1.0, 1.8], 0.2)):
        aim = (np.array([0.4, 0.1, 0.0]) - pos).tolist()
        light = spec.worldbody.add_light(pos=pos, dir=aim, diffuse=[level] * 3, specular=[0.05] * 3, castshadow=False)
        light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.75, 0.80, 0.85],
        rgb2=[0.45, 0.48, 0.52],
        width=64,
        height=384,
    )
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[0.3, 0.1, cell.table.height - 0.80],
        size=[2.5, 2.5, 0.05],
        rgba=[0.42, 0.43, 0.44, 1.0],
    )


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
