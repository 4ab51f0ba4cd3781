"""One look of the network at a batch, and how far off it is."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor

from grasp_learning.training.batches import Batch
from grasp_learning.training.losses import grasp_losses, point_losses, view_loss
from grasp_learning.training.recipe import Recipe
from grasp_perception.dense import template
from grasp_perception.dense.heads import drawn_views
from grasp_perception.dense.model import DenseModel, PointFeatures


def losses(
    model: DenseModel, batch: Batch, recipe: Recipe, generator: torch.Generator, own_seeds: bool
) -> dict[str, Tensor]:
    """The terms of the loss.

    Args:
        model: in training mode.
        batch: on the device of the model.
        recipe: precision, and how approaches are drawn.
        generator: of the drawing, on the same device.
        own_seeds: look at places that the network chooses, instead of those of the batch.
    """
    scenes, table = batch.scenes, batch.table
    with precision(recipe, scenes.points.device):
        levels = model.backbone(scenes)
    points = model.look(levels, scenes)
    seeds = chosen_seeds(model, points, batch, recipe, generator) if own_seeds else batch.seeds
    labels = batch.label[seeds]
    scores, features = model.view_head(model.seed_readout(levels, scenes, seeds))
    wanted = table.views(labels)
    views = draw_views(scores, wanted, recipe, generator)
    index, local = model.group(scenes, seeds, views)
    score, width, stability = model.grasp_head(points.features, local, index, features)
    stable = table.stability(labels, views, scenes.points[seeds])
    return (
        point_losses(points.objectness, points.graspness, batch.on_object, batch.graspness)
        | view_loss(scores, wanted)
        | grasp_losses(score, width, stability, table.score(labels, views), table.width(labels, views), stable)
    )


def precision(recipe: Recipe, device: torch.device) -> AbstractContextManager[None]:
    """The context of the backbone, which costs most; what is read from its features stays in float32."""
    if recipe.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, recipe.precision))


@torch.no_grad()
def chosen_seeds(
    model: DenseModel, points: PointFeatures, batch: Batch, recipe: Recipe, generator: torch.Generator
) -> Tensor:
    """Places that the network would look at and of which labels say something, as many as a batch has at most."""
    seeds = model.choose(points, batch.scenes)
    seeds = seeds[batch.label[seeds] >= 0]
    order = torch.randperm(len(seeds), generator=generator, device=seeds.device)
    return seeds[order[: recipe.seeds * len(batch.scenes_of)]].sort().values


@torch.no_grad()
def draw_views(scores: Tensor, wanted: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """An approach for each seed, (M,) int64: for some from what the labels say, for the others from the scores.

    Args:
        scores: (M, VIEWS) logits. wanted: (M, VIEWS) shares of decent grasps.
        recipe, generator: how they are drawn.
    """
    allowed = torch.as_tensor(template.views_within(np.deg2rad(recipe.max_tilt)), device=scores.device)
    from_labels = torch.rand(len(scores), 1, generator=generator, device=scores.device) < recipe.label_views
    weight = torch.where(from_labels & (wanted[:, allowed] > 0).any(1, keepdim=True), wanted, scores.sigmoid())
    weight = (weight / weight.amax(1, keepdim=True)) ** recipe.sharpness
    weight = weight.nan_to_num(0.0)  # a network gone astray is told from its loss
    return drawn_views(weight.masked_fill(~allowed, 0.0), generator)
