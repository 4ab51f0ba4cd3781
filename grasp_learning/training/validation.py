"""How good a network is on scenes it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from grasp_learning.scenes.scene_files import load_scene, scene_path
from grasp_learning.training.augmentation import unchanged
from grasp_learning.training.batches import Batch, make_batch
from grasp_learning.training.learner import precision
from grasp_learning.training.recipe import Recipe
from grasp_perception.dense import template
from grasp_perception.dense.heads import best_views
from grasp_perception.dense.model import DenseModel

MAX_TILT = 60.0  # degrees from straight down, as detectors are used
GOOD = 0.4  # friction
TOP = 10  # grasps of a scene
MEASURES = {  # name -> what it says
    "objectness": "share of voxels rightly told to be on objects or not",
    "graspness": "correlation of told and true graspness on objects",
    "found": "share of graspable voxels that are told so",
    "view": "share of decent grasps at the approach chosen, against the best approach's",
    "score": "mean of 1 - friction of the grasps chosen, 0 where there is none",
    "good": f"share of the grasps chosen that are free and need friction at most {GOOD}",
    "top": f"likewise of the {TOP} of each scene with the highest scores",
    "ceiling": "share of the same places where any grasp is so good",
    "width": "mean error of the width of grasps chosen that are good, m",
}


def validation_batches(folder: Path, names: Sequence[str], recipe: Recipe) -> list[Batch]:
    """One view of each scene, as it is; read once and kept."""
    made = []
    for index, name in enumerate(names):
        sample = load_scene(scene_path(folder, name))
        number = index % len(sample.views)
        look = unchanged(sample.views[number], sample.labels.support)
        made.append(make_batch([(sample, number)], [look], recipe, np.random.default_rng(index)))
    return made


@torch.inference_mode()
def validate(model: DenseModel, batches: Sequence[Batch], recipe: Recipe, device: torch.device) -> dict[str, float]:
    """MEASURES, each the mean over the scenes in which it means something.

    Args:
        model: in inference mode, on the device.
        batches: one scene each.
        recipe: precision and graspness that is looked at.
        device: where to compute.
    """
    rows = [_measure(model, batch.to(device), recipe) for batch in batches]
    means = {}
    for name in MEASURES:
        known = [row[name] for row in rows if name in row]
        if known:
            means[name] = float(np.mean(known))
    return means


def _measure(model: DenseModel, batch: Batch, recipe: Recipe) -> dict[str, float]:
    scenes = batch.scenes
    with precision(recipe, scenes.points.device):
        levels = model.backbone(scenes)
    points = model.look(levels, scenes)
    found = _of_points(points.objectness, points.graspness, batch, model.config.threshold)
    seeds = model.choose(points, scenes)
    seeds = seeds[(batch.label[seeds] >= 0) | (batch.on_object[seeds] == 0)]
    if len(seeds) == 0:
        return found
    scores, features = model.view_head(model.seed_readout(levels, scenes, seeds))
    allowed = torch.as_tensor(template.views_within(np.deg2rad(MAX_TILT)), device=scores.device)
    views = best_views(scores, allowed)
    index, local = model.group(scenes, seeds, views)
    score, width, stability = model.grasp_head(points.features, local, index, features)
    final = score.sigmoid() * stability.sigmoid()[..., None]
    return found | _of_seeds(batch, seeds, views, final, width, allowed)


def _of_points(objectness: Tensor, graspness: Tensor, batch: Batch, threshold: float) -> dict[str, float]:
    on_object = batch.on_object > 0
    found = {"objectness": float(((objectness > 0) == on_object).float().mean())}
    told, true = graspness[on_object], batch.graspness[on_object]
    if len(true) > 1 and true.std() > 0 and told.std() > 0:
        found["graspness"] = float(torch.corrcoef(torch.stack([told, true]))[0, 1])
    if (graspable := on_object & (batch.graspness > threshold)).any():
        found["found"] = float(((graspness > threshold) & (objectness > 0))[graspable].float().mean())
    return found


def _of_seeds(
    batch: Batch, seeds: Tensor, views: Tensor, final: Tensor, width: Tensor, allowed: Tensor
) -> dict[str, float]:
    """Of the best grasp at each seed; those on the background are bad."""
    table, known = batch.table, batch.label[seeds] >= 0
    best, place = final.flatten(1).max(1)
    friction = torch.full_like(best, torch.inf)
    labels = batch.label[seeds[known]]
    grid = table.friction(labels, views[known]).flatten(1)
    friction[known] = grid.gather(1, place[known, None])[:, 0]
    good = friction <= GOOD
    found = {
        "score": float((1.0 - friction).clamp(min=0.0).mean()),
        "good": float(good.float().mean()),
        "top": float(good[best.topk(min(TOP, len(best))).indices].float().mean()),
    }
    if good.any():
        wanted = table.width(labels, views[known]).flatten(1).gather(1, place[known, None])[:, 0]
        told = width.flatten(1).gather(1, place[:, None])[:, 0]
        found["width"] = float((told[known] - wanted).abs()[good[known]].mean())
    shares = table.views(labels) * allowed
    if (some := shares.amax(1) > 0).any():
        chosen = shares.gather(1, views[known, None])[:, 0]
        found["view"] = float((chosen / shares.amax(1).clamp(min=1e-6))[some].mean())
    found["ceiling"] = float(_reachable(batch, labels, allowed).sum() / len(seeds))
    return found


def _reachable(batch: Batch, labels: Tensor, allowed: Tensor) -> Tensor:
    """Whether (M,) any grasp from an allowed approach is good, at label points (M,)."""
    table = batch.table
    friction = table.friction_code.amin(1).float()
    least = torch.cat([friction, friction.new_full((1,), 255.0)])
    rows = table.row[labels].gather(1, table.view[table.owner[labels]]).long()
    return (least[rows][:, allowed] <= round(GOOD / 0.005)).any(1)
