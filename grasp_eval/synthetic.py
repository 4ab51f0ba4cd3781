"""Small scenes of boxes, spheres and cylinders, seen by a depth camera: exact input for benchmarks and tests."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grasp_core import se3
from grasp_core.camera import Camera
from grasp_core.cloud import Cloud
from grasp_core.observation import Observation


@dataclass(frozen=True)
class Primitive:
    """A solid: ``kind`` is box (size = full edges), sphere or cylinder (size = radius, radius, height; axis z).

    Attributes:
        kind: box, sphere or cylinder.
        size: (3,) m; a sphere uses the first entry as its radius.
        T_base_solid: 4x4 pose of its centre.
    """

    kind: str
    size: tuple[float, float, float]
    T_base_solid: NDArray[np.float64]

    def hit(self, origin: NDArray[np.float64], rays: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance along each ray (N, 3) from ``origin`` (3,) to the surface, inf where it misses."""
        R = self.T_base_solid[:3, :3]
        o, d = (origin - self.T_base_solid[:3, 3]) @ R, rays @ R
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.kind == "sphere":
                return _quadratic((d * d).sum(1), 2 * d @ o, o @ o - self.size[0] ** 2)[0]
            near, far = _slab(o, d, np.asarray(self.size) / 2.0, slice(0, 3) if self.kind == "box" else slice(2, 3))
            if self.kind == "cylinder":
                flat = d[:, :2]
                enter, leave = _quadratic((flat * flat).sum(1), 2 * flat @ o[:2], o[:2] @ o[:2] - self.size[0] ** 2)
                near, far = np.maximum(near, enter), np.minimum(far, leave)
        return np.where((near <= far) & (near > 0), near, np.inf)


def _slab(o: NDArray, d: NDArray, half: NDArray, axes: slice) -> tuple[NDArray, NDArray]:
    a, b = (-half - o)[axes] / d[:, axes], (half - o)[axes] / d[:, axes]
    return np.minimum(a, b).max(axis=1), np.maximum(a, b).min(axis=1)


def _quadratic(a: NDArray, b: NDArray, c: float) -> tuple[NDArray, NDArray]:
    root = np.sqrt(b * b - 4 * a * c)  # NaN: the ray misses
    near, far = (-b - root) / (2 * a), (-b + root) / (2 * a)
    return np.where(np.isfinite(root), near, np.inf), np.where(np.isfinite(root), far, -np.inf)


@dataclass
class Scene:
    """Primitives on a horizontal support."""

    support: float = 0.0
    solids: list[Primitive] = field(default_factory=list)

    def add(self, kind: str, size: ArrayLike, position: ArrayLike, rpy: ArrayLike = (0.0, 0.0, 0.0)) -> "Scene":
        """Add a solid with its centre at ``position`` (m) and return the scene."""
        T = se3.make(se3.rpy_matrix(*rpy), np.asarray(position, dtype=np.float64))
        self.solids.append(Primitive(kind, tuple(float(s) for s in size), T))
        return self

    def add_bin(self, center: ArrayLike, inner: ArrayLike, height: float, thickness: float = 0.008) -> "Scene":
        """Four walls standing on the support."""
        (cx, cy), (sx, sy) = center, inner
        z = self.support + height / 2
        for sign in (1, -1):
            offset = sign * (sx + thickness) / 2
            self.add("box", (thickness, sy + 2 * thickness, height), (cx + offset, cy, z))
            offset = sign * (sy + thickness) / 2
            self.add("box", (sx, thickness, height), (cx, cy + offset, z))
        return self

    def depth(self, camera: Camera, T_base_cam: NDArray[np.float64]) -> NDArray[np.float32]:
        """Depth image in m, 0 where nothing is seen."""
        rays = camera.rays().reshape(-1, 3).astype(np.float64) @ T_base_cam[:3, :3].T
        origin = T_base_cam[:3, 3]
        with np.errstate(divide="ignore"):
            nearest = np.where(rays[:, 2] < 0, (self.support - origin[2]) / rays[:, 2], np.inf)
        for solid in self.solids:
            nearest = np.minimum(nearest, solid.hit(origin, rays))
        nearest = np.where(np.isfinite(nearest) & (nearest < camera.far), nearest, 0.0)
        return nearest.reshape(camera.height, camera.width).astype(np.float32)

    def observe(
        self, camera: Camera, T_base_cam: NDArray[np.float64], voxel: float = 0.005, noise: float = 0.0, seed: int = 0
    ) -> Observation:
        """What the camera sees, with Gaussian depth noise of ``noise`` m; the cloud is voxelised, in the base frame."""
        depth = self.depth(camera, T_base_cam)
        if noise:
            shake = np.random.default_rng(seed).normal(0.0, noise, depth.shape).astype(np.float32)
            depth = np.where(depth > 0, depth + shake, 0.0).astype(np.float32)
        seen = camera.deproject(depth)[depth > 0].astype(np.float64)
        points = se3.transform(T_base_cam, seen).astype(np.float32)
        cloud = Cloud(points, None, "base_link", 0).voxel_downsample(voxel)
        return Observation(cloud=cloud, depth=depth, camera=camera, T_base_cam=T_base_cam)


def wrist_camera() -> Camera:
    """A 640x480 camera with a D435's field of view."""
    return Camera(np.array([[612.0, 0, 319.5], [0, 612.0, 239.5], [0, 0, 1]]), 640, 480)


def clutter(seed: int = 0, count: int = 16) -> Scene:
    """A bin of 0.5 x 0.4 m with ``count`` mixed solids at random places, some leaning on nothing, none in the walls."""
    rng = np.random.default_rng(seed)
    scene = Scene(support=0.006).add_bin((0.5, 0.0), (0.5, 0.4), 0.10)
    for i in range(count):
        x, y = 0.5 + rng.uniform(-0.20, 0.20), rng.uniform(-0.15, 0.15)
        yaw = rng.uniform(-np.pi, np.pi)
        if i % 3 == 0:
            size = rng.uniform(0.025, 0.07, 3)
            scene.add("box", size, (x, y, scene.support + size[2] / 2), (0, 0, yaw))
        elif i % 3 == 1:
            radius, length = rng.uniform(0.015, 0.03), rng.uniform(0.06, 0.12)
            scene.add("cylinder", (radius, radius, length), (x, y, scene.support + radius), (np.pi / 2, 0, yaw))
        else:
            radius = rng.uniform(0.02, 0.035)
            scene.add("sphere", (radius,) * 3, (x, y, scene.support + radius))
    return scene


def tabletop(columns: int = 7, rows: int = 5) -> Scene:
    """A table with boxes and standing cylinders in rows, 80 mm apart, x from 0.26 m on."""
    scene = Scene()
    for i in range(columns):
        for j in range(rows):
            place = (0.26 + 0.08 * i, -0.17 + 0.085 * j)
            if (i + j) % 2:
                scene.add("box", (0.025, 0.045, 0.05), (*place, 0.025), (0, 0, 0.7 * i))
            else:
                scene.add("cylinder", (0.016, 0.016, 0.06), (*place, 0.03))
    return scene
