"""The same view of a scene, turned, mirrored, moved, cropped and disturbed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_learning.scenes.scene_files import SceneView
from grasp_learning.training.recipe import AugmentationRecipe
from grasp_perception.dense.inputs import SceneCloud

NONE = AugmentationRecipe(
    mirror=0, shift=0, support_error=0, dropout=0, jitter=0, no_camera=0, margin_min=0.1, margin_max=0.1
)


@dataclass(frozen=True, eq=False)
class Motion:
    """x -> A x + shift. A: (3, 3) orthogonal, keeps z up, determinant -1: a mirror. shift: (3,) m."""

    A: NDArray[np.float64]
    shift: NDArray[np.float64]

    def __call__(self, points: NDArray) -> NDArray[np.float32]:
        """Points (..., 3) after it."""
        return (points @ self.A.T + self.shift).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Augmented:
    """A cloud for the network, which of the view's points it holds (N,), and how they were moved."""

    cloud: SceneCloud
    rows: NDArray[np.int64]
    motion: Motion


def augment(view: SceneView, support: float, recipe: AugmentationRecipe, rng: np.random.Generator) -> Augmented:
    """Draw a variant of a view, whose scene stands at height ``support``, m."""
    motion = _motion(recipe, rng)
    points = motion(view.points)
    rows = np.flatnonzero(_near_objects(points, view.owner >= 0, recipe, rng))
    rows = rows[rng.random(len(rows)) >= rng.uniform(0, recipe.dropout)]
    jitter = recipe.jitter * rng.standard_normal((len(rows), 3), dtype=np.float32)
    camera = motion(view.camera).astype(np.float64)
    known = rng.random() >= recipe.no_camera
    height = support + recipe.support_error * rng.standard_normal()
    return Augmented(SceneCloud(points[rows] + jitter, height, camera if known else None), rows, motion)


def unchanged(view: SceneView, support: float) -> Augmented:
    """The view as it is, but for the background far from the objects."""
    rows = np.flatnonzero(_near_objects(view.points, view.owner >= 0, NONE, np.random.default_rng(0)))
    cloud = SceneCloud(view.points[rows], support, view.camera.astype(np.float64))
    return Augmented(cloud, rows, Motion(np.eye(3), np.zeros(3)))


def _motion(recipe: AugmentationRecipe, rng: np.random.Generator) -> Motion:
    turn = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(turn), np.sin(turn)
    A = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    if rng.random() < recipe.mirror:
        A = A @ np.diag([1.0, -1.0, 1.0])
    return Motion(A, np.append(rng.uniform(-recipe.shift, recipe.shift, 2), 0.0))


def _near_objects(
    points: NDArray[np.float32], on_object: NDArray[np.bool_], recipe: AugmentationRecipe, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Which points lie in a box around what is on objects; all where nothing is."""
    margin = rng.uniform(recipe.margin_min, recipe.margin_max, (2, 2))
    if not on_object.any():
        return np.ones(len(points), dtype=bool)
    flat, things = points[:, :2], points[on_object, :2]
    return ((flat >= things.min(0) - margin[0]) & (flat <= things.max(0) + margin[1])).all(1)
