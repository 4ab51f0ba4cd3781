"""What makes a dense network: all that has to be known to build it before its weights are loaded."""

import math
from typing import Annotated

from pydantic import Field, ValidationError, model_validator
from typing_extensions import Self

from grasp_core.config import StrictModel
from grasp_core.errors import ConfigError
from grasp_perception.dense.ranking import Ranking

Count = Annotated[int, Field(ge=1, le=4096)]
Length = Annotated[float, Field(gt=0, le=1)]


class DenseConfig(StrictModel):
    """Lengths in m.

    Attributes:
        voxel: edge of the finest voxels.
        widths: channels of the levels of the U-Net, finest first; voxels double in edge from one to the next.
        encoder_blocks, decoder_blocks: residual blocks on each level on the way down (from the second level on) and on
            the way up (up to the last but one).
        point_channels: features of each voxel that the heads for points and for the groups see.
        seed_channels: features of each seed, read from all levels.
        group_channels: width of the network that looks at the points of a cylinder.
        seeds: how many places are looked at closely.
        threshold: seeds need at least this graspness.
        radius, below, above: the cylinder around a seed: its radius and its ends along the approach.
        samples: points taken from each cylinder.
        max_width: largest opening that the network can ask for; AnyGrasp's and GraspNet-1Billion's 0.1.
        ranking: what its scores mean; found after training.
    """

    voxel: Length = 0.005
    widths: tuple[Count, ...] = (32, 64, 128, 192)
    encoder_blocks: tuple[Count, ...] = (1, 1, 1)
    decoder_blocks: tuple[Count, ...] = (1, 1, 1)
    point_channels: Count = 64
    seed_channels: Count = 256
    group_channels: Count = 128
    seeds: Count = 1024
    threshold: float = 0.1
    radius: Length = 0.05
    below: float = -0.02
    above: float = 0.04
    samples: Count = 24
    max_width: Length = 0.10
    ranking: Ranking = Ranking()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.widths) < 2:
            raise ValueError("widths needs at least 2 levels")
        for name in ("encoder_blocks", "decoder_blocks"):
            if len(getattr(self, name)) != len(self.widths) - 1:
                raise ValueError(f"{name} needs one entry fewer than widths")
        if not self.below < 0.0 < self.above:
            raise ValueError(f"expected below < 0 < above, got {self.below} and {self.above}")
        return self

    @property
    def reach(self) -> float:
        """Radius of the ball around a seed that holds its cylinder, m."""
        return math.hypot(self.radius, max(self.above, -self.below))

    @classmethod
    def from_json(cls, text: str, where: str) -> "DenseConfig":
        """From JSON text; ConfigError names ``where`` it was read and what is wrong in it."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or '(top)'}: {e['msg']}" for e in error.errors())
            raise ConfigError(f"{where}: the configuration of the network is not valid: {problems}") from error
