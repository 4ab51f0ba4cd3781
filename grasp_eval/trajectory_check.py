"""An independent dense check of trajectories: sampled surfaces and signed distances in numpy, no collision library.

Forward kinematics is read from the URDF anew. It shares with the planner only the profiles' data, so that an error
in the planner's model, padding, interpolation or exemptions shows.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
from scipy.spatial import cKDTree

from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.gripper import Gripper

SPACING = 0.01  # m between samples of a surface


def _origin(element: ET.Element | None) -> np.ndarray:
    if element is None:
        return np.eye(4)
    xyz, rpy = ([float(x) for x in element.get(k, "0 0 0").split()] for k in ("xyz", "rpy"))
    return se3.make(se3.rpy_matrix(*rpy), xyz)


def _grid(size: float) -> np.ndarray:
    return np.linspace(-size / 2, size / 2, max(2, int(np.ceil(size / SPACING)) + 1))


def box_surface(size: np.ndarray) -> np.ndarray:
    """Points (N, 3) on a box of full edges `size`, its edges included."""
    x, y, z = (_grid(s) for s in size)
    p = np.stack(np.meshgrid(x, y, z, indexing="ij"), -1).reshape(-1, 3)
    return p[(np.abs(np.abs(p) - np.asarray(size) / 2) < 1e-9).any(1)]


def cylinder_surface(radius: float, length: float) -> np.ndarray:
    """Points (N, 3) on a cylinder along z."""
    angles = np.linspace(0, 2 * np.pi, int(np.ceil(2 * np.pi * radius / SPACING)) + 1)[:-1]
    ring = np.stack([np.cos(angles), np.sin(angles)], 1)
    side = [np.column_stack([radius * ring, np.full(len(ring), z)]) for z in _grid(length)]
    radii = np.linspace(0, radius, int(np.ceil(radius / SPACING)) + 1)[:-1]
    caps = [np.column_stack([r * ring, np.full(len(ring), z)]) for z in (-length / 2, length / 2) for r in radii]
    return np.concatenate(side + caps)


class Body:
    """A box or cylinder in its link's frame."""

    def __init__(self, link: str, T: np.ndarray, size: tuple[float, ...]) -> None:
        self.link, self.T, self.size = link, T, np.asarray(size, float)
        local = box_surface(self.size) if len(size) == 3 else cylinder_surface(*size)
        self.surface = local @ T[:3, :3].T + T[:3, 3]
        self.radius = float(np.linalg.norm(local, axis=1).max())

    def depth(self, points: np.ndarray) -> float:
        """How deep (m) the deepest of `points` (N, 3), in the link's frame, lies inside; 0 if none does."""
        p = points - self.T[:3, 3]
        p = p[(p**2).sum(1) < self.radius**2] @ self.T[:3, :3]
        if not len(p):
            return 0.0
        if len(self.size) == 3:
            inside = (self.size / 2 - np.abs(p)).min(1)
        else:
            inside = np.minimum(self.size[0] - np.hypot(p[:, 0], p[:, 1]), self.size[1] / 2 - np.abs(p[:, 2]))
        return max(0.0, float(inside.max()))


class TrajectoryChecker:
    """Finds contacts of the arm, the gripper and the flange's cameras in configurations; see `contacts`."""

    def __init__(self, arm: ArmProfile, gripper: Gripper, cell: Cell) -> None:
        root = ET.fromstring(arm.urdf_path.read_text())
        self.gripper = gripper
        by_child = {j.find("child").get("link"): j for j in root.findall("joint")}
        self.chain, link = [], arm.flange_frame
        while link != arm.base_frame:
            self.chain.insert(0, by_child[link])
            link = by_child[link].find("parent").get("link")
        self.tool = arm.flange_frame
        self.order, self.bodies = [], []
        moving = 0
        for joint in self.chain:
            moving += joint.get("type") != "fixed"
            self.order.append((joint.find("child").get("link"), moving))
        self.rank = dict(self.order)
        for element in root.findall("link"):
            if element.get("name") in self.rank:
                self.bodies += [self._arm_body(element.get("name"), c) for c in element.findall("collision")]
        for camera in cell.cameras:
            if camera.parent == self.tool:
                size = camera.camera_profile.body
                T = camera.T_parent_optical @ se3.make(np.eye(3), [0, 0, -size[2] / 2])
                self.bodies.append(Body(self.tool, T, size))
        self.boxes = [Body(o.name, se3.make(np.eye(3), o.centre), tuple(o.size)) for o in cell.obstacle_boxes()]
        self.box_trees = [cKDTree(box.surface) for box in self.boxes]

    @staticmethod
    def _arm_body(link: str, element: ET.Element) -> Body:
        T = _origin(element.find("origin"))
        shape = element.find("geometry")[0]
        if shape.tag == "box":
            return Body(link, T, tuple(float(x) for x in shape.get("size").split()))
        return Body(link, T, (float(shape.get("radius")), float(shape.get("length"))))

    def poses(self, q: np.ndarray) -> dict[str, np.ndarray]:
        """Pose of each link (4x4) in the base frame."""
        T, out, i = np.eye(4), {}, 0
        for joint in self.chain:
            T = T @ _origin(joint.find("origin"))
            if joint.get("type") != "fixed":
                axis = np.array([float(x) for x in joint.find("axis").get("xyz").split()])
                T = T @ se3.make(se3.exp_so3(axis * q[i]), np.zeros(3))
                i += 1
            out[joint.find("child").get("link")] = T
        return out

    def fingers(self, width: float) -> list[Body]:
        """Fingers and palm at an opening, on the flange."""
        centres, sizes = self.gripper.boxes(width)
        T = self.gripper.T_flange_tcp
        return [Body(self.tool, T @ se3.make(np.eye(3), c), tuple(s)) for c, s in zip(centres, sizes, strict=True)]

    def contacts(
        self, q: np.ndarray, hand: list[Body], arm_cloud: cKDTree | None, hand_cloud: cKDTree | None
    ) -> dict[tuple[str, str], float]:
        """Depths in m by pair of names at one configuration `q` (dof,).

        `hand`: from `fingers`; `arm_cloud` is checked against arm and cameras, `hand_cloud` against the hand.
        """
        poses = self.poses(q)
        bodies = self.bodies + hand
        found: dict[tuple[str, str], float] = {}
        surfaces = [b.surface @ poses[b.link][:3, :3].T + poses[b.link][:3, 3] for b in bodies]
        for k, (body, surface) in enumerate(zip(bodies, surfaces, strict=True)):
            is_hand = k >= len(self.bodies)
            name, T = "gripper" if is_hand else body.link, poses[body.link]
            middle = T[:3, :3] @ body.T[:3, 3] + T[:3, 3]
            if self.rank[body.link] > 0:
                self._against_boxes(found, name, body, T, middle, surface)
            tree = hand_cloud if is_hand else arm_cloud
            if tree is not None:
                near = tree.data[tree.query_ball_point(middle, body.radius)]
                _note(found, name, "scene", body.depth((near - T[:3, 3]) @ T[:3, :3]))
            for other in self.bodies[: min(k, len(self.bodies))]:
                if self.rank[body.link] - self.rank[other.link] >= 2:
                    U = poses[other.link]
                    gap = middle - U[:3, :3] @ other.T[:3, 3] - U[:3, 3]
                    if gap @ gap < (body.radius + other.radius) ** 2:
                        _note(found, name, other.link, other.depth((surface - U[:3, 3]) @ U[:3, :3]))
        return found

    def _against_boxes(self, found: dict, name: str, body: Body, T: np.ndarray, middle: np.ndarray, surface) -> None:
        for k, box in enumerate(self.boxes):
            if (np.abs(middle - box.T[:3, 3]) < box.size / 2 + body.radius).all():
                _note(found, name, box.link, box.depth(surface))
                near = self.box_trees[k].data[self.box_trees[k].query_ball_point(middle, body.radius)]
                _note(found, name, box.link, body.depth((near - T[:3, 3]) @ T[:3, :3]))


def _note(found: dict, a: str, b: str, depth: float) -> None:
    if depth > 0:
        found[a, b] = max(depth, found.get((a, b), 0.0))
