"""What is read from the features: graspness of points, approach views of seeds, grasps of groups."""

import torch
from torch import Tensor, nn

from grasp_perception.dense.config import DenseConfig
from grasp_perception.dense.sparse import LinearNorm
from grasp_perception.dense.template import ANGLES, DEPTHS, VIEWS

_EPSILON = 1e-6
_GROUPS = 128  # groups at a time, when nothing is normalised over all of them: they stay in the cache


class PointHead(nn.Module):
    """Objectness and graspness of points."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, C) to logits of belonging to an object (N,) and graspness (N,), trained to lie in [0, 1]."""
        objectness, graspness = self.layers(torch.relu(x)).unbind(1)
        return objectness, graspness


class ViewHead(nn.Module):
    """How good each approach view is."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, channels)
        self.scores = nn.Linear(channels, VIEWS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features of seeds (M, C) to scores (M, VIEWS), trained to lie in [0, 1], and features (M, C) for grasps."""
        hidden = torch.relu(self.hidden(torch.relu(x)))
        return self.scores(hidden), x + hidden


class GraspHead(nn.Module):
    """Score, width and stability of the grasps along one approach, from the points in its cylinder."""

    def __init__(self, config: DenseConfig) -> None:
        super().__init__()
        channels = config.group_channels
        self.radius, self.max_width = config.radius, config.max_width
        self.first = LinearNorm(3 + config.point_channels, channels)
        self.second = LinearNorm(channels, channels)
        self.seed = nn.Linear(config.seed_channels, channels)
        self.hidden = nn.Linear(channels, 2 * channels)
        self.out = nn.Linear(2 * channels, ANGLES * (2 * len(DEPTHS) + 1))

    def forward(self, points: Tensor, local: Tensor, index: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From groups to grasps.

        Args:
            points: (N, P) features of points.
            local: (M, K, 3) points of each group in the frame of its approach, m.
            index: (M, K) int64 which of the N points they are; -1 in all places of an empty group.
            seeds: (M, S) features of the seeds.

        Returns:
            logits of the score (M, ANGLES, DEPTHS), widths (M, ANGLES, DEPTHS) in m, and logits of the stability
            (M, ANGLES).
        """
        size = max(len(index), 1) if self.training else _GROUPS
        chunks = zip(local.split(size), index.split(size), strict=True)
        x = torch.cat([self._pooled(points, *chunk) for chunk in chunks])
        out = self.out(torch.relu(self.hidden(torch.relu(x + self.seed(seeds)))))
        grid = ANGLES * len(DEPTHS)
        score, width, stability = out.split([grid, grid, ANGLES], dim=1)
        shape = (len(index), ANGLES, len(DEPTHS))
        return score.reshape(shape), torch.sigmoid(width.reshape(shape)) * self.max_width, stability

    def _pooled(self, points: Tensor, local: Tensor, index: Tensor) -> Tensor:
        """One row of features for each group, (M, channels); zeros for an empty one."""
        m, k = index.shape
        near = points.index_select(0, index.clamp(min=0).reshape(-1))
        x = torch.cat([local.reshape(-1, 3) / self.radius, near], dim=1).to(self.first.linear.weight.dtype)
        x = torch.relu(self.second(torch.relu(self.first(x))))
        x = x.reshape(m, k, self.second.linear.out_features).amax(1).float()
        return x.masked_fill(index[:, :1] < 0, 0.0)


def best_views(scores: Tensor, allowed: Tensor | None = None) -> Tensor:
    """The best view of each seed, (M,) int64.

    Args:
        scores: (M, VIEWS).
        allowed: (VIEWS,) bool, at least one; None: all.
    """
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf)
    return scores.argmax(1)


def drawn_views(scores: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A view of each seed drawn in proportion to its score between the seed's least and best, (M,) int64.

    Drawing shows the grasp head more than the current favourites (GSNet's probabilistic view selection).

    Args:
        scores: (M, VIEWS).
        generator: of the random numbers, on the device of ``scores``.
    """
    if len(scores) == 0:
        return torch.zeros(0, dtype=torch.int64, device=scores.device)
    scores = scores.detach().float()
    low, high = scores.amin(1, keepdim=True), scores.amax(1, keepdim=True)
    weight = (scores - low) / (high - low).clamp(min=_EPSILON) + _EPSILON
    return torch.multinomial(weight, 1, generator=generator)[:, 0]
