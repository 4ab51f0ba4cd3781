"""From what the network says of a grasp to the probability that it succeeds."""

import torch
from torch import Tensor

from grasp_core.config import StrictModel

GOOD_DEPTH = 0.02  # m that the fingertips reach past the seed: more does not hold better
THICK = 0.02  # m between the fingers: more does not hold better
_THINNEST = 0.002  # m
_EPSILON = 1e-6


class Ranking(StrictModel):
    """Weights of the log-odds of success, see ``log_odds``; the default leaves the network's score as it is.

    Labels ask for friction alone; that shallow and thin grasps fail more often, executed grasps tell
    (`seegrasp learn calibrate`).
    """

    bias: float = 0.0
    score: float = 1.0
    depth: float = 0.0
    thickness: float = 0.0

    def log_odds(self, score: Tensor, depth: Tensor, width: Tensor) -> Tensor:
        """Log-odds of success, all in the shape that the arguments broadcast to.

        Args:
            score: in [0, 1], of the network.
            depth: m that the fingertips reach past the seed.
            width: thickness of what is held, m.
        """
        logit, deep, thick = factors(score, depth, width)
        return self.bias + self.score * logit + self.depth * deep + self.thickness * thick


def factors(score: Tensor, depth: Tensor, width: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a Ranking weighs: log-odds of the score, logarithms of depth and thickness, which are at most 0."""
    logit = torch.logit(score, eps=_EPSILON)
    return logit, (depth / GOOD_DEPTH).clamp(max=1.0).log(), (width / THICK).clamp(_THINNEST / THICK, 1.0).log()
