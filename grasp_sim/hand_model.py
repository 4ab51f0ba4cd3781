"""A free-floating hand on a stage of objects as one MuJoCo model: no arm, hence fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from grasp_core import se3
from grasp_core.cell import Cell
from grasp_core.gripper import Gripper
from grasp_sim import surroundings
from grasp_sim.objects import ObjectSpec, add_object
from grasp_sim.robot_model import FINGERS, PALM, add_gripper, wxyz

HAND_GROUP = 4  # of the hand's geoms, so that a picture can leave them out
CAMERA = "view"
CARRIAGE = "carriage"  # where the hand's joints are all zero
AXES = ("x", "y", "z")
# The carriage moves the hand like a stiff but force-limited arm: the stiffnesses give 1 mm under 30 N and 1 deg under
# 7 N m, the limits are below those where a UR5e's safety functions stop it by default.
SLIDE = {"stiffness": 30_000.0, "force": 60.0, "armature": 2.0}
TURN = {"stiffness": 400.0, "force": 15.0, "armature": 0.02}
# Impedance of all contacts: harder than in the cell, since a free hand may press with more force on lighter things.
HARD = (0.99, 0.998)


@dataclass(frozen=True, eq=False)
class HandModel:
    """A compiled model and where things are in it.

    Attributes:
        slide_qpos, slide_motor: (3,) indices of the hand's way from the carriage, m, in the carriage's frame.
        turn_qpos, turn_motor: (3,) of its turn about the carriage's axes, rad.
        hand_dof: (6,) of both. hand_body: whose frame is the grasp frame. finger_*: see gripper_controller.FingerModel.
        objects: name -> body id. is_hand: (nbody,) bool. carriage: body id.
        lead, turn_lead: s; a servo follows a constant speed v without lag when its target runs ahead by lead * v.
    """

    model: mujoco.MjModel
    slide_qpos: np.ndarray
    slide_motor: np.ndarray
    turn_qpos: np.ndarray
    turn_motor: np.ndarray
    hand_dof: np.ndarray
    finger_qpos: np.ndarray
    finger_dof: np.ndarray
    finger_motor: np.ndarray
    finger_bodies: tuple[int, int]
    hand_body: int
    carriage: int
    objects: dict[str, int]
    is_hand: np.ndarray
    lead: float
    turn_lead: float


def build_hand_model(
    gripper: Gripper,
    objects: Sequence[ObjectSpec],
    poses: np.ndarray,
    cell: Cell,
    with_bin: bool,
    pad_friction: float | None = None,
) -> HandModel:
    """Stage, objects at ``poses`` (N, 4, 4) in the base frame, and the hand.

    pad_friction: of the fingertips, which decides over their contacts; None: the gripper's.
    """
    spec = mujoco.MjSpec()
    surroundings.set_physics(spec)
    surroundings.add_boxes(spec, cell, with_bin)
    surroundings.add_looks(spec, cell)
    for obj, pose in zip(objects, poses, strict=True):
        add_object(spec, obj, obj.name, pose[:3, 3].tolist(), wxyz(pose[:3, :3]))
    friction = gripper.pad_friction if pad_friction is None else pad_friction
    _add_hand(spec, gripper.model_copy(update={"pad_friction": friction}))
    spec.worldbody.add_camera(name=CAMERA)
    model = spec.compile()
    model.geom_solimp[:, :2] = HARD
    return _index(model, [obj.name for obj in objects])


def _damping(values: dict[str, float]) -> float:
    """Of a critically damped servo."""
    return 2.0 * float(np.sqrt(values["stiffness"] * values["armature"]))


def _add_hand(spec: mujoco.MjSpec, gripper: Gripper) -> None:
    """Carriage, hand with six driven joints, gripper."""
    known = {geom.name for geom in spec.geoms}
    carriage = spec.worldbody.add_body(name=CARRIAGE)
    hand = carriage.add_body(name="hand")
    slide, hinge = mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_HINGE
    for kind, joint_type, values in (("slide", slide, SLIDE), ("turn", hinge, TURN)):
        for axis, direction in zip(AXES, np.eye(3).tolist(), strict=True):
            armature = values["armature"]
            hand.add_joint(name=f"hand_{kind}_{axis}", type=joint_type, axis=direction, armature=armature)
    T_tcp_flange = se3.inverse(gripper.T_flange_tcp)
    flange = hand.add_body(name="flange", pos=T_tcp_flange[:3, 3].tolist(), quat=wxyz(T_tcp_flange[:3, :3]))
    add_gripper(spec, gripper, flange.name)
    for geom in spec.geoms:
        if geom.name not in known:
            geom.group = HAND_GROUP
    for body in spec.bodies:
        if body.name in ("hand", "flange", PALM, *FINGERS):
            body.gravcomp = 1.0  # the carriage carries the hand; what it lifts is felt
    for kind, values in (("slide", SLIDE), ("turn", TURN)):
        for axis in AXES:
            name = f"hand_{kind}_{axis}"
            motor = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
            motor.set_to_position(kp=values["stiffness"], kv=_damping(values))
            motor.forcerange, motor.forcelimited = [-values["force"], values["force"]], True


def _index(model: mujoco.MjModel, objects: list[str]) -> HandModel:
    def qpos(names: list[str]) -> np.ndarray:
        return np.array([int(model.joint(n).qposadr[0]) for n in names])

    def dof(names: list[str]) -> np.ndarray:
        return np.array([int(model.joint(n).dofadr[0]) for n in names])

    def motors(names: list[str]) -> np.ndarray:
        return np.array([model.actuator(n).id for n in names])

    slides, turns = ([f"hand_{kind}_{axis}" for axis in AXES] for kind in ("slide", "turn"))
    fingers = [f"{name}_slide" for name in FINGERS]
    hand = ("hand", "flange", PALM, *FINGERS)
    is_hand = np.array([model.body(b).name in hand for b in range(model.nbody)])
    return HandModel(
        model=model,
        slide_qpos=qpos(slides),
        slide_motor=motors(slides),
        turn_qpos=qpos(turns),
        turn_motor=motors(turns),
        hand_dof=dof([*slides, *turns]),
        finger_qpos=qpos(fingers),
        finger_dof=dof(fingers),
        finger_motor=motors([f"{name}_motor" for name in FINGERS]),
        finger_bodies=tuple(model.body(name).id for name in FINGERS),
        hand_body=model.body(PALM).id,
        carriage=model.body(CARRIAGE).id,
        objects={name: model.body(name).id for name in objects},
        is_hand=is_hand,
        lead=_damping(SLIDE) / SLIDE["stiffness"],
        turn_lead=_damping(TURN) / TURN["stiffness"],
    )
