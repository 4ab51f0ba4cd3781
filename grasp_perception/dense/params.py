"""Parameters of the dense detector: how its network is used and which grasps are kept."""

from typing import Annotated, Any, Literal

import torch
from pydantic import Field, ValidationError

from grasp_core.config import StrictModel
from grasp_core.errors import ConfigError
from grasp_perception.dense.template import CLEARANCE

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class DenseParams(StrictModel):
    """Lengths in m, angles in degrees.

    Attributes:
        device: where torch computes.
        precision: of the layers that cost most; auto: bfloat16 on a processor that multiplies it (AMX), else float32.
        support_height: height of the surface that the objects stand on; None estimates it from the cloud.
        floor_noise: what is lower above the support than this is taken for the support.
        margin: cloud this far around the region is shown to the network.
        max_tilt: largest angle between the approach and straight down; the template has no view within 4.7.
        views_per_seed: approaches looked at from one seed.
        tries_per_seed: grasps of one seed that are tried, best first, until one is free; at most one is kept.
        clearance: the opening is the width that the network gives and this on either side.
        neighbours: how much the scores next to a grasp's, in angle and depth, count against its own; 0: not at all.
        calibrated: whether the score is the probability of success that was fitted, or that of the network as it is.
        stability_weight: exponent of the stability in the odds of the score; 0 ignores it.
        min_score: worse grasps are dropped.
        tip_clearance: no part of the gripper is nearer to the support.
        max_shift: farthest that a grasp is shifted to centre it; beyond the clearance a finger may meet what is unseen.
        min_inner: grasps with fewer points of the cloud between the fingers are dropped.
        sweep: how far back along the approach the gripper must be free.
        max_hits: points of the cloud that may lie inside the gripper.
        nms_translation, nms_rotation: grasps nearer than both to a better one are dropped.
        max_grasps: most grasps returned.
    """

    device: str = "cpu"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    support_height: float | None = None
    floor_noise: Positive = 0.006
    margin: NonNegative = 0.05
    max_tilt: Annotated[float, Field(ge=5, le=90)] = 60.0
    views_per_seed: Annotated[int, Field(ge=1, le=8)] = 1
    tries_per_seed: Annotated[int, Field(ge=1, le=60)] = 2
    clearance: NonNegative = CLEARANCE
    neighbours: NonNegative = 1.0
    calibrated: bool = True
    stability_weight: NonNegative = 0.3
    min_score: Annotated[float, Field(ge=0, lt=1)] = 0.05
    tip_clearance: NonNegative = 0.004
    max_shift: NonNegative = CLEARANCE
    min_inner: Count = 4
    sweep: NonNegative = 0.05
    max_hits: Annotated[int, Field(ge=0)] = 0
    nms_translation: Positive = 0.03
    nms_rotation: Positive = 30.0
    max_grasps: Count = 1000

    @property
    def dtype(self) -> torch.dtype:
        """What ``precision`` means on this machine."""
        if self.precision != "auto":
            return getattr(torch, self.precision)
        fast = self.device == "cpu" and torch.cpu.get_capabilities().get("amx_bf16", False)
        return torch.bfloat16 if fast else torch.float32

    @classmethod
    def create(cls, **values: Any) -> "DenseParams":
        """From keyword arguments; ConfigError names what is unknown or wrong, or a device that is not there."""
        try:
            params = cls(**values)
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ConfigError(f"dense detector: {problems}") from error
        try:
            torch.empty(0, device=params.device)
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(f"dense detector: device {params.device!r} is not usable: {error}") from error
        return params
