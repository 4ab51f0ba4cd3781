"""From the numbers of the network to grasps: the best angle and depth of each seed, as a pose and an opening."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_perception.dense import template

_LEAST_OPENING = 0.002  # m


@dataclass(frozen=True)
class Candidates:
    """N grasps as tensors; the attributes mean what those of Grasps mean.

    Attributes:
        R: (N, 3, 3), t: (N, 3), width, depth, score, stability: (N,), all float32.
        seed: (N,) int64 which seed each came from.
    """

    R: Tensor
    t: Tensor
    width: Tensor
    depth: Tensor
    score: Tensor
    stability: Tensor
    seed: Tensor

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, index: Tensor) -> "Candidates":
        return Candidates(*(getattr(self, f.name)[index] for f in fields(self)))

    def to_grasps(self, detector: str) -> Grasps:
        """The same as arrays."""
        arrays = (self.R, self.t, self.width, self.depth, self.score, self.stability)
        return Grasps.create(*(value.cpu().numpy() for value in arrays), detector=detector)


def decode(
    seeds: Tensor,
    views: Tensor,
    score: Tensor,
    width: Tensor,
    stability: Tensor,
    gripper: Gripper,
    per_seed: int = 1,
    width_margin: float = 1.2,
    stability_weight: float = 1.0,
    min_score: float = 0.0,
) -> Candidates:
    """The best angles and depths of each seed that the gripper can take, seed after seed, best first.

    Args:
        seeds: (M, 3) points on the surface, m.
        views: (M,) int64 the view that each is approached from.
        score: (M, ANGLES, DEPTHS) in [0, 1].
        width: (M, ANGLES, DEPTHS) thickness of what is held, m; wider than the gripper opens is left out.
        stability: (M, ANGLES) in [0, 1].
        gripper: whose stroke limits the opening.
        per_seed: how many of each seed.
        width_margin: the opening is this times the width, as far as the gripper opens.
        stability_weight: the score is multiplied by the stability to the power of this.
        min_score: grasps with less after that are dropped.
    """
    m, n_angles, n_depths = score.shape
    steady = stability[:, :, None].expand_as(score)
    final = score * steady**stability_weight
    final = torch.where(width <= gripper.max_width, final, -1.0).reshape(m, n_angles * n_depths)
    best, place = final.topk(min(per_seed, n_angles * n_depths), dim=1)
    row, rank = torch.nonzero(best >= max(min_score, 0.0), as_tuple=True)
    place = place[row, rank]
    angle, step = place // n_depths, place % n_depths
    R = torch.as_tensor(template.rotations().copy(), dtype=torch.float32, device=score.device)[views[row], angle]
    depth = score.new_tensor(template.DEPTHS)[step]
    opening = (width[row, angle, step] * width_margin).clamp(min(_LEAST_OPENING, gripper.max_width), gripper.max_width)
    t = seeds[row] + R[:, :, 2] * depth[:, None]
    return Candidates(R, t, opening, depth, best[row, rank], stability[row, angle], row)
