"""Collision bodies as primitive shapes: read from the packaged URDF, the gripper, the cameras and the cell."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import coal
import numpy as np

from arm_control.planning import HeldObject
from arm_control.planning.kinematics import Kinematics
from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError
from grasp_core.gripper import Gripper

FINGERS = ("left_finger", "right_finger")
KNUCKLES, PALM = "knuckles", "palm"
HELD = "held_object"
GRIPPER = (*FINGERS, KNUCKLES, PALM)


@dataclass(frozen=True)
class Shape:
    """A primitive fixed to a joint (0: the base): `kind` box | cylinder | sphere, `size` full edges | (r, l) | (r,), m.

    `T` 4x4: pose of its centre in the joint's frame. `link`: the name used in messages.
    """

    link: str
    joint: int
    T: np.ndarray
    kind: str
    size: tuple[float, ...]

    def geometry(self) -> coal.CollisionGeometry:
        """The same shape for coal."""
        return {"box": coal.Box, "cylinder": coal.Cylinder, "sphere": coal.Sphere}[self.kind](*self.size)

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Signed distance (N,) m of points (N, 3) in the joint's frame to the surface; negative inside."""
        p = (points - self.T[:3, 3]) @ self.T[:3, :3]
        if self.kind == "sphere":
            return np.linalg.norm(p, axis=1) - self.size[0]
        if self.kind == "cylinder":
            d = np.stack([np.hypot(p[:, 0], p[:, 1]) - self.size[0], np.abs(p[:, 2]) - self.size[1] / 2], 1)
        else:
            d = np.abs(p) - np.asarray(self.size) / 2
        return np.linalg.norm(np.maximum(d, 0), axis=1) + np.minimum(d.max(axis=1), 0)


def _floats(text: str | None, count: int, where: str) -> list[float]:
    try:
        values = [float(x) for x in (text or "").split()]
    except ValueError as error:
        raise ConfigError(f"{where}: '{text}' is not a list of numbers") from error
    if len(values) != count:
        raise ConfigError(f"{where}: expected {count} numbers, got '{text}'")
    return values


def _read_geometry(element: ET.Element, where: str) -> tuple[str, tuple[float, ...]]:
    for kind, keys in (("box", ("size",)), ("cylinder", ("radius", "length")), ("sphere", ("radius",))):
        found = element.find(f"geometry/{kind}")
        if found is not None:
            counts = (3,) if kind == "box" else (1,) * len(keys)
            return kind, tuple(v for k, n in zip(keys, counts, strict=True) for v in _floats(found.get(k), n, where))
    raise ConfigError(f"{where}: collision geometry must be a box, cylinder or sphere")


def arm_shapes(urdf: str, kin: Kinematics) -> list[Shape]:
    """Shapes of the links between base and flange of `kin`, from the collision elements of `urdf`, by link name."""
    out = []
    for link in ET.fromstring(urdf).findall("link"):
        name = link.get("name")
        if not kin.model.existFrame(name):
            continue
        frame = kin.model.frames[kin.model.getFrameId(name)]
        for element in link.findall("collision"):
            where = f"URDF of the arm profile, link '{name}'"
            kind, size = _read_geometry(element, where)
            origin = element.find("origin")
            xyz = _floats("0 0 0" if origin is None else origin.get("xyz", "0 0 0"), 3, where)
            rpy = _floats("0 0 0" if origin is None else origin.get("rpy", "0 0 0"), 3, where)
            T = frame.placement.homogeneous @ se3.make(se3.rpy_matrix(*rpy), xyz)
            out.append(Shape(name, int(frame.parentJoint), T, kind, size))
    if not out:
        raise ConfigError("URDF of the arm profile: no collision shape on any link between base and flange")
    return out


def gripper_shapes(kin: Kinematics, gripper: Gripper, width: float) -> list[Shape]:
    """Fingers, knuckles and palm at an opening of `width` m."""
    tcp = kin.model.frames[kin.tcp_id]
    centres, sizes = gripper.boxes(width)
    place = [tcp.placement.homogeneous @ se3.make(np.eye(3), c) for c in centres]
    return [Shape(n, int(tcp.parentJoint), T, "box", tuple(s)) for n, T, s in zip(GRIPPER, place, sizes, strict=True)]


def held_shape(kin: Kinematics, held: HeldObject) -> Shape:
    """What the gripper holds."""
    tcp = kin.model.frames[kin.tcp_id]
    T = tcp.placement.homogeneous @ se3.make(np.eye(3), held.centre)
    return Shape(HELD, int(tcp.parentJoint), T, "box", tuple(np.asarray(held.size, float)))


def camera_shapes(kin: Kinematics, arm: ArmProfile, cell: Cell) -> list[Shape]:
    """Bodies of the cell's cameras: boxes behind their optical frames, on the flange or standing in the base frame."""
    out = []
    for camera in cell.cameras:
        size = camera.camera_profile.body
        T = camera.T_parent_optical @ se3.make(np.eye(3), [0, 0, -size[2] / 2])
        if camera.parent == arm.base_frame:
            joint = 0
        elif kin.model.existFrame(camera.parent):
            frame = kin.model.frames[kin.model.getFrameId(camera.parent)]
            joint, T = int(frame.parentJoint), frame.placement.homogeneous @ T
        else:
            raise ConfigError(f"cell {cell.name}: camera parent '{camera.parent}' is not a link of the arm's chain")
        out.append(Shape(f"camera_{camera.namespace}", joint, T, "box", tuple(size)))
    return out


def cell_shapes(cell: Cell) -> list[Shape]:
    """Table, bin and tray in the base frame."""
    return [Shape(o.name, 0, se3.make(np.eye(3), o.centre), "box", tuple(o.size)) for o in cell.obstacle_boxes()]
