"""Parameters of the analytic detector."""

from dataclasses import dataclass, fields
from typing import Any

import torch

from grasp_core.errors import ConfigError

_NOT_POSITIVE = ("device", "support_height", "depths", "min_score", "stability_weight")


@dataclass(frozen=True)
class AnalyticParams:
    """Lengths in m, angles in degrees.

    Attributes:
        device: where torch computes.
        workers: threads that share the seeds.
        support_height: height of the surface that the objects stand on; None estimates it from the cloud.
        floor_noise: what is lower above the support than this is taken for the support.
        tip_clearance: fingertips stay at least this far above the support.
        cell: grid of the height map.
        point_size: voxel size of the cloud.
        segment_step: height difference that separates two objects.
        hole: unseen gaps narrower than this are closed.
        max_seeds, seed_spacing: how many surface points are tried, and how far apart.
        max_tilt: largest angle between the approach and straight down.
        depths: how far the fingertips reach past the seed.
        in_plane: number of closing directions over half a turn.
        per_seed: candidates of one seed that are looked at closely.
        min_clearance: free space that each finger needs on both of its sides.
        clearance: free space beside the object aimed at.
        friction: coefficient that the friction margin is measured against.
        stability_weight: of the stability in the score; 0 ignores it.
        sweep: how far back along the approach the gripper must be free.
        nms_translation, nms_rotation: grasps nearer than both to a better one are dropped.
        max_grasps: most grasps returned.
        min_score: worse grasps are dropped.
    """

    device: str = "cpu"
    workers: int = 2
    support_height: float | None = None
    floor_noise: float = 0.006
    tip_clearance: float = 0.004
    cell: float = 0.0025
    point_size: float = 0.005
    segment_step: float = 0.010
    hole: float = 0.02
    max_seeds: int = 800
    seed_spacing: float = 0.01
    max_tilt: float = 60.0
    depths: tuple[float, ...] = (0.005, 0.01, 0.02, 0.03, 0.04)
    in_plane: int = 12
    per_seed: int = 6
    min_clearance: float = 0.0015
    clearance: float = 0.010
    friction: float = 0.6
    stability_weight: float = 0.3
    sweep: float = 0.08
    nms_translation: float = 0.03
    nms_rotation: float = 30.0
    max_grasps: int = 1000
    min_score: float = 0.05

    def __post_init__(self) -> None:
        object.__setattr__(self, "depths", tuple(self.depths))
        positive = [f.name for f in fields(self) if f.name not in _NOT_POSITIVE]
        for name in positive:
            if not getattr(self, name) > 0:
                raise ConfigError(f"analytic detector: {name} must be positive, got {getattr(self, name)}")
        if not self.stability_weight >= 0:
            raise ConfigError(f"analytic detector: stability_weight must not be negative, got {self.stability_weight}")
        if not self.depths or sorted(self.depths) != list(self.depths) or self.depths[0] <= 0:
            raise ConfigError(f"analytic detector: depths must be positive and rising, got {self.depths}")
        if self.max_tilt > 80:
            raise ConfigError(f"analytic detector: max_tilt must be at most 80 degrees, got {self.max_tilt}")
        try:
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(f"analytic detector: device {self.device!r} is not usable: {error}") from error

    @classmethod
    def create(cls, **values: Any) -> "AnalyticParams":
        """From keyword arguments; ConfigError names those that do not exist."""
        names = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - names)
        if unknown:
            raise ConfigError(f"analytic detector has no parameter {unknown}; there are {sorted(names)}")
        return cls(**values)
