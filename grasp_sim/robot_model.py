"""Arm, gripper and cameras as MuJoCo bodies, built from the same profiles that planner and drivers use."""

from __future__ import annotations

from xml.etree import ElementTree

import mujoco
import numpy as np

from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import MountedCamera
from grasp_core.errors import ConfigError
from grasp_core.gripper import Gripper

FINGERS = ("finger_left", "finger_right")  # at -x and +x of the grasp frame
PALM = "gripper_palm"
PAD_INSET = 0.0005  # m that the finger behind the pad stands back, so that the pad touches first
FINGER_MASS_SHARE = 0.1  # of the gripper's mass, each
FINGER_ARMATURE = 0.2  # kg, drive and linkage as felt at one finger
# Contact of the rubber pads: stiff enough not to sink in, with friction that does not creep under load.
PAD_SOLREF = (0.005, 1.0)
PAD_SOLIMP = (0.95, 0.99, 0.001, 0.5, 2.0)
PAD_TORSION = 0.006  # m, torsional friction of a pad of 22 x 22 mm
# Rotor inertias as felt behind gears of ratio 101 (rotors of 2e-5 .. 8e-5 kg m^2, sizes 3 and 1 of the joints).
ARMATURE = {150.0: 0.6, 28.0: 0.12}  # by the joint's torque limit, N m -> kg m^2

_DARK = (0.13, 0.13, 0.14, 1.0)
_PAD = (0.05, 0.05, 0.05, 1.0)
_BODY = (0.25, 0.26, 0.28, 1.0)
_CAMERA = (0.80, 0.81, 0.83, 1.0)


def wxyz(rotation: np.ndarray) -> list[float]:
    """Quaternion in MuJoCo's order of a rotation (3, 3)."""
    return np.roll(se3.quat_from_matrix(rotation), 1).tolist()


def load_arm(arm: ArmProfile) -> mujoco.MjSpec:
    """The arm's URDF as a model to add to: all links and frames are bodies, each joint has a torque motor.

    Raises:
        ConfigError: the URDF cannot be read, or lacks a joint or frame that the profile names.
    """
    path = arm.urdf_path
    try:
        spec = mujoco.MjSpec.from_file(str(path))
    except ValueError as error:
        raise ConfigError(f"{path}: MuJoCo cannot read this URDF: {error}") from error
    spec.modelname = "seegrasp_cell"
    spec.compiler.fusestatic = False
    spec.compiler.discardvisual = False  # it would take sky and materials away, too
    bodies = {body.name: body for body in spec.bodies}
    missing = [name for name in (arm.base_frame, arm.flange_frame) if name not in bodies]
    missing += [name for name in arm.joints if spec.joint(name) is None]
    if missing:
        raise ConfigError(f"{path}: no link or joint {', '.join(missing)}, which profile {arm.name} names")
    for name in arm.joints:
        _drive(spec, spec.joint(name))
    for body in spec.bodies:
        for geom in [geom for geom in body.geoms if geom.contype == 0]:
            spec.delete(geom)  # the URDF's visual shapes are its collision shapes
        for i, geom in enumerate(body.geoms):
            geom.name = f"{body.name}_{i}"
    # A link welded to the world is not taken for the parent of the first moving link by MuJoCo's contact filter.
    first = spec.joint(arm.joints[0]).parent
    spec.add_exclude(bodyname1=first.parent.name, bodyname2=first.name)
    return spec


def velocity_limits(arm: ArmProfile) -> np.ndarray:
    """(dof,) rad/s: the URDF's velocity limits, which MuJoCo does not keep; ConfigError if a joint has none."""
    joints = {joint.get("name"): joint for joint in ElementTree.parse(arm.urdf_path).getroot().iter("joint")}
    limits = [joints[name].find("limit") for name in arm.joints]
    if any(limit is None or limit.get("velocity") is None for limit in limits):
        raise ConfigError(f"{arm.urdf_path}: every joint of profile {arm.name} needs a velocity limit")
    return np.array([float(limit.get("velocity")) for limit in limits])


def _drive(spec: mujoco.MjSpec, joint: mujoco.MjsJoint) -> None:
    limit = float(joint.actfrcrange[1])
    joint.armature = ARMATURE.get(limit, 0.003 * limit)
    motor = spec.add_actuator(name=f"{joint.name}_motor", target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    motor.set_to_motor()
    motor.ctrlrange, motor.ctrllimited = [-limit, limit], True


def add_gripper(spec: mujoco.MjSpec, gripper: Gripper, flange: str) -> None:
    """Hang palm and two coupled sliding fingers onto the body ``flange``.

    Bodies: gripper_palm, finger_left, finger_right; joints ``<finger>_slide`` hold half the opening each, m.
    """
    centres, sizes = gripper.boxes(gripper.max_width)
    T = gripper.T_flange_tcp
    palm = spec.body(flange).add_body(name=PALM, pos=T[:3, 3].tolist(), quat=wxyz(T[:3, :3]))
    mass = gripper.mass * (1 - 2 * FINGER_MASS_SHARE)
    behind = list(zip(centres[2:], sizes[2:], strict=True))
    volume = sum(float(np.prod(size)) for _, size in behind)
    for i, (centre, size) in enumerate(behind):
        _box(palm, f"{PALM}_{i}", centre, size, _BODY, mass=mass * float(np.prod(size)) / volume)
    for name, side, centre in zip(FINGERS, (-1.0, 1.0), centres[:2], strict=True):
        closed = np.array([centre[0] - side * gripper.max_width / 2, centre[1], centre[2]])
        _add_finger(palm, gripper, name, side, closed)
    spec.add_exclude(bodyname1=FINGERS[0], bodyname2=FINGERS[1])
    spec.add_equality(
        name="finger_coupling",
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1=f"{FINGERS[1]}_slide",
        name2=f"{FINGERS[0]}_slide",
        data=[0.0, 1.0, *[0.0] * 10],
        solref=[0.004, 1.0],
        solimp=[0.99, 0.999, 0.001, 0.5, 2.0],
    )
    for name in FINGERS:
        motor = spec.add_actuator(name=f"{name}_motor", target=f"{name}_slide", trntype=mujoco.mjtTrn.mjTRN_JOINT)
        motor.set_to_motor()
        motor.ctrlrange, motor.ctrllimited = [-gripper.force.max, gripper.force.max], True


def _add_finger(palm: mujoco.MjsBody, gripper: Gripper, name: str, side: float, centre: np.ndarray) -> None:
    """One finger: a rubber pad at the tip and the rest behind it; ``centre`` is where it stands at zero opening."""
    finger = palm.add_body(name=name, pos=centre.tolist())
    finger.add_joint(
        name=f"{name}_slide",
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=[side, 0.0, 0.0],
        range=[gripper.min_width / 2, gripper.max_width / 2],
        limited=True,
        armature=FINGER_ARMATURE,
        damping=[2.0, 0.0, 0.0],
    )
    thickness, width, length = gripper.finger.thickness, gripper.finger.width, gripper.finger.length
    mass = gripper.mass * FINGER_MASS_SHARE
    rest = length - gripper.pad_height
    pad_z = (length - gripper.pad_height) / 2
    _box(
        finger,
        f"{name}_pad",
        [0.0, 0.0, pad_z],
        [thickness, width, gripper.pad_height],
        _PAD,
        mass=mass / 2,
        friction=[gripper.pad_friction, PAD_TORSION, 1e-4],
        condim=4,
        priority=1,
        solref=list(PAD_SOLREF),
        solimp=list(PAD_SOLIMP),
    )
    if rest > 1e-6:
        shape = [thickness - PAD_INSET, width, rest]
        _box(finger, f"{name}_0", [side * PAD_INSET / 2, 0.0, pad_z - length / 2], shape, _DARK, mass=mass / 2)


def add_camera(spec: mujoco.MjSpec, mounted: MountedCamera, index: int) -> str:
    """Mount a camera with exact pinhole intrinsics and its body; returns the MuJoCo camera's name.

    Raises:
        ConfigError: the cell names a parent frame that the arm does not have.
    """
    profile = mounted.camera_profile
    parent = next((body for body in spec.bodies if body.name == mounted.parent), None)
    if parent is None:
        raise ConfigError(f"camera {mounted.namespace}: the arm has no frame {mounted.parent!r} to mount it on")
    T = mounted.T_parent_optical
    body = parent.add_body(name=f"camera_{index}", pos=T[:3, 3].tolist(), quat=wxyz(T[:3, :3]))
    depth = profile.body[2]
    _box(body, f"camera_{index}_0", [0.0, 0.0, -depth / 2 - 0.002], profile.body, _CAMERA, mass=0.072)
    camera = body.add_camera(name=f"camera_{index}_view")
    # MuJoCo cameras look along -z with y up; optical frames along +z with y down.
    camera.quat = [0.0, 1.0, 0.0, 0.0]
    camera.resolution = [profile.width, profile.height]
    camera.sensor_size = [profile.width * 1e-6, profile.height * 1e-6]
    camera.focal_pixel = [profile.fx, profile.fy]
    # MuJoCo wants how far the image's centre lies from the principal point; pixel (0, 0) has its centre at (0, 0).
    camera.principal_pixel = [(profile.width - 1) / 2 - profile.cx, (profile.height - 1) / 2 - profile.cy]
    return camera.name


def _box(body: mujoco.MjsBody, name: str, centre: np.ndarray, size: np.ndarray, rgba: tuple, **kwargs: object) -> None:
    half = (np.asarray(size, dtype=float) / 2).tolist()
    kind = mujoco.mjtGeom.mjGEOM_BOX
    body.add_geom(name=name, type=kind, pos=np.asarray(centre, float).tolist(), size=half, rgba=list(rgba), **kwargs)
