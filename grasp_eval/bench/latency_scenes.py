"""What `seegrasp bench latency` detects grasps in: synthetic tables and a bin, or real captures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grasp_core import se3
from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.errors import InputError
from grasp_core.observation import Observation
from grasp_eval.detect import observe_images
from grasp_eval.synthetic import Scene, clutter, tabletop, wrist_camera

REFERENCE_POINTS = 20_000
NOISE = 0.001  # m, of every depth value
VOXELS = (0.005, 0.004, 0.003, 0.0025, 0.002, 0.0015, 0.001)  # m, the coarsest that gives enough points is taken
LAYOUTS = ((1, 1), (1, 5), (2, 5), (4, 5), (7, 5))  # columns and rows of solids on the table
TABLE_EYE, TABLE_REGION = [0.5, -0.05, 0.8], Box([0.2, -0.25, 0.003], [0.82, 0.25, 0.3])
BIN_EYE, BIN_REGION = [0.5, -0.05, 0.7], Box([0.26, -0.19, 0.01], [0.74, 0.19, 0.25])
BIN_SOLIDS = 30
LOOKS_AT = [0.5, 0.0, 0.0]


@dataclass(frozen=True)
class Case:
    """One cloud to detect in. `series`: which table it belongs to (points, objects, other); `objects` -1: unknown."""

    name: str
    series: str
    objects: int
    points: NDArray[np.float32]  # (N, 3) m in the base frame
    T_base_cam: NDArray[np.float64]  # 4x4
    region: Box

    def save(self, path: Path) -> None:
        """Write what `latency_probe` reads (npz)."""
        np.savez(path, points=self.points, T_base_cam=self.T_base_cam, low=self.region.min, high=self.region.max)


def cases(points: Sequence[int], data: Path | None = None) -> Iterator[Case]:
    """The full table at every number of points, tables with fewer solids, a bin, and the captures in data/real.

    Raises InputError when a scene cannot have so many points, or there is no capture in `data`.
    """
    for count in points:
        yield _table(LAYOUTS[-1], count, "points")
    for layout in LAYOUTS:
        yield _table(layout, REFERENCE_POINTS, "objects")
    scene = clutter(1, BIN_SOLIDS)
    name = f"bin, {BIN_SOLIDS} solids"
    yield _case(name, "other", scene, BIN_SOLIDS, BIN_EYE, BIN_REGION, REFERENCE_POINTS)
    if data is not None:
        yield from _captures(data)


def _table(layout: tuple[int, int], count: int, series: str) -> Case:
    solids = layout[0] * layout[1]
    name = f"table, {solids} solid{'s' if solids > 1 else ''}"
    return _case(name, series, tabletop(*layout), solids, TABLE_EYE, TABLE_REGION, count)


def _case(name: str, series: str, scene: Scene, solids: int, eye: list[float], region: Box, count: int) -> Case:
    T_base_cam = se3.look_at(eye, LOOKS_AT)
    points = seen_points(scene, T_base_cam, count)
    return Case(name, series, solids, points, T_base_cam, region)


def seen_points(scene: Scene, T_base_cam: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    """`count` points (count, 3) of a scene as a wrist camera sees it, with noise, in the coarsest voxels that suffice.

    Thinned at random, always the same way. Raises InputError when even 1 mm voxels give fewer points.
    """
    seen = scene.observe(wrist_camera(), T_base_cam, noise=NOISE)
    raw = seen.camera.deproject(seen.depth)[seen.depth > 0].astype(np.float64)
    cloud = Cloud(se3.transform(T_base_cam, raw).astype(np.float32))
    for voxel in VOXELS:
        points = cloud.voxel_downsample(voxel).points
        if len(points) >= count:
            rows = np.random.default_rng(0).permutation(len(points))[:count]
            return points[np.sort(rows)]
    raise InputError(f"--points {count}: the camera sees {len(points)} points of this scene at the most")


def _captures(data: Path) -> Iterator[Case]:
    folders = sorted(f for f in (data / "real").glob("*") if f.is_dir() and "_empty" not in f.name)
    if not folders:
        raise InputError(f"--data {data}: no capture real/<name>/ with color.png, depth.png, camera.json in it")
    for folder in folders:
        found = observe_images(folder / "color.png", folder / "depth.png", folder / "camera.json", None)
        observation: Observation = found.observation
        yield Case(folder.name, "other", -1, observation.cloud.points, observation.T_base_cam, found.region)
