"""From clouds to what the network takes: voxels with their features, on all levels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grasp_core.errors import InputError
from grasp_perception.dense.voxels import Level, build_pyramid, unique_voxels

MAX_POINTS = 400_000  # of one scene
CHANNELS = 8
_HEIGHT = 0.1  # m, unit of the height
_TALL = 0.5  # m: what is higher or deeper looks alike


@dataclass(frozen=True)
class SceneCloud:
    """One scene as the network sees it, z up.

    Attributes:
        points: (N, 3) float32, m, finite, at most 400 000.
        support: height of what the objects stand on, m.
        camera: (3,) position of the camera, m; None where it is not known.
    """

    points: NDArray[np.float32]
    support: float
    camera: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 3:
            raise InputError(f"dense detector: expected points (N, 3), got {self.points.shape}")
        if len(self.points) > MAX_POINTS:
            raise InputError(
                f"dense detector: the cloud has {len(self.points)} points, at most {MAX_POINTS} are taken; voxelise it "
                "(5 mm)"
            )
        known = [self.support] if self.camera is None else [self.support, *self.camera]
        if not np.isfinite(known).all():
            raise InputError(f"dense detector: support {self.support} and camera {self.camera} must be finite")
        bad = int((~np.isfinite(self.points).all(axis=1)).sum())
        if bad:
            raise InputError(f"dense detector: {bad} of {len(self.points)} points are NaN or infinite")


@dataclass(frozen=True)
class Encoded:
    """Scenes as voxels; V of them in all, those of one scene together.

    Attributes:
        points: (V, 3) float32 mean of the points of each voxel, m.
        features: (V, CHANNELS) float32: 1, height above the support (0.1 m), offset of the mean from the voxel's
            middle (3, in voxels), unit vector to the camera (3; zeros where it is not known).
        levels: voxels and neighbours of every resolution, finest first.
        inverse: (N,) int64 the voxel of each input point, scene after scene.
        starts: first voxel of each scene, and V.
        ancestors: for each level (V,) int64 the voxel of that level that each finest voxel lies in.
    """

    points: Tensor
    features: Tensor
    levels: list[Level]
    inverse: Tensor
    starts: tuple[int, ...]
    ancestors: list[Tensor] = field(repr=False)

    def scenes(self) -> list[slice]:
        """The voxels of each scene."""
        return [slice(a, b) for a, b in pairwise(self.starts)]


def encode(scenes: Sequence[SceneCloud], voxel: float, levels: int, device: str | torch.device = "cpu") -> Encoded:
    """Voxelise scenes; the result does not depend on the order of the points of a scene but for rounding.

    The grid is fixed in x and y; in z the support lies in the middle of a layer, so that its noise does not spread over
    two.

    Args:
        scenes: at least one.
        voxel: edge of the finest voxels, m.
        levels: number of resolutions.
        device: where the result is.

    Raises:
        InputError: a scene is far too large.
    """
    parts = [_placed(scene, index, voxel) for index, scene in enumerate(scenes)]
    coords, scaled, height, to_camera = (torch.cat(part).to(device) for part in zip(*parts, strict=True))
    voxels, inverse, count = unique_voxels(coords)
    sums = torch.zeros(len(voxels), 7, dtype=torch.float64, device=coords.device)
    sums.index_add_(0, inverse, torch.cat([scaled, height[:, None], to_camera], dim=1))
    mean = sums / count[:, None]
    offset = mean[:, :3] - voxels[:, 1:] - 0.5
    features = torch.cat([torch.ones_like(mean[:, :1]), mean[:, 3:4], offset, mean[:, 4:]], dim=1).float()
    per_scene = torch.bincount(voxels[:, 0].long(), minlength=len(scenes)).tolist()
    starts = (0, *np.cumsum(per_scene).tolist())
    origin = mean.new_tensor([[0.0, 0.0, scene.support - voxel / 2] for scene in scenes])
    points = (mean[:, :3] * voxel + origin[voxels[:, 0].long()]).float()
    pyramid = build_pyramid(voxels, levels)
    return Encoded(points, features, pyramid, inverse, starts, _ancestors(pyramid))


def _placed(scene: SceneCloud, index: int, voxel: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Per point: voxel (4,), position in voxels (3,), height in its unit, unit vector to the camera (3,)."""
    points = torch.from_numpy(scene.points.astype(np.float64))
    above = points[:, 2] - scene.support
    scaled = points / voxel
    scaled[:, 2] = above / voxel + 0.5
    cell = torch.floor(scaled)
    if len(cell) and cell.abs().max() >= 2**30:
        raise InputError(f"dense detector: a point lies {float(points.abs().max()):.3g} m away; crop the cloud")
    coords = torch.cat([torch.full_like(cell[:, :1], index), cell], dim=1).to(torch.int32)
    to_camera = torch.zeros_like(points)
    if scene.camera is not None:
        to_camera = torch.nn.functional.normalize(torch.as_tensor(scene.camera, dtype=torch.float64) - points, dim=1)
    return coords, scaled, above.clamp(-_TALL, _TALL) / _HEIGHT, to_camera


def _ancestors(levels: list[Level]) -> list[Tensor]:
    row = torch.arange(len(levels[0]), device=levels[0].coords.device)
    found = [row]
    for level in levels[:-1]:
        row = level.parent[row]
        found.append(row)
    return found
