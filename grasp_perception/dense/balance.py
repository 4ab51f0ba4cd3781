"""Where the objects balance, from the cloud: the network tells it well of things of the size that it was trained on."""

import torch
from torch import Tensor

from grasp_perception.detectors import heightmap, scoring

_CELL = 0.0025  # m, of the height map
_STEP = 0.010  # m, difference in height between two objects
_HOLE = 0.02  # m, narrower unseen gaps are closed


def balance(seeds: Tensor, across: Tensor, cloud: Tensor, floor: float, floor_noise: float, voxel: float) -> Tensor:
    """Stability (M, ...) by the distance of the closing plane from the middle of what is seen of the object.

    Args:
        seeds: (M, 3) points on the surface, m.
        across: (M, ..., 3) normals of the closing planes.
        cloud: (N, 3) with the support, m. floor: its height, m. floor_noise: what is lower above it is the support, m.
        voxel: edge of the voxels of the cloud, m.
    """
    scene = heightmap.build(cloud, floor, floor_noise, _CELL, voxel, _STEP, _HOLE)
    segment = scene.label[scene.index(seeds[:, :2])]
    arm = (scene.centroid[segment] - seeds).reshape(len(seeds), *[1] * (across.ndim - 2), 3)
    off = (arm * across).sum(-1).abs()
    known = (segment > 0).reshape(len(seeds), *[1] * (across.ndim - 2))
    return torch.where(known, (1.0 - off / scoring.LEVER).clamp(0.0, 1.0), 1.0)
