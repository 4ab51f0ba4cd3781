"""The planning scene of the MoveIt double: how MoveIt 2 takes scene messages, and what touches in them.

The rules are those of moveit_core's planning_scene.cpp, collision_matrix.cpp and collision_detection_fcl (Humble to
Kilted): a matrix in a difference replaces the old one, detaching leaves the object in the world, an octomap without
data is ignored (Humble), attached bodies of one link and their touch links never collide. Things that MoveIt would
only log are put in `complaints`.
"""

from __future__ import annotations

from dataclasses import dataclass

import coal
import numpy as np
import pinocchio as pin
from moveit_msgs.msg import (
    AllowedCollisionEntry,
    AllowedCollisionMatrix,
    AttachedCollisionObject,
    CollisionObject,
    PlanningScene,
    PlanningSceneComponents,
)
from shape_msgs.msg import SolidPrimitive

from arm_control.planning.kinematics import Kinematics
from arm_control.planning.moveit.scene import links_by_joint
from arm_control.planning.shapes import arm_shapes
from grasp_core import se3
from grasp_ros.conversions import pose_to_matrix

OCTOMAP = "<octomap>"


@dataclass
class _Body:
    joint: int
    boxes: list[tuple[np.ndarray, np.ndarray]]  # pose in the joint's frame, size
    link: str = ""  # of attached ones
    touch: frozenset[str] = frozenset()


def decode_octree(data: bytes) -> np.ndarray:
    """Keys (N, 3) of the occupied cells of octomap's binary tree, centred at 0: its `readBinaryNode` in Python."""
    stream = memoryview(data)
    at = 0
    cells: list[tuple[int, int, int]] = []

    def read(depth: int, x: int, y: int, z: int) -> None:
        nonlocal at
        children = [(stream[at + i // 4] >> (2 * (i % 4))) & 3 for i in range(8)]
        at += 2
        half = 1 << (15 - depth)
        for i, kind in enumerate(children):
            corner = (x + half * (i & 1), y + half * (i >> 1 & 1), z + half * (i >> 2 & 1))
            if kind == 2:
                assert depth == 15, "only cells of the finest level are expected to be occupied"
                cells.append(corner)
            elif kind == 3:
                read(depth + 1, *corner)

    read(0, 0, 0, 0)
    assert at == len(data), "data left over"
    return np.array(cells, int).reshape(-1, 3) - 2**15


class DoubleScene:
    """World, attached objects, octomap and matrix of allowed collisions of one arm."""

    def __init__(self, urdf: str, kin: Kinematics, base_frame: str) -> None:
        self.kin, self.base = kin, base_frame
        self.joints = links_by_joint(urdf, kin)
        self.robot = arm_shapes(urdf, kin)
        self.world: dict[str, _Body] = {}
        self.attached: dict[str, _Body] = {}
        self.octomap: tuple[np.ndarray, float] | None = None
        self.applied: list[PlanningScene] = []
        self.complaints: list[str] = []
        links = list(self.joints)
        near = {(a, b) for a in links for b in links if abs(self.joints[a] - self.joints[b]) <= 1}
        self.acm = _Matrix(links, near)
        self._model: tuple | None = None

    def reset(self) -> None:
        """As after a restart of MoveIt."""
        self.world, self.attached, self.octomap, self._model = {}, {}, None, None
        self.acm = _Matrix(
            [n for n in self.acm.names if n in self.joints],
            {p for p in self.acm.pairs if self.joints.keys() >= set(p)},
        )

    def put(self, body_id: str, T: np.ndarray, size: np.ndarray) -> None:
        """Somebody else adds a box."""
        self.world[body_id] = _Body(0, [(T, size)])
        self._model = None

    # messages --------------------------------------------------------------------------------------------------------

    def apply(self, msg: PlanningScene) -> bool:
        """`PlanningScene::setPlanningSceneDiffMsg`."""
        self.applied.append(msg)
        self._model = None
        if not msg.is_diff or not msg.robot_state.is_diff:
            self.complaints.append("a scene that is no difference forgets everything else")
        for item in msg.robot_state.attached_collision_objects:
            self._attach(item)
        if msg.allowed_collision_matrix.entry_names:
            self._replace_matrix(msg.allowed_collision_matrix)
        taken = [self._put(item) for item in msg.world.collision_objects]
        octomap = msg.world.octomap
        if octomap.octomap.id and not len(octomap.octomap.data):
            self.complaints.append("an octomap without data: Humble keeps the old one")
        if len(octomap.octomap.data):
            self._take_octomap(octomap)
        return all(taken)

    def _take_octomap(self, msg) -> None:
        tree = msg.octomap
        if tree.id != "OcTree" or not tree.binary:
            self.complaints.append(f"octomap of type {tree.id}, binary {tree.binary}")
        if msg.header.frame_id != self.base:
            self.complaints.append(f"octomap in unknown frame '{msg.header.frame_id}'")
        keys = decode_octree(np.array(tree.data, np.int8).tobytes())
        points = (keys + 0.5) * tree.resolution
        self.octomap = (se3.transform(pose_to_matrix(msg.origin), points), tree.resolution)

    def _replace_matrix(self, msg: AllowedCollisionMatrix) -> None:
        n = len(msg.entry_names)
        if len(msg.entry_values) != n or any(len(row.enabled) != n for row in msg.entry_values):
            self.complaints.append("matrix of allowed collisions with wrong numbers of entries")
            return
        matrix = np.array([row.enabled for row in msg.entry_values], bool)
        if (matrix != matrix.T).any():
            self.complaints.append("matrix of allowed collisions is not symmetric")
        if lost := [name for name in self.acm.names if name in self.joints and name not in msg.entry_names]:
            self.complaints.append(f"matrix of allowed collisions has lost {lost}")
        names = list(msg.entry_names)
        lost = {p for p in self.acm.pairs if self.joints.keys() >= set(p)}
        self.acm = _Matrix(names, {(names[i], names[j]) for i, j in zip(*np.nonzero(matrix), strict=True)})
        if lost - self.acm.pairs:
            self.complaints.append(f"the SRDF's own allowed pairs were lost: {sorted(lost - self.acm.pairs)[:3]}")

    def _boxes(self, item: CollisionObject) -> list[tuple[np.ndarray, np.ndarray]]:
        T = pose_to_matrix(item.pose, item.id)
        out = []
        for solid, pose in zip(item.primitives, item.primitive_poses, strict=True):
            assert solid.type == SolidPrimitive.BOX
            out.append((T @ pose_to_matrix(pose, item.id), np.array(solid.dimensions)))
        return out

    def _frame(self, name: str) -> tuple[int, np.ndarray] | None:
        """Joint and pose in the joint's frame of a known frame."""
        if not self.kin.model.existFrame(name):
            return None
        frame = self.kin.model.frames[self.kin.model.getFrameId(name)]
        return int(frame.parentJoint), frame.placement.homogeneous

    def _attach(self, item: AttachedCollisionObject) -> None:
        body_id = item.object.id
        if item.object.operation == CollisionObject.REMOVE:
            body = self.attached.pop(body_id, None)
            if body is not None:
                self.world.setdefault(body_id, _Body(0, body.boxes))
            return
        at = self._frame(item.object.header.frame_id)
        if at is None or self._frame(item.link_name) is None:
            self.complaints.append(f"{body_id} attached to '{item.link_name}' in '{item.object.header.frame_id}'")
            return
        if unknown := {n for n in item.touch_links if n not in self.joints and not n.startswith("seegrasp_")}:
            self.complaints.append(f"touch links that do not exist: {unknown}")
        joint, T = at
        boxes = [(T @ pose, size) for pose, size in self._boxes(item.object)]
        if not boxes:
            self.complaints.append(f"no geometry to attach for {body_id}")
            return
        self.world.pop(body_id, None)
        self.attached[body_id] = _Body(joint, boxes, item.link_name, frozenset(item.touch_links))

    def _put(self, item: CollisionObject) -> bool:
        if item.id == OCTOMAP:
            return False
        if item.operation == CollisionObject.REMOVE:
            self.acm.pairs = {p for p in self.acm.pairs if item.id not in p}
            return self.world.pop(item.id, None) is not None
        at = self._frame(item.header.frame_id)
        if at is None or not item.primitives:
            self.complaints.append(f"object {item.id} in frame '{item.header.frame_id}' or without shapes")
            return False
        self.world[item.id] = _Body(0, [(at[1] @ T, size) for T, size in self._boxes(item)])
        return True

    def message(self, components: int) -> PlanningScene:
        """`PlanningScene::getPlanningSceneMsg`."""
        C, msg = PlanningSceneComponents, PlanningScene()
        if components & C.ROBOT_STATE_ATTACHED_OBJECTS:
            msg.robot_state.attached_collision_objects = [
                AttachedCollisionObject(link_name=b.link, object=CollisionObject(id=i))
                for i, b in self.attached.items()
            ]
        if components & C.WORLD_OBJECT_NAMES:
            msg.world.collision_objects = [CollisionObject(id=i) for i in self.world]
        if components & C.OCTOMAP and self.octomap is not None:
            tree = msg.world.octomap.octomap
            tree.id, tree.resolution, tree.data = "OcTree", self.octomap[1], [0] * 10  # in full, not in binary form
        if components & C.ALLOWED_COLLISION_MATRIX:
            msg.allowed_collision_matrix = self.acm.message()
        return msg

    # contacts --------------------------------------------------------------------------------------------------------

    def contacts(self, q: np.ndarray) -> list[tuple[str, str]]:
        """Pairs of ids that touch, each once."""
        if self._model is None:
            self._model = self._build()
        model, data, pairs = self._model
        pin.computeCollisions(self.kin.model, self.kin.data, model, data, q, False)
        hits = (pair for pair, r in zip(pairs, data.collisionResults, strict=True) if r.isCollision())
        return list(dict.fromkeys(hits))

    def _build(self) -> tuple:
        bodies = [(s.link, s.joint, s.T, s.geometry()) for s in self.robot]
        bodies += [
            (i, b.joint, T, coal.Box(*size))
            for group in (self.attached, self.world)
            for i, b in group.items()
            for T, size in b.boxes
        ]
        if self.octomap is not None and len(self.octomap[0]):
            bodies.append((OCTOMAP, 0, np.eye(4), coal.makeOctree(*self.octomap)))
        model, pairs = pin.GeometryModel(), []
        for k, (_, joint, T, geometry) in enumerate(bodies):
            model.addGeometryObject(pin.GeometryObject(str(k), joint, pin.SE3(T), geometry))
        for i in range(len(bodies)):
            for j in range(i + 1, len(bodies)):
                if self._checked(bodies[i], bodies[j]):
                    model.addCollisionPair(pin.CollisionPair(i, j))
                    pairs.append((bodies[i][0], bodies[j][0]))
        return model, pin.GeometryData(model), pairs

    def _checked(self, a: tuple, b: tuple) -> bool:
        """collisionCallback of collision_detection_fcl, for the group's links."""
        (name_a, joint_a, *_), (name_b, joint_b, *_) = a, b
        if name_a == name_b or (joint_a == 0 and joint_b == 0):
            return False
        body_a, body_b = self.attached.get(name_a), self.attached.get(name_b)
        if body_a and body_b and (body_a.link == body_b.link or name_b in body_a.touch or name_a in body_b.touch):
            return False
        touched = (body_a and name_b in body_a.touch) or (body_b and name_a in body_b.touch)
        return not touched and (name_a, name_b) not in self.acm.pairs


class _Matrix:
    """Names, and pairs (both ways) that are allowed to touch."""

    def __init__(self, names: list[str], pairs: set[tuple[str, str]]) -> None:
        self.names = list(names)
        self.pairs = pairs | {(b, a) for a, b in pairs}

    def message(self) -> AllowedCollisionMatrix:
        rows = [AllowedCollisionEntry(enabled=[(a, b) in self.pairs for b in self.names]) for a in self.names]
        return AllowedCollisionMatrix(entry_names=self.names, entry_values=rows)
