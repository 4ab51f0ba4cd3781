"""Small made-up scenes."""

from __future__ import annotations

import numpy as np

from grasp_learning.object_labels import NO_GRASP
from grasp_learning.scenes.scene_files import CODES, SceneLabels, SceneSample, SceneView
from grasp_perception.dense.template import VIEWS


def made_up(seed: int = 0, points: int = 20, cloud: int = 50, views: int = 2) -> SceneSample:
    """Two objects, random throughout; no physics in it."""
    rng = np.random.default_rng(seed)
    rows = 5 * points
    row = np.full((points, VIEWS), -1, dtype=np.int32)
    row.ravel()[rng.choice(row.size, rows, replace=False)] = np.arange(rows)
    friction = rng.integers(0, 251, (rows, CODES)).astype(np.uint8)
    friction[rng.random(friction.shape) < 0.7] = NO_GRASP
    width = np.where(friction == NO_GRASP, 0, rng.integers(1, 160, friction.shape)).astype(np.uint8)
    normals = rng.normal(size=(points, 3))
    labels = SceneLabels(
        points=rng.uniform(-0.1, 0.1, (points, 3)).astype(np.float32),
        normals=(normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32),
        owner=rng.integers(0, 2, points).astype(np.int16),
        row=row,
        friction_code=friction,
        width_code=width,
        rotation=np.stack([np.eye(3), np.diag([-1.0, -1.0, 1.0])]).astype(np.float32),
        position=rng.normal(size=(2, 3)).astype(np.float32),
        centre_of_mass=rng.normal(size=(2, 3)).astype(np.float32),
        radius=np.array([0.05, 0.07], dtype=np.float32),
        names=["box-train-001", "ring-train-003"],
        support=0.005,
    )
    return SceneSample(labels, [_view(rng, cloud + i) for i in range(views)], "scene-000007", {"digest": "d1"})


def _view(rng: np.random.Generator, count: int) -> SceneView:
    owner = rng.integers(-1, 2, count).astype(np.int16)
    pose = np.eye(4)
    pose[:3, 3] = rng.normal(size=3)
    return SceneView(
        points=rng.uniform(-0.3, 0.3, (count, 3)).astype(np.float32),
        colors=rng.integers(0, 256, (count, 3)).astype(np.uint8),
        owner=owner,
        graspness=np.where(owner < 0, 0.0, rng.random(count)).astype(np.float32),
        T_base_cam=pose,
        noise="stereo",
    )
