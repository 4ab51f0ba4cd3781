"""Looking at a benchmark scene: where the camera stands, what the detector gets, and what was really to be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from grasp_core import se3
from grasp_core.camera import CameraProfile
from grasp_core.cell import Cell
from grasp_core.cloud import Cloud
from grasp_core.errors import InputError
from grasp_core.observation import Observation
from grasp_eval.bench.protocol import Protocol
from grasp_perception.ingest import Ingest
from grasp_sim.hand_world import HandWorld
from grasp_sim.noise import DepthNoise
from grasp_sim.scene_renderer import SceneRenderer, View

VOXEL = 0.005  # m, of the detector's cloud: as in the camera node
TRUTH_VOXEL = 0.003  # m, of the true visible points
MAX_POINTS = 20_000


@dataclass(frozen=True, eq=False)
class Look:
    """One look: what the detector is given, and the truth that it is not.

    Attributes:
        observation: cloud, and for one view also depth, colour and camera; for several T_base_cam of the first alone.
        points: (P, 3) float32, m in base: visible points of the objects without noise, one for each voxel of 3 mm.
        labels: (P,) int32, index into ``names``. names: of the objects in the scene.
    """

    observation: Observation
    points: NDArray[np.float32]
    labels: NDArray[np.int32]
    names: list[str]


def sample_views(protocol: Protocol, rng: np.random.Generator) -> NDArray[np.float64]:
    """(V, 4, 4) poses of the optical frame in base, on the sphere that the protocol names.

    Uniform in radius, in angle from straight down and in azimuth, as the published protocols draw them; several views
    share the first two and go round in equal steps. The picture's upper edge points away from the middle.
    """
    views, edge = protocol.views, protocol.workspace
    radius = rng.uniform(*views.radius) * edge
    polar = np.radians(rng.uniform(*views.polar))
    first = np.radians(rng.uniform(*views.azimuth))
    azimuths = first + 2 * np.pi * np.arange(views.count) / views.count
    return np.stack([look_at(radius, polar, azimuth, views.height * edge) for azimuth in azimuths])


def look_at(radius: float, polar: float, azimuth: float, height: float = 0.0) -> NDArray[np.float64]:
    """(4, 4) pose of an optical frame that looks at (0, 0, height) from radius (m), polar and azimuth (rad)."""
    outwards = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    towards = np.sin(polar) * outwards + np.cos(polar) * up
    down = np.cos(polar) * outwards - np.sin(polar) * up  # the image's y; x completes it
    R = np.stack([np.cross(down, -towards), down, -towards], axis=1)
    return se3.make(R, radius * towards + [0.0, 0.0, height])


class Looker:
    """Takes looks at one world; close it in the thread that made it."""

    def __init__(
        self, world: HandWorld, cell: Cell, protocol: Protocol, camera: CameraProfile, noise: DepthNoise
    ) -> None:
        """noise: what becomes of rendered depth. ConfigError when no OpenGL context can be made."""
        self.world, self.protocol, self.noise = world, protocol, noise
        self.camera = camera.camera(camera.optical_frame)
        self.renderer = SceneRenderer(world.model, max_size=(camera.width, camera.height))
        self._ingest = Ingest(cell.workspace_box(), cell.base_frame, VOXEL)

    def look(self, T_base_cams: NDArray[np.float64], rng: np.random.Generator) -> Look:
        """Look from each pose of T_base_cams (V, 4, 4); rng is the only source of chance in the noise.

        InputError when a depth image has next to no usable pixel.
        """
        if len(T_base_cams) == 0:
            raise InputError("a look needs at least one pose of the camera, got none")
        qpos = np.array(self.world.data.qpos)
        views = [self.renderer.render(qpos, T, self.camera, segmentation=True) for T in T_base_cams]
        scale = np.float32(self.camera.depth_scale)
        depths = [self.noise(view.depth, rng, view.color) * scale for view in views]
        clouds = [
            self._ingest(depth, view.color, self.camera, T)[0]
            for depth, view, T in zip(depths, views, T_base_cams, strict=True)
        ]
        if len(views) == 1:
            observation = Observation(clouds[0], depths[0], views[0].color, self.camera, T_base_cams[0])
        else:
            observation = Observation(merged(clouds), T_base_cam=T_base_cams[0])
        names = list(self.world.objects)
        points, labels = self._truth(views, T_base_cams, names)
        return Look(observation, points, labels, names)

    def close(self) -> None:
        """Free the OpenGL context."""
        self.renderer.close()

    def __enter__(self) -> Looker:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _truth(
        self, views: Sequence[View], T_base_cams: NDArray[np.float64], names: list[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Visible points of the objects and their labels."""
        label_of = np.full(self.world.model.nbody + 1, -1, np.int32)  # the last one is for background, -1
        label_of[[self.world.bodies[name] for name in names]] = np.arange(len(names))
        found, marks = [], []
        for view, T in zip(views, T_base_cams, strict=True):
            assert view.bodies is not None
            label = label_of[view.bodies]
            seen = (label >= 0) & (view.depth > 0.0)
            found.append(se3.transform(T.astype(np.float32), self.camera.rays()[seen] * view.depth[seen][:, None]))
            marks.append(label[seen])
        points, labels = np.concatenate(found).astype(np.float32), np.concatenate(marks)
        keep = thinned(points, TRUTH_VOXEL, MAX_POINTS)
        return points[keep], labels[keep]


def merged(clouds: Sequence[Cloud]) -> Cloud:
    """One cloud of several in the same frame, voxelised again; colours only when all have them."""
    colored = all(cloud.colors is not None for cloud in clouds)
    colors = np.concatenate([cloud.colors for cloud in clouds]) if colored else None
    whole = replace(clouds[0], points=np.concatenate([cloud.points for cloud in clouds]), colors=colors)
    return whole.voxel_downsample(VOXEL)


def thinned(points: NDArray[np.float32], voxel: float, most: int) -> NDArray[np.int64]:
    """Rows of ``points`` (N, 3): the first in every occupied voxel, and of these at most ``most``, evenly spread."""
    if not len(points):
        return np.empty(0, np.int64)
    cells = np.floor((points - points.min(axis=0)) / np.float32(voxel)).astype(np.int64)
    extent = cells.max(axis=0) + 1
    keys = (cells[:, 0] * extent[1] + cells[:, 1]) * extent[2] + cells[:, 2]
    rows = np.sort(np.unique(keys, return_index=True)[1])
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
    return rows
