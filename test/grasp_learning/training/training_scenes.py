"""Small scenes with labels that follow a rule: boxes on a table, grasped from above across their short side."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from grasp_learning.object_labels import FRICTION_STEP, NO_GRASP, WIDTH_STEP
from grasp_learning.scenes.scene_files import CODES, SceneLabels, SceneSample, SceneView, save_scene, scene_name
from grasp_learning.scenes.scene_files import scene_path as scene_path
from grasp_learning.training.recipe import Recipe
from grasp_perception.dense.config import DenseConfig
from grasp_perception.dense.template import ANGLES, DEPTHS, VIEWS, rotations, views

SIZE = np.array([0.03, 0.07, 0.05])  # of the boxes, m
SMALL = DenseConfig(
    widths=(8, 12, 16),
    encoder_blocks=(1, 1),
    decoder_blocks=(1, 1),
    point_channels=24,
    seed_channels=32,
    group_channels=16,
    seeds=40,
    samples=8,
)
RECIPE = Recipe(network=SMALL, steps=6, batch=2, seeds=32)
_STEP = 0.005


def sample(seed: int = 0, boxes: int = 2) -> SceneSample:
    """Boxes turned at random about the vertical; four views of the same points, each with noise of its own."""
    rng = np.random.default_rng(seed)
    turns = rng.uniform(0, 2 * np.pi, boxes)
    R = np.stack([[[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]] for a in turns])
    at = np.stack([[0.12 * i - 0.06, rng.uniform(-0.03, 0.03), SIZE[2] / 2] for i in range(boxes)])
    surface = _surface()
    things = np.concatenate([surface @ R[i].T + at[i] for i in range(boxes)])
    owner = np.repeat(np.arange(boxes), len(surface)).astype(np.int16)
    floor = _floor(things)
    cloud = np.concatenate([things, floor])
    owners = np.concatenate([owner, np.full(len(floor), -1, np.int16)])
    graspness = np.where(owners < 0, 0.0, np.append(np.tile(_good(surface), boxes), np.zeros(len(floor)))) * 0.5
    pose = np.eye(4)
    pose[:3, 3] = [0.0, -0.1, 0.6]
    looks = []
    for _ in range(4):
        points = (cloud + rng.normal(0, 0.0005, cloud.shape)).astype(np.float32)
        colors = np.full((len(points), 3), 128, np.uint8)
        looks.append(SceneView(points, colors, owners, graspness.astype(np.float32), pose, "none"))
    return SceneSample(_labels(surface, R, at), looks, scene_name(seed), {"digest": "d"})


def write_scenes(folder: Path, count: int) -> list[str]:
    """So many files; their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [scene_name(i) for i in range(count)]
    for i, name in enumerate(names):
        save_scene(scene_path(folder, name), sample(i))
    return names


def _surface() -> np.ndarray:
    grids = np.meshgrid(*(np.arange(-h, h + _STEP / 2, _STEP) for h in SIZE / 2), indexing="ij")
    block = np.stack([g.ravel() for g in grids], axis=1)
    return block[(np.abs(np.abs(block) - SIZE / 2) < _STEP / 4).any(axis=1) & (block[:, 2] > -SIZE[2] / 2 + 1e-6)]


def _floor(things: np.ndarray) -> np.ndarray:
    x, y = np.meshgrid(np.arange(-0.2, 0.2, _STEP), np.arange(-0.15, 0.15, _STEP))
    floor = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    near = np.abs(floor[:, None, :2] - things[None, ::3, :2]).max(2).min(1)
    return floor[near > 0.006]


def _good(points: np.ndarray) -> np.ndarray:
    """What lies on top, near the middle of the long side."""
    return (points[:, 2] > SIZE[2] / 2 - 1e-6) & (np.abs(points[:, 1]) < 0.02)


def _labels(surface: np.ndarray, R: np.ndarray, at: np.ndarray) -> SceneLabels:
    """Approaches within 30 degrees of straight down are free; friction is the sine of the angle to the short side."""
    boxes, points = len(R), surface[::2]
    row = np.full((len(points), VIEWS), -1, np.int32)
    top, steep = np.flatnonzero(_good(points)), np.flatnonzero(views()[:, 2] > np.cos(np.deg2rad(30)))
    row[np.ix_(top, steep)] = np.arange(len(steep))
    closing = rotations()[steep, :, :, 0]
    friction = np.linalg.norm(np.cross(closing, [1.0, 0.0, 0.0]), axis=-1)
    code = np.where(friction < 0.6, np.ceil(friction / FRICTION_STEP), NO_GRASP).astype(np.uint8)
    code = np.repeat(code[:, :, None], len(DEPTHS), axis=2)
    code[:, :, -1] = NO_GRASP
    code = code.reshape(-1, ANGLES * len(DEPTHS))
    assert code.shape[1] == CODES
    return SceneLabels(
        points=np.concatenate([points @ R[i].T + at[i] for i in range(boxes)]).astype(np.float32),
        normals=np.tile(np.array([0.0, 0.0, 1.0], np.float32), (boxes * len(points), 1)),
        owner=np.repeat(np.arange(boxes), len(points)).astype(np.int16),
        row=np.tile(row, (boxes, 1)),
        friction_code=code,
        width_code=np.where(code == NO_GRASP, 0, round(SIZE[0] / WIDTH_STEP)).astype(np.uint8),
        rotation=R.astype(np.float32),
        position=at.astype(np.float32),
        centre_of_mass=at.astype(np.float32),
        radius=np.full(boxes, np.linalg.norm(SIZE / 2), np.float32),
        names=["box"] * boxes,
        support=0.0,
    )
