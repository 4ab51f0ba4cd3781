"""Collision checking: arm, gripper, cameras and held object against themselves, the cell's boxes and the scene cloud.

Shapes are primitives, the cloud is an octree; the narrow phase is Coal's, called through Pinocchio (one call per
configuration). Two modes differ in padding and in what the gripper is checked against:

- FREE: everything keeps `Padding.boxes` from known boxes and `Padding.cloud` from the octree.
- LINEAR (last straight descent, lift): gripper and held object keep `Padding.linear_boxes` from known boxes; the
  gripper is checked against single cloud points, not octree cells, and points in an `Exemption` do not count. The
  held object is not checked against the cloud. Arm links and cameras are checked as before, the octree unpadded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import coal
import numpy as np
import pinocchio as pin

from arm_control.planning import Exemption, HeldObject
from arm_control.planning.kinematics import Kinematics
from arm_control.planning.shapes import GRIPPER, HELD, Shape, gripper_shapes, held_shape
from grasp_core.gripper import Gripper

CLOUD = "scene"
DEEPEN = 0.001  # m: how much deeper than at the start a tolerated contact may become


class Mode(Enum):
    """Which rules a check follows."""

    FREE = 0
    LINEAR = 1


@dataclass(frozen=True)
class Padding:
    """Distances in m that are kept, and how the cloud is read."""

    boxes: float = 0.005
    cloud: float = 0.005
    self_collision: float = 0.0
    linear_boxes: float = 0.001
    linear_cloud: float = 0.0
    resolution: float = 0.01  # edge of an octree cell
    known_band: float = 0.01  # points this near to a known box belong to it
    noise_points: int = 2  # so many points inside the gripper on a straight move are noise


@dataclass(frozen=True)
class Tolerance:
    """Contacts of a start configuration that stay allowed: signed distance (m, negative inside) by pair of geometry
    names (`Checker.ids`), and the cloud points that are no obstacle."""

    pairs: dict[tuple[str, str], float]
    cloud_dropped: np.ndarray | None  # (N,) bool over the world's points


class World:
    """The scene and the robot's shapes; makes `Checker`s. `width` m is the gripper's opening in them."""

    def __init__(self, kin: Kinematics, gripper: Gripper, robot: list[Shape], boxes: list[Shape], padding: Padding):
        self.kin, self.gripper, self.padding = kin, gripper, padding
        self.robot, self.boxes = robot, boxes
        self.fixed = {CLOUD, *(box.link for box in boxes)}  # names of what does not move with the arm
        self.points = np.zeros((0, 3))
        self.held: HeldObject | None = None
        self.octree = None
        self.excluded = self._always_touching()
        self._cache: dict[Mode, Checker] = {}

    def set_cloud(self, points: np.ndarray | None) -> None:
        """Replace the cloud by `points` (N, 3) m, base frame; those on known boxes are dropped."""
        points = np.zeros((0, 3)) if points is None else np.ascontiguousarray(points, float)
        for box in self.boxes:
            if len(points):
                points = points[box.distance(points) > self.padding.known_band]
        self.points = points
        self.octree = self._make_octree(points)
        self._cache.clear()

    def set_held(self, held: HeldObject | None) -> None:
        """Replace what is held."""
        self.held = held
        self._cache.clear()

    def checker(self, mode: Mode, width: float) -> Checker:
        """The checker of a mode for the present scene at an opening."""
        if mode not in self._cache:
            self._cache[mode] = Checker(self, mode, self.held, None)
        found = self._cache[mode]
        found.set_width(width)
        return found

    def tolerant(self, mode: Mode, width: float, tolerance: Tolerance) -> Checker:
        """As `checker`, with the contacts of a start configuration allowed."""
        out = Checker(self, mode, self.held, tolerance)
        out.set_width(width)
        return out

    def carrying(self, held: HeldObject, width: float, tolerance: Tolerance | None = None) -> Checker:
        """A LINEAR checker with another held object than the scene's (for a lift that is yet to come)."""
        out = Checker(self, Mode.LINEAR, held, tolerance)
        out.set_width(width)
        return out

    def _make_octree(self, points: np.ndarray):
        return coal.makeOctree(points, self.padding.resolution) if len(points) else None

    def shapes(self, held: HeldObject | None, width: float) -> list[Shape]:
        """All bodies of the robot: arm and cameras, then fingers, palm and held object."""
        out = self.robot + gripper_shapes(self.kin, self.gripper, width)
        return out + ([held_shape(self.kin, held)] if held is not None else [])

    def _always_touching(self) -> set[tuple[str, str]]:
        """Pairs of geometry names that touch in (nearly) every sampled configuration, such as a foot on its table."""
        bare = replace(self.padding, boxes=0.0, self_collision=0.0)
        keep, self.padding, self.excluded = self.padding, bare, set()
        checker = Checker(self, Mode.FREE, None, None)
        rng = np.random.default_rng(0)
        counts = np.zeros(len(checker.pairs))
        for q in rng.uniform(self.kin.window_lower, self.kin.window_upper, (60, self.kin.dof)):
            counts += checker.hits(q)
        self.padding = keep
        return {checker.ids(i, j) for (i, j), n in zip(checker.pairs, counts, strict=True) if n >= 0.95 * 60}

    def place(self, q: np.ndarray) -> list[np.ndarray]:
        """Poses (4x4) of all joints, index 0 the base."""
        pin.forwardKinematics(self.kin.model, self.kin.data, q)
        return [m.homogeneous for m in self.kin.data.oMi]

    def cloud_distance(self, q: np.ndarray, shape: Shape) -> np.ndarray:
        """Signed distance (N,) m of the points of the cloud to a shape of the robot at `q`."""
        T = self.place(q)[shape.joint]
        return shape.distance((self.points - T[:3, 3]) @ T[:3, :3])


class Checker:
    """Collision checks of configurations under one mode, for one scene."""

    def __init__(self, world: World, mode: Mode, held: HeldObject | None, tolerance: Tolerance | None) -> None:
        self.world, self.mode, self.held = world, mode, held
        self.kin = world.kin
        dropped = None if tolerance is None else tolerance.cloud_dropped
        self.points = world.points if dropped is None else world.points[~dropped]
        octree = world.octree if dropped is None else world._make_octree(self.points)
        self.near = self.points  # what the gripper is checked against in LINEAR mode
        self._build(octree, {} if tolerance is None else tolerance.pairs)

    def _build(self, octree, tolerated: dict[tuple[str, str], float]) -> None:
        world, pad = self.world, self.world.padding
        self.shapes = world.shapes(self.held, world.gripper.max_width)
        obstacles = [(s.link, s.T, s.geometry()) for s in world.boxes]
        if octree is not None:
            obstacles.append((CLOUD, np.eye(4), octree))
        self.names = [s.link for s in self.shapes] + [name for name, _, _ in obstacles]
        self.model = pin.GeometryModel()
        self.keys = [f"{name}:{i}" for i, name in enumerate(s.link for s in self.shapes)]
        self.keys += [f"{name}:o{i}" for i, (name, _, _) in enumerate(obstacles)]
        bodies = [(s.joint, s.T, s.geometry()) for s in self.shapes] + [(0, T, g) for _, T, g in obstacles]
        for key, (joint, T, geometry) in zip(self.keys, bodies, strict=True):
            self.model.addGeometryObject(pin.GeometryObject(key, joint, pin.SE3(T), geometry))
        self.pairs: list[tuple[int, int]] = []
        margins = []
        for i, j in self._candidate_pairs(octree is not None):
            margin = self._margin(self.names[i], self.names[j], j >= len(self.shapes), pad)
            if self.ids(i, j) in tolerated:
                margin = min(margin, tolerated[self.ids(i, j)] - DEEPEN)
            self.pairs.append((i, j))
            margins.append(margin)
            self.model.addCollisionPair(pin.CollisionPair(i, j))
        self.data = pin.GeometryData(self.model)
        for request, margin in zip(self.data.collisionRequests, margins, strict=True):
            request.security_margin = margin
        self.manager = pin.BroadPhaseManager_DynamicAABBTreeCollisionManager(self.kin.model, self.model, self.data)
        self.fingers = {s.link: i for i, s in enumerate(self.shapes) if s.link in GRIPPER}

    def _candidate_pairs(self, with_cloud: bool) -> list[tuple[int, int]]:
        n = len(self.shapes)
        cloud = len(self.names) - 1 if with_cloud else None
        out = []
        for i in range(n - 1, -1, -1):  # the far end first: it hits most often
            a = self.shapes[i]
            others = [] if a.joint == 0 else list(range(n, len(self.names)))
            if self.mode is Mode.LINEAR and a.link in (*GRIPPER, HELD) and cloud is not None:
                others.remove(cloud)
            others += [j for j in range(i) if self._may_touch(a, self.shapes[j])]
            out += [(i, j) for j in others if self.ids(i, j) not in self.world.excluded]
        return out

    def ids(self, i: int, j: int) -> tuple[str, str]:
        """Names of two geometries, unique in the model and the same in every checker of a world."""
        return self.keys[i], self.keys[j]

    @staticmethod
    def _may_touch(a: Shape, b: Shape) -> bool:
        """Bodies of one link or of neighbouring links are never checked; nor is what is held against the hand."""
        near = 2 if HELD in (a.link, b.link) else 1
        return abs(a.joint - b.joint) > near or (b.joint == 0 and a.joint > 0 and b.link.startswith("camera"))

    def _margin(self, a: str, b: str, is_obstacle: bool, pad: Padding) -> float:
        if not is_obstacle:
            return pad.self_collision
        if b == CLOUD:
            return pad.cloud if self.mode is Mode.FREE else 0.0
        return pad.linear_boxes if self.mode is Mode.LINEAR and a in (*GRIPPER, HELD) else pad.boxes

    def set_width(self, width: float) -> None:
        """Move the fingers to an opening, m."""
        self.width = width
        for shape in gripper_shapes(self.kin, self.world.gripper, width):
            i = self.fingers[shape.link]
            self.model.geometryObjects[i].placement = pin.SE3(shape.T)
            self.shapes[i] = shape

    def focus(self, poses: np.ndarray, ignore: Exemption | None = None) -> None:
        """LINEAR mode: check the gripper only against points near its way and not in `ignore`.

        `poses` (K, 4, 4): the grasp frame along the way. Without a call all points count, which is slower.
        """
        lower, upper = self._gripper_bounds()
        corners = np.array(np.meshgrid(*zip(lower, upper, strict=True))).reshape(3, 8)
        swept = poses[:, :3, :3] @ corners + poses[:, :3, 3, None]
        keep = ((self.points > swept.min((0, 2)) - 0.01) & (self.points < swept.max((0, 2)) + 0.01)).all(1)
        near = self.points[keep]
        self.near = near if ignore is None else near[~ignore.contains(near)]

    def _gripper_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Corners (3,), (3,) of the box around fingers and palm in the grasp frame."""
        centres, sizes = self.world.gripper.boxes(self.width)
        pad = self.world.padding.linear_cloud
        return (centres - sizes / 2).min(0) - pad, (centres + sizes / 2).max(0) + pad

    def collides(self, q: np.ndarray) -> bool:
        """Whether anything touches (or comes nearer than the padding) at `q`."""
        if pin.computeCollisions(self.kin.model, self.kin.data, self.manager, q, True):
            return True
        return self.mode is Mode.LINEAR and bool(self._gripper_in_cloud())

    def _gripper_in_cloud(self) -> list[str]:
        """Bodies of the gripper with cloud points inside, at the configuration checked last."""
        if not len(self.near):
            return []
        T = self.kin.data.oMi[self.kin.dof] * self.kin.model.frames[self.kin.tcp_id].placement
        local = (self.near - T.translation) @ T.rotation
        lower, upper = self._gripper_bounds()
        inside = ((local > lower) & (local < upper)).all(1)
        if not inside.any():
            return []
        local = (self.kin.model.frames[self.kin.tcp_id].placement.homogeneous[:3, :3] @ local[inside].T).T
        local += self.kin.model.frames[self.kin.tcp_id].placement.translation
        pad = self.world.padding
        return [
            name
            for name, i in self.fingers.items()
            if np.count_nonzero(self.shapes[i].distance(local) < pad.linear_cloud) > pad.noise_points
        ]

    def hits(self, q: np.ndarray) -> np.ndarray:
        """(pairs,) bool: which pairs touch at `q`."""
        pin.computeCollisions(self.kin.model, self.kin.data, self.model, self.data, q, False)
        return np.array([r.isCollision() for r in self.data.collisionResults], bool)

    def contacts(self, q: np.ndarray) -> list[tuple[str, str]]:
        """Names of the pairs that touch at `q`, each once."""
        found = [(self.names[i], self.names[j]) for (i, j), hit in zip(self.pairs, self.hits(q), strict=True) if hit]
        if self.mode is Mode.LINEAR:
            found += [(name, CLOUD) for name in self._gripper_in_cloud()]
        return list(dict.fromkeys(found))

    def self_contacts(self, q: np.ndarray) -> list[tuple[str, str]]:
        """Names of the pairs of the robot's own bodies that touch at `q`, each once."""
        n = len(self.shapes)
        pin.updateGeometryPlacements(self.kin.model, self.kin.data, self.model, self.data, q)
        own = [k for k, (i, j) in enumerate(self.pairs) if max(i, j) < n]
        found = [self.pairs[k] for k in own if pin.computeCollision(self.model, self.data, k)]
        return list(dict.fromkeys((self.names[i], self.names[j]) for i, j in found))

    def distance(self, q: np.ndarray, pair: int) -> float:
        """Signed distance in m between the shapes of `pairs[pair]` at `q`, negative inside. Not for the cloud."""
        pin.updateGeometryPlacements(self.kin.model, self.kin.data, self.model, self.data, q)
        return float(pin.computeDistance(self.model, self.data, pair).min_distance)


def describe(pairs: list[tuple[str, str]]) -> str:
    """ "a - b, c - d" of at most four contacts."""
    text = ", ".join(f"{a} - {b}" for a, b in pairs[:4])
    return text + (f" and {len(pairs) - 4} more" if len(pairs) > 4 else "")
