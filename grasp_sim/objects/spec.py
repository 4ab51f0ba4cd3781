"""What an object is: convex parts with one mass, one friction and colours.

The object frame has its origin in the middle of the axis-aligned box around the parts, z up in the pose in which the
object usually stands. Lengths in m, masses in kg, quaternions **wxyz** (MuJoCo's order, in this package only).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import trimesh
from scipy.spatial import ConvexHull

from grasp_core.errors import InputError

IDENTITY_QUAT = (1.0, 0.0, 0.0, 0.0)
SIZE_COUNT = {
    "box": 3,
    "cylinder": 2,
    "capsule": 2,
    "sphere": 1,
    "ellipsoid": 3,
    "mesh": 0,
}


def rotation_from_wxyz(quat: tuple[float, ...] | np.ndarray) -> np.ndarray:
    """Rotation matrix (3, 3) of a unit quaternion in wxyz order."""
    w, x, y, z = (float(v) for v in quat)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


@dataclass(frozen=True, eq=False)
class Part:
    """One convex piece of an object, posed in the object frame.

    kind: box | cylinder | capsule | sphere | ellipsoid | mesh.
    size: MuJoCo's half sizes: box and ellipsoid (x, y, z), cylinder and capsule (radius, half length along z, without
        the caps), sphere (radius,), mesh ().
    vertices: (V, 3) float64, only for `mesh`: the part is their convex hull.
    rgba: colour of this part, or None for the object's.
    """

    kind: str
    size: tuple[float, ...] = ()
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quaternion: tuple[float, float, float, float] = IDENTITY_QUAT
    vertices: np.ndarray | None = None
    rgba: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in SIZE_COUNT:
            raise InputError(f"part kind '{self.kind}' is unknown: expected one of {', '.join(SIZE_COUNT)}")
        if len(self.size) != SIZE_COUNT[self.kind] or any(not s > 0 for s in self.size):
            raise InputError(f"{self.kind} part needs {SIZE_COUNT[self.kind]} positive half sizes, got {self.size}")
        if (self.kind == "mesh") != (self.vertices is not None):
            raise InputError("a part has vertices if and only if its kind is 'mesh'")
        if self.vertices is not None and (self.vertices.ndim != 2 or self.vertices.shape[1] != 3):
            raise InputError(f"mesh part needs vertices of shape (V, 3), got {self.vertices.shape}")

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3) rotation of the part in the object frame."""
        return rotation_from_wxyz(self.quaternion)

    @cached_property
    def hull(self) -> trimesh.Trimesh:
        """Closed convex surface of the part in the object frame."""
        surface = convex_surface(self.vertices) if self.kind == "mesh" else _primitive_surface(self.kind, self.size)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = self.rotation, self.position
        surface.apply_transform(pose)
        return surface

    @property
    def volume(self) -> float:
        """Exact volume, m3."""
        s = self.size
        if self.kind == "box":
            return 8 * s[0] * s[1] * s[2]
        if self.kind == "cylinder":
            return 2 * np.pi * s[0] ** 2 * s[1]
        if self.kind == "capsule":
            return 2 * np.pi * s[0] ** 2 * s[1] + 4 / 3 * np.pi * s[0] ** 3
        if self.kind == "sphere":
            return 4 / 3 * np.pi * s[0] ** 3
        if self.kind == "ellipsoid":
            return 4 / 3 * np.pi * s[0] * s[1] * s[2]
        return float(self.hull.volume)

    @property
    def centre(self) -> np.ndarray:
        """(3,) centre of mass of the part in the object frame."""
        if self.kind == "mesh":
            return np.asarray(self.hull.center_mass)
        return np.asarray(self.position, dtype=float)

    def moved(self, offset: np.ndarray) -> Part:
        """The same part shifted by offset (3,) in the object frame."""
        return replace(self, position=tuple(float(v) for v in np.asarray(self.position) + offset))

    def scaled(self, factor: float) -> Part:
        """The same part, larger by factor about the origin of the object frame."""
        return replace(
            self,
            size=tuple(factor * v for v in self.size),
            position=tuple(factor * v for v in self.position),
            vertices=None if self.vertices is None else factor * self.vertices,
        )


@dataclass(frozen=True, eq=False)
class ObjectSpec:
    """A rigid object built of convex parts.

    mass: kg, spread over the parts by volume. friction: sliding coefficient. rgba: 0..1.
    grasp_width: m, the smallest opening of parallel fingers that holds it in at least one way.
    metadata: the sampled dimensions, for reports.
    """

    name: str
    family: str
    parts: tuple[Part, ...]
    mass: float
    friction: float
    rgba: tuple[float, float, float, float]
    grasp_width: float
    metadata: dict[str, float | str] = field(default_factory=dict)

    @cached_property
    def part_masses(self) -> np.ndarray:
        """(P,) kg: the mass shared by the parts in proportion to their volumes."""
        volumes = np.array([part.volume for part in self.parts])
        return self.mass * volumes / volumes.sum()

    @cached_property
    def centre_of_mass(self) -> np.ndarray:
        """(3,) m in the object frame."""
        centres = np.array([part.centre for part in self.parts])
        return (self.part_masses[:, None] * centres).sum(0) / self.mass

    @cached_property
    def bounds(self) -> np.ndarray:
        """(2, 3) m: lower and upper corner of the axis-aligned box around the parts, in the object frame."""
        return bounds_of(self.parts)

    @property
    def extents(self) -> np.ndarray:
        """(3,) m: edge lengths of that box."""
        return self.bounds[1] - self.bounds[0]

    @property
    def radius(self) -> float:
        """m: no point of the object is farther than this from its origin."""
        return float(max(np.linalg.norm(part.hull.vertices, axis=1).max() for part in self.parts))

    def mesh(self) -> trimesh.Trimesh:
        """The closed surfaces of all parts as one mesh in the object frame (overlaps are not removed)."""
        return trimesh.util.concatenate([part.hull for part in self.parts])

    def renamed(self, name: str) -> ObjectSpec:
        """The same object under another name."""
        return replace(self, name=name)

    def scaled(self, factor: float) -> ObjectSpec:
        """The same object of the same material, larger by factor (> 0): the mass grows with its cube.

        ``metadata`` says so under ``scale``; the dimensions in it stay those before. InputError on another factor.
        """
        if not (np.isfinite(factor) and factor > 0.0):
            raise InputError(f"object '{self.name}' cannot be scaled by {factor}: expected a factor above zero")
        return replace(
            self,
            parts=tuple(part.scaled(factor) for part in self.parts),
            mass=self.mass * factor**3,
            grasp_width=self.grasp_width * factor,
            metadata={**self.metadata, "scale": float(self.metadata.get("scale", 1.0)) * factor},
        )

    def with_friction(self, friction: float) -> ObjectSpec:
        """The same object with another sliding coefficient."""
        return replace(self, friction=friction)


def bounds_of(parts: tuple[Part, ...] | list[Part]) -> np.ndarray:
    """(2, 3) axis-aligned bounds of convex parts."""
    corners = np.array([part.hull.bounds for part in parts])
    return np.stack([corners[:, 0].min(0), corners[:, 1].max(0)])


def convex_surface(vertices: np.ndarray) -> trimesh.Trimesh:
    """Convex hull of (V, 3) points as a closed mesh with outward faces; InputError when they are flat or too few."""
    points = np.asarray(vertices, dtype=float)
    if len(points) < 4 or not np.isfinite(points).all():
        raise InputError(f"a convex part needs at least 4 finite points, got {len(points)}")
    try:
        hull = ConvexHull(points)
    except Exception as error:
        raise InputError(f"the points of a convex part span no volume ({str(error).splitlines()[0]})") from error
    faces = hull.simplices.copy()
    corners = points[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inward = (normals * hull.equations[:, :3]).sum(1) < 0
    faces[inward] = faces[inward][:, ::-1]
    used, faces = np.unique(faces, return_inverse=True)
    return trimesh.Trimesh(points[used], faces.reshape(-1, 3), process=False)


def _primitive_surface(kind: str, size: tuple[float, ...]) -> trimesh.Trimesh:
    if kind == "box":
        return trimesh.creation.box(extents=2 * np.asarray(size))
    if kind == "cylinder":
        return trimesh.creation.cylinder(radius=size[0], height=2 * size[1], sections=32)
    if kind == "capsule":
        return trimesh.creation.capsule(radius=size[0], height=2 * size[1], count=[16, 16]).apply_translation([0, 0, 0])
    ball = trimesh.creation.icosphere(subdivisions=3)
    return ball.apply_scale(np.asarray(size if kind == "ellipsoid" else size * 3))
