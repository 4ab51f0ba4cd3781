"""What the network is trained to say, term by term."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from grasp_learning.training.recipe import LossWeights

_WIDTH_UNIT = 0.05  # m: errors of the width count in it
_BACKGROUND = 0.2  # weight of graspness where nothing can be grasped, against that on objects


def point_losses(objectness: Tensor, graspness: Tensor, on_object: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Objectness and graspness of voxels (V,).

    Args:
        objectness: logits. graspness: in [0, 1].
        on_object: 1 on objects, else 0. target: graspness there should be.
    """
    weight = on_object + _BACKGROUND * (1.0 - on_object)
    off = F.smooth_l1_loss(graspness, target, reduction="none")
    return {
        "objectness": F.binary_cross_entropy_with_logits(objectness, on_object),
        "graspness": (weight * off).sum() / weight.sum().clamp(min=1.0),
    }


def view_loss(scores: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Approach views of seeds (M, VIEWS): logits against shares of decent grasps, in shares of each seed's best."""
    best = target.amax(1, keepdim=True)
    relative = torch.where(best > 0, target / best.clamp(min=1e-6), 0.0)
    return {"view": _cross_entropy(scores, relative)}


def grasp_losses(
    score: Tensor, width: Tensor, stability: Tensor, target_score: Tensor, target_width: Tensor, target_stable: Tensor
) -> dict[str, Tensor]:
    """Grasps of seeds.

    Args:
        score: (M, ANGLES, DEPTHS) logits. width: (M, ANGLES, DEPTHS) m. stability: (M, ANGLES) logits.
        target_score, target_width, target_stable: likewise, in [0, 1], m and [0, 1]; widths count where there is a
            score.
    """
    good = (target_score > 0).float()
    off = F.smooth_l1_loss(width / _WIDTH_UNIT, target_width / _WIDTH_UNIT, reduction="none", beta=0.2)
    return {
        "score": _cross_entropy(score, target_score),
        "width": (good * off).sum() / good.sum().clamp(min=1.0),
        "stability": _cross_entropy(stability, target_stable),
    }


def total(terms: dict[str, Tensor], weights: LossWeights) -> Tensor:
    """The weighted sum of all terms."""
    return torch.stack([getattr(weights, name) * value for name, value in terms.items()]).sum()


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean of binary cross entropy above its least value, which depends on the target alone: 0 is perfect."""
    if logits.numel() == 0:
        return logits.sum()
    entropy = -(torch.xlogy(target, target) + torch.xlogy(1.0 - target, 1.0 - target)).mean()
    return F.binary_cross_entropy_with_logits(logits, target) - entropy
