"""From the numbers of the network to grasps: the best views, angles and depths of each seed, as poses and openings."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_perception.dense import template
from grasp_perception.dense.ranking import Ranking

_LEAST_OPENING = 0.002  # m
_UNSTABLE = 0.01  # no stability counts as less
_AS_IT_IS = Ranking()
_APART = 0.45  # rad between the views of a seed: nearer ones are blocked by the same things


@dataclass(frozen=True)
class Candidates:
    """N grasps as tensors; the attributes mean what those of Grasps mean.

    Attributes:
        R: (N, 3, 3), t: (N, 3), width, depth, score, stability: (N,), all float32.
        seed: (N,) int64 which seed each came from.
        rank: (N,) int64 how many of that seed's grasps are better.
    """

    R: Tensor
    t: Tensor
    width: Tensor
    depth: Tensor
    score: Tensor
    stability: Tensor
    seed: Tensor
    rank: Tensor

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, index: Tensor) -> "Candidates":
        return Candidates(*(getattr(self, f.name)[index] for f in fields(self)))

    @classmethod
    def concatenated(cls, parts: "list[Candidates]") -> "Candidates":
        """Those of all ``parts`` (at least one), part after part."""
        return cls(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def to_grasps(self, detector: str) -> Grasps:
        """The same as arrays."""
        arrays = (self.R, self.t, self.width, self.depth, self.score, self.stability)
        return Grasps.create(*(value.cpu().numpy() for value in arrays), detector=detector)


def distinct_views(scores: Tensor, count: int, allowed: Tensor) -> Tensor:
    """The best views of each seed that are not near each other, (M, count) int64, best first.

    Where too few are far enough from each other, the best one is repeated.

    Args:
        scores: (M, VIEWS).
        count: how many, at least 1.
        allowed: (VIEWS,) bool, at least one.
    """
    scores = scores.masked_fill(~allowed, -torch.inf)
    best, view = scores.max(1)
    chosen = [view]
    apart = torch.as_tensor(template.views_apart(_APART).copy(), device=scores.device)
    for _ in range(count - 1):
        scores = scores.masked_fill(~apart[view], -torch.inf)
        best, view = scores.max(1)
        chosen.append(torch.where(best > -torch.inf, view, chosen[0]))
    return torch.stack(chosen, dim=1)


def decode(
    seeds: Tensor,
    views: Tensor,
    score: Tensor,
    width: Tensor,
    stability: Tensor,
    gripper: Gripper,
    count: int = 1,
    clearance: float = template.CLEARANCE,
    stability_weight: float = 1.0,
    min_score: float = 0.0,
    floor: float = -torch.inf,
    neighbours: float = 0.0,
    ranking: Ranking = _AS_IT_IS,
) -> Candidates:
    """The best grasps of each seed that the gripper can take, seed after seed, best first.

    Args:
        seeds: (M, 3) points on the surface, m.
        views: (M, V) int64 the views that each is approached from.
        score: (M, V, ANGLES, DEPTHS) in [0, 1].
        width: (M, V, ANGLES, DEPTHS) thickness of what is held, m; wider than the gripper opens is left out.
        stability: (M, V, ANGLES) in [0, 1].
        gripper: whose stroke limits the opening.
        count: how many of each seed.
        clearance: the opening is the width and this on either side, as far as the gripper opens, m.
        stability_weight: the odds of the score are multiplied by the stability to the power of this.
        min_score: grasps with less after that are dropped.
        floor: grasps that bring any corner of the gripper below this height are left out, m.
        neighbours: how much the scores next to a grasp's count against its own, see ``steadied``.
        ranking: from scores to odds.
    """
    score = steadied(score, neighbours)
    m, shape = len(seeds), score.shape[1:]
    steady = stability[..., None].expand_as(score)
    R = torch.as_tensor(template.rotations().copy(), dtype=torch.float32, device=score.device)[views]
    depth = score.new_tensor(template.DEPTHS)
    opening = (width + 2.0 * clearance).clamp(min(_LEAST_OPENING, gripper.max_width), gripper.max_width)
    height = seeds[:, 2, None, None, None] + depth * R[..., 2, 2, None]
    possible = (width <= gripper.max_width) & (lowest(R[..., 2, :], height, opening, gripper) >= floor)
    odds = ranking.log_odds(score, depth, width) + stability_weight * steady.clamp(min=_UNSTABLE).log()
    final = torch.where(possible, odds.sigmoid(), -1.0).reshape(m, shape.numel())
    best, place = final.topk(min(count, shape.numel()), dim=1)
    row, rank = torch.nonzero(best >= max(min_score, 0.0), as_tuple=True)
    flat = place[row, rank]
    view, angle, step = torch.unravel_index(flat, shape)
    R = R[row, view, angle]
    t = seeds[row] + R[:, :, 2] * depth[step, None]
    where = (row, view, angle, step)
    return Candidates(R, t, opening[where], depth[step], best[row, rank], steady[where], row, rank)


def steadied(score: Tensor, neighbours: float) -> Tensor:
    """Scores (..., ANGLES, DEPTHS) averaged with those of the next angles and depths, which count ``neighbours`` each.

    A grasp that is good only just so fails when camera, arm or object are a little off. Less deep than the shallowest
    there is nothing to hold; deeper than the deepest is taken to be as good.
    """
    if neighbours == 0.0:
        return score
    share = 1.0 / (1.0 + 2.0 * neighbours)
    score = share * score + neighbours * share * (score.roll(1, -2) + score.roll(-1, -2))
    shallower = torch.cat([torch.zeros_like(score[..., :1]), score[..., :-1]], dim=-1)
    deeper = torch.cat([score[..., 1:], score[..., -1:]], dim=-1)
    return share * score + neighbours * share * (shallower + deeper)


def lowest(up: Tensor, height: Tensor, opening: Tensor, gripper: Gripper) -> Tensor:
    """Height (..., D) of the lowest corner of the gripper, m.

    Args:
        up: (..., 3) the upward direction in the frame of each grasp.
        height: (..., D) of the fingertips, m.
        opening: (..., D) m.
        gripper: its boxes.
    """
    finger = gripper.finger
    x, y = up[..., 0, None].abs(), up[..., 1, None].abs()
    z = up[..., 2, None]
    fingers = x * (opening / 2 + finger.thickness) + y * (finger.width / 2) + (z * finger.length).clamp(min=0.0)
    below, front = fingers, finger.length
    for size_x, size_y, size_z in (gripper.knuckles.size, gripper.palm.size):
        back = front + size_z
        part = x * (size_x / 2) + y * (size_y / 2) + torch.maximum(z * front, z * back)
        below, front = torch.maximum(below, part), back
    return height - below
