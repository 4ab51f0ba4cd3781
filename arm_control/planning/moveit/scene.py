"""The planning scene that MoveIt is given, from the same model of robot, cell and cloud that `builtin` checks against.

Known boxes are collision objects in the base frame; fingers, knuckles, palm, cameras on the arm and the held object are
boxes attached to the links that carry them, so that a MoveIt configuration of the bare arm will do, and one with the
gripper as well; the cloud is an octomap. Distances are kept by making the attached boxes larger: MoveIt's own paddings
stay as they are configured.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace

import numpy as np

from arm_control.planning import HeldObject
from arm_control.planning.collision import CLOUD, Mode, World
from arm_control.planning.kinematics import Kinematics
from arm_control.planning.moveit.octree import Octree, octree
from arm_control.planning.shapes import HELD, Shape, gripper_shapes, held_shape
from grasp_core import se3

PREFIX = "seegrasp_"  # of our bodies in MoveIt's scene, so that they are nobody else's
OCTOMAP = "<octomap>"  # MoveIt's own name of it
LINEAR_RESOLUTION = 0.005  # m: cells next to which the fingers come down; on free motions those of `Padding`


@dataclass(frozen=True)
class Body:
    """A box of full edges `size` (3,) m, its centre at `T` (4, 4) in the frame of `link`.

    `touch`: links, and ids of bodies, that may touch it.
    """

    name: str
    link: str
    T: np.ndarray
    size: np.ndarray
    touch: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its name in MoveIt's scene."""
        return PREFIX + self.name

    def same(self, other: Body | None) -> bool:
        """Whether nothing of it differs."""
        return (
            other is not None
            and np.allclose(self.T, other.T)
            and np.allclose(self.size, other.size)
            and self.touch == other.touch
        )


@dataclass(frozen=True)
class Scene:
    """All that MoveIt is to know: bodies by id, cloud, and pairs of ids that may touch beyond what its SRDF allows."""

    fixed: dict[str, Body]
    attached: dict[str, Body]
    octree: Octree
    allowed: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class SceneChange:
    """What to add or replace (`fixed`, `attached`), what to take off (`detached`); None: stays as it is."""

    fixed: tuple[Body, ...]
    attached: tuple[Body, ...]
    detached: tuple[str, ...]
    octree: Octree | None
    allowed: frozenset[tuple[str, str]] | None

    def __bool__(self) -> bool:
        return bool(self.fixed or self.attached or self.detached) or (self.octree, self.allowed) != (None, None)


@dataclass(frozen=True)
class Seen:
    """Ids of our bodies in MoveIt's scene, and the edge of its octomap's cells (m) or None."""

    fixed: frozenset[str]
    attached: frozenset[str]
    resolution: float | None


def difference(old: Scene | None, new: Scene, stale: frozenset[str] = frozenset()) -> SceneChange:
    """From `old` (None: what is there is not known, but that there are `stale` bodies of ours) to `new`."""
    before = {} if old is None else old.attached
    return SceneChange(
        tuple(new.fixed.values()) if old is None else (),
        tuple(b for n, b in new.attached.items() if not b.same(before.get(n))),
        tuple(sorted((before.keys() | stale) - new.attached.keys() - new.fixed.keys())),
        new.octree if old is None or new.octree != old.octree else None,
        new.allowed if old is None or new.allowed != old.allowed else None,
    )


def links_by_joint(urdf: str, kin: Kinematics) -> dict[str, int]:
    """For every link of a URDF the number of the arm's joint that moves it; 0: none."""
    root = ET.fromstring(urdf)
    parent = {j.find("child").get("link"): j.find("parent").get("link") for j in root.findall("joint")}
    out = {}
    for link in (element.get("name") for element in root.findall("link")):
        carrier = link
        while carrier in parent and not kin.model.existFrame(carrier):
            carrier = parent[carrier]
        known = kin.model.existFrame(carrier)
        out[link] = int(kin.model.frames[kin.model.getFrameId(carrier)].parentJoint) if known else 0
    return out


class SceneModel:
    """Makes scenes out of a `World`."""

    def __init__(self, world: World, urdf: str, base_frame: str) -> None:
        self._world, self._kin = world, world.kin
        self._joints = links_by_joint(urdf, world.kin)
        frames = [f for f in world.kin.model.frames if f.name in self._joints]
        self._carriers = {int(f.parentJoint): f for f in reversed(frames)}  # the first link of each joint
        self._carriers[world.kin.dof] = world.kin.model.frames[world.kin.flange_id]
        self._cameras = [s for s in world.robot if s.link.startswith("camera_")]
        fixed = [Body(b.link, base_frame, b.T, np.asarray(b.size)) for b in world.boxes]
        self._fixed = {body.id: body for body in fixed}
        self._always = self._always_allowed()

    def scene(self, mode: Mode, width: float, held: HeldObject | None, keep: np.ndarray | None = None) -> Scene:
        """The scene for motions of a mode; `keep` (N,) bool: which points of the cloud count."""
        pad = self._world.padding.boxes if mode is Mode.FREE else self._world.padding.linear_boxes
        carried = self._carried(held, width)
        attached = [self._attached(shape, carried, pad) for shape in carried]
        allowed = self._always
        if mode is Mode.LINEAR and held is not None:
            allowed = allowed | {_pair(PREFIX + HELD, OCTOMAP)}
        return Scene(self._fixed, {b.id: b for b in attached}, self._octree(mode, keep), allowed)

    def _carried(self, held: HeldObject | None, width: float) -> list[Shape]:
        """What the arm carries and MoveIt's own model need not have."""
        gripper = gripper_shapes(self._kin, self._world.gripper, width)
        return [*self._cameras, *gripper, *([] if held is None else [held_shape(self._kin, held)])]

    def _octree(self, mode: Mode, keep: np.ndarray | None) -> Octree:
        points = self._world.points if keep is None else self._world.points[keep]
        return octree(points, self._world.padding.resolution if mode is Mode.FREE else LINEAR_RESOLUTION)

    def _attached(self, shape: Shape, carried: list[Shape], pad: float) -> Body:
        """May be touched by what `Checker` does not check it against: bodies of its own link and of its neighbours."""
        near = [(link, joint, 2 if shape.link == HELD else 1) for link, joint in self._joints.items()]
        near += [
            (PREFIX + s.link, s.joint, 2 if HELD in (s.link, shape.link) else 1) for s in carried if s is not shape
        ]
        touch = tuple(sorted(name for name, joint, reach in near if abs(joint - shape.joint) <= reach))
        frame = self._carriers[shape.joint]
        T = se3.inverse(frame.placement.homogeneous) @ shape.T
        return Body(shape.link, frame.name, T, np.asarray(shape.size) + 2 * pad, touch)

    def _always_allowed(self) -> frozenset[tuple[str, str]]:
        """What does not move may touch what does not move; and what touches wherever the arm is, such as its foot."""
        still = [link for link, joint in self._joints.items() if joint == 0]
        pairs = {_pair(link, body) for link in still for body in (*self._fixed, OCTOMAP)}
        for keys in self._world.excluded:
            a, b = (key.rsplit(":", 1)[0] for key in keys)  # the second is the obstacle, if there is one
            if b in self._world.fixed:
                pairs.add(_pair(a if a in self._joints else PREFIX + a, PREFIX + b))
        return frozenset(pairs)


def tolerated(scene: Scene, contacts: list[tuple[str, str]]) -> Scene:
    """The scene with contacts (by our names, those with the cloud left out) allowed."""
    bodies = scene.fixed.keys() | scene.attached.keys()
    ids = ((PREFIX + n if PREFIX + n in bodies else n for n in pair) for pair in contacts if CLOUD not in pair)
    return replace(scene, allowed=scene.allowed | {_pair(*pair) for pair in ids})


def our_name(body_id: str) -> str:
    """What messages call a body of MoveIt's scene."""
    return CLOUD if body_id == OCTOMAP else body_id.removeprefix(PREFIX)


def _pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a < b else (b, a)
