"""Optimiser, schedule of the learning rate, and the running average of the weights."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from grasp_learning.training.recipe import Recipe

_LAST = 0.01  # of the peak of the learning rate, at the end


def optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW; biases and normalisations do not decay."""
    decayed = [value for value in model.parameters() if value.ndim > 1]
    others = [value for value in model.parameters() if value.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def learning_rate(step: int, recipe: Recipe) -> float:
    """Of step 0, 1, ...: rises in a line, falls along a cosine."""
    rising = max(1, round(recipe.warm_up * recipe.steps))
    if step < rising:
        return recipe.learning_rate * (step + 1) / rising
    done = (step - rising) / max(1, recipe.steps - rising)
    return recipe.learning_rate * (_LAST + (1.0 - _LAST) * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0))))


class RunningAverage:
    """A network whose weights follow those of another; its statistics are the other's."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """After step 0, 1, ...; the first ones are forgotten sooner."""
        keep = min(self.decay, (1.0 + step) / (10.0 + step))
        mine, theirs = list(self.model.parameters()), list(model.parameters())
        torch._foreach_lerp_(mine, [value.detach() for value in theirs], 1.0 - keep)
        for kept, new in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(new)
