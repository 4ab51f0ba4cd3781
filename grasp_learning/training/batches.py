"""What a step of training sees: augmented scenes as voxels, their targets, and the places to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from grasp_learning.scenes.scene_files import SceneLabels, SceneSample
from grasp_learning.training.augmentation import Augmented, augment
from grasp_learning.training.label_table import DECENT_CODE, LabelTable
from grasp_learning.training.recipe import Recipe
from grasp_learning.training.tensors import Tensors
from grasp_perception.dense.inputs import Encoded, encode

_APART = 1.0  # m: objects are moved this far apart in a fourth dimension, so that no point meets another object's


@dataclass(frozen=True, eq=False)
class Batch(Tensors):
    """V voxels, M seeds.

    Attributes:
        scenes: the input of the network.
        on_object: (V,) float32, 1 where most points of a voxel lie on objects.
        graspness: (V,) float32, mean of the voxel's points.
        label: (V,) int64, the label point near each voxel, of the same object; -1: none.
        table: the labels.
        seeds: (M,) int64 voxels to look at; all have a label point, no two the same.
        scenes_of: names of scenes and numbers of views, for messages.
    """

    scenes: Encoded
    on_object: Tensor
    graspness: Tensor
    label: Tensor
    table: LabelTable
    seeds: Tensor
    scenes_of: tuple[str, ...]


def augmented_batch(samples: Sequence[tuple[SceneSample, int]], recipe: Recipe, rng: np.random.Generator) -> Batch:
    """Scenes and numbers of their views, each augmented anew."""
    looks = [augment(s.views[i], s.labels.support, recipe.augmentation, rng) for s, i in samples]
    return make_batch(samples, looks, recipe, rng)


def make_batch(
    samples: Sequence[tuple[SceneSample, int]], looks: Sequence[Augmented], recipe: Recipe, rng: np.random.Generator
) -> Batch:
    """Voxels and targets of views that were augmented so; ``rng`` draws the seeds."""
    network = recipe.network
    scenes = encode([look.cloud for look in looks], network.voxel, len(network.widths))
    parts = [s.views[i] for s, i in samples]
    owner = np.concatenate([view.owner[look.rows] for view, look in zip(parts, looks, strict=True)])
    graspness = np.concatenate([view.graspness[look.rows] for view, look in zip(parts, looks, strict=True)])
    on_object = _mean(scenes, owner >= 0) > 0.5
    label, seeds, first = [], [], 0
    voxel_owner = _highest(scenes, owner)
    for (sample, index), look, part in zip(samples, looks, scenes.scenes(), strict=True):
        points, owners = scenes.points[part].numpy(), np.where(on_object[part], voxel_owner[part], -1)
        seen = facing(sample.labels, sample.views[index].camera)
        near, distance = nearest_labels(points, owners, sample.labels, seen, look, recipe.match)
        seeds.append(draw_seeds(near, distance, graspable(sample.labels), recipe, rng) + part.start)
        label.append(np.where(near < 0, -1, near + first))
        first += len(sample.labels.points)
    table = LabelTable.build([(s.labels, look.motion) for (s, _), look in zip(samples, looks, strict=True)])
    return Batch(
        scenes,
        torch.from_numpy(on_object.astype(np.float32)),
        torch.from_numpy(_mean(scenes, graspness)),
        torch.from_numpy(np.concatenate(label)),
        table,
        torch.from_numpy(np.concatenate(seeds)),
        tuple(f"{sample.name}:{index}" for sample, index in samples),
    )


def facing(labels: SceneLabels, camera: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which label points (P,) turn their front to the camera (3,); through a thin wall others would be near, too."""
    return ((camera - labels.points) * labels.normals).sum(1) > 0.0


def nearest_labels(
    points: NDArray[np.float32],
    owner: NDArray[np.int16],
    labels: SceneLabels,
    seen: NDArray[np.bool_],
    look: Augmented,
    reach: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Among the label points that are ``seen`` (P,) the nearest to each of the points (V, 3), of its owner (V,).

    Returns:
        index (V,), -1 where there is none within ``reach``, m, and distance (V,), m, inf there.
    """
    index = np.full(len(points), -1, dtype=np.int64)
    distance = np.full(len(points), np.inf)
    rows, known = np.flatnonzero(owner >= 0), np.flatnonzero(seen)
    if len(rows) and len(known):
        tree = cKDTree(np.c_[look.motion(labels.points[known]), _APART * labels.owner[known]])
        far, found = tree.query(np.c_[points[rows], _APART * owner[rows]], distance_upper_bound=reach)
        hit = np.isfinite(far)
        index[rows[hit]], distance[rows[hit]] = known[found[hit]], far[hit]
    return index, distance


def graspable(labels: SceneLabels) -> NDArray[np.bool_]:
    """Which label points (P,) have any decent grasp."""
    has = np.append((labels.friction_code <= DECENT_CODE).any(1), False)
    return has[labels.row].any(1)


def draw_seeds(
    near: NDArray[np.int64],
    distance: NDArray[np.float64],
    good: NDArray[np.bool_],
    recipe: Recipe,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """At most ``recipe.seeds`` voxels, rising: of each label point the nearest voxel, two thirds of them good ones.

    Args:
        near, distance: what ``nearest_labels`` returned.
        good: (P,) which label points have grasps.
        recipe: how many, and which share of them good.
        rng: draws where there are more.
    """
    rows = np.flatnonzero(near >= 0)
    rows = rows[np.lexsort((distance[rows], near[rows]))]
    first = np.append(True, np.diff(near[rows]) != 0) if len(rows) else np.zeros(0, dtype=bool)
    rows = rng.permutation(rows[first])
    is_good = good[near[rows]]
    favoured, others = rows[is_good], rows[~is_good]
    wanted = round(recipe.graspable * recipe.seeds)
    n_good = min(len(favoured), max(wanted, recipe.seeds - len(others)))
    return np.sort(np.concatenate([favoured[:n_good], others[: recipe.seeds - n_good]]))


def _mean(scenes: Encoded, values: NDArray) -> NDArray[np.float32]:
    """Mean (V,) over the points of each voxel of values (N,)."""
    inverse, voxels = scenes.inverse.numpy(), len(scenes.points)
    return (np.bincount(inverse, values, voxels) / np.bincount(inverse, minlength=voxels)).astype(np.float32)


def _highest(scenes: Encoded, owner: NDArray[np.int16]) -> NDArray[np.int16]:
    """The highest index of an object among the points of each voxel, (V,); -1: background only."""
    found = np.full(len(scenes.points), -1, dtype=np.int16)
    np.maximum.at(found, scenes.inverse.numpy(), owner)
    return found
