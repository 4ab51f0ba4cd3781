"""Small networks and synthetic clouds for the tests of the dense detector."""

import numpy as np
import torch
from torch import nn

from grasp_perception.dense.config import DenseConfig
from grasp_perception.dense.inputs import Encoded, SceneCloud, encode
from grasp_perception.dense.model import DenseModel

SMALL = DenseConfig(
    widths=(8, 12, 16),
    encoder_blocks=(1, 1),
    decoder_blocks=(1, 1),
    point_channels=8,
    seed_channels=16,
    group_channels=8,
    seeds=40,
    samples=8,
)
CAMERA = np.array([0.1, -0.2, 0.7])


def table_with_box(seed: int = 0, size: tuple[float, float, float] = (0.04, 0.06, 0.05)) -> np.ndarray:
    """A box standing in the origin on a table at height 0, one point per 5 mm on every face, (N, 3) float32.

    The points lie within 1 mm of the middle of their 5 mm voxel, when the voxels start half a voxel below the table.
    """
    step, half = 0.005, np.asarray(size) / 2
    x, y = np.meshgrid(np.arange(-0.12, 0.12, step), np.arange(-0.12, 0.12, step))
    floor = np.c_[x.ravel(), y.ravel(), np.zeros(x.size)]
    floor = floor[(np.abs(floor[:, :2]) > half[:2]).any(axis=1)]
    grids = np.meshgrid(*(np.arange(-h, h + step / 2, step) for h in half), indexing="ij")
    block = np.stack([g.ravel() for g in grids], axis=1)
    block = block[(np.abs(np.abs(block) - half) < step / 4).any(axis=1)] + [0.0, 0.0, half[2]]
    points = np.concatenate([floor, block]) + np.array([step / 2, step / 2, 0.0])
    jitter = np.random.default_rng(seed).uniform(-0.001, 0.001, points.shape)
    return (points + jitter).astype(np.float32)


def encoded(*clouds: np.ndarray, levels: int = 3) -> Encoded:
    return encode([SceneCloud(cloud, 0.0, CAMERA) for cloud in clouds], SMALL.voxel, levels)


def random_model(config: DenseConfig = SMALL, seed: int = 0, graspable: bool = True) -> DenseModel:
    """A network with random weights and statistics; with ``graspable`` all points are taken for graspable."""
    torch.manual_seed(seed)
    model = DenseModel(config)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d):
            nn.init.normal_(part.running_mean, std=0.1)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.1)
    if graspable:
        nn.init.constant_(model.point_head.layers[-1].bias, 10.0)
    return model.eval()
