"""A light sparse U-Net: residual blocks on every level, skips by addition, features of all levels as its result.

The finest level is the most expensive, so it gets the fewest channels; what is known on the coarser levels reaches a
point directly instead of through them.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from grasp_perception.dense.config import DenseConfig
from grasp_perception.dense.inputs import CHANNELS, Encoded
from grasp_perception.dense.sparse import ConvNorm, DownConv, SubMConv3d, UpConv
from grasp_perception.dense.voxels import Level


class ResidualBlock(nn.Module):
    """Two 3x3x3 convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(SubMConv3d(channels, channels))
        self.second = ConvNorm(SubMConv3d(channels, channels))

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """Features (N, C) to (N, C)."""
        return torch.relu(x + self.second(torch.relu(self.first(x, level)), level))


class Blocks(nn.ModuleList):
    """Residual blocks one after the other."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__(ResidualBlock(channels) for _ in range(count))

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """Features (N, C) to (N, C)."""
        for block in self:
            x = block(x, level)
        return x


class Backbone(nn.Module):
    """Features of the voxels of every level."""

    def __init__(self, config: DenseConfig) -> None:
        super().__init__()
        widths = config.widths
        steps = list(pairwise(widths))
        self.stem = ConvNorm(SubMConv3d(CHANNELS, widths[0]))
        self.down = nn.ModuleList(ConvNorm(DownConv(fine, coarse)) for fine, coarse in steps)
        self.encoder = nn.ModuleList(map(Blocks, widths[1:], config.encoder_blocks))
        self.up = nn.ModuleList(ConvNorm(UpConv(coarse, fine)) for fine, coarse in steps)
        self.decoder = nn.ModuleList(map(Blocks, widths[:-1], config.decoder_blocks))

    def forward(self, scenes: Encoded) -> list[Tensor]:
        """Per level, finest first: features (voxels of the level, width of the level), in the type of the weights."""
        levels = scenes.levels
        x = torch.relu(self.stem(scenes.features.to(self.stem.conv.weight.dtype), levels[0]))
        seen = [x]
        for level, coarse, down, blocks in zip(levels[:-1], levels[1:], self.down, self.encoder, strict=True):
            x = blocks(torch.relu(down(x, level)), coarse)
            seen.append(x)
        for i in reversed(range(len(levels) - 1)):
            x = torch.relu(seen[i] + self.up[i](x, levels[i]))
            seen[i] = x = self.decoder[i](x, levels[i])
        return seen


class Readout(nn.Module):
    """One linear map of the features of all levels, taken at finest voxels."""

    def __init__(self, widths: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(width, channels, bias=i == 0) for i, width in enumerate(widths))

    def forward(self, features: list[Tensor], scenes: Encoded, rows: Tensor | None = None) -> Tensor:
        """Features (M, channels), float32.

        Args:
            features: what the backbone returned.
            scenes: the scenes it was made from.
            rows: (M,) finest voxels; None: all of them.
        """
        if rows is None:
            return self._everywhere(features, scenes)
        total = None
        for part, x, ancestors in zip(self.parts, features, scenes.ancestors, strict=True):
            y = part(x.index_select(0, ancestors[rows]).to(part.weight.dtype))
            total = y if total is None else total + y
        return total.float()

    def _everywhere(self, features: list[Tensor], scenes: Encoded) -> Tensor:
        """Coarse levels are summed up on their own voxels before they are spread over the finer ones."""
        total = None
        for part, x, level in reversed(list(zip(self.parts, features, scenes.levels, strict=True))):
            y = part(x.to(part.weight.dtype))
            total = y if total is None else y + total.index_select(0, level.parent)
        return total.float()
