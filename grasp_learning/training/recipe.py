"""How a network is trained: all that the result depends on, apart from the scenes."""

from __future__ import annotations

from typing import Annotated, Literal

import yaml
from pydantic import Field

from grasp_core.config import StrictModel
from grasp_perception.dense.config import DenseConfig

Share = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class AugmentationRecipe(StrictModel):
    """What changes between two looks at the same view. Lengths in m.

    Attributes:
        mirror: share of the samples that are mirrored; all are turned about the vertical.
        shift: largest shift along x and y.
        support_error: standard deviation of the error of the support's height.
        dropout: largest share of the points that are left out.
        jitter: standard deviation of what is added to each coordinate.
        no_camera: share of the samples whose camera is not known.
        margin_min, margin_max: background this far around the objects is kept; drawn for each side.
    """

    mirror: Share = 0.5
    shift: NonNegative = 0.2
    support_error: NonNegative = 0.002
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    jitter: NonNegative = 0.0005
    no_camera: Share = 0.1
    margin_min: NonNegative = 0.02
    margin_max: NonNegative = 0.12


class LossWeights(StrictModel):
    """Factors of the terms of the loss, see ``losses``."""

    objectness: NonNegative = 1.0
    graspness: NonNegative = 10.0
    view: NonNegative = 20.0
    score: NonNegative = 10.0
    width: NonNegative = 5.0
    stability: NonNegative = 1.0


class Recipe(StrictModel):
    """See the module.

    Attributes:
        network: what is trained.
        steps: how many of them; the schedule of the learning rate depends on it.
        batch: scenes of each step, on each process.
        seed: of weights, order and augmentation.
        precision: of the expensive layers; weights, statistics and losses are float32.
        learning_rate: its peak. warm_up: share of the steps until then; it falls to 1 % along a cosine.
        weight_decay: of AdamW, not of biases and normalisations. clip: largest norm of the gradient.
        average: decay of the running average of the weights, which is what is used in the end.
        seeds: places of each scene that labels choose. graspable: share of them where something can be grasped.
        own_seeds: share of the steps that look at places the network chooses. own_after: share of the steps before.
        label_views: share of the seeds whose approach is drawn from the labels; the network draws the others.
        sharpness: approaches are drawn in proportion to their score to the power of this.
        max_tilt: farthest from straight down that they are drawn, degrees.
        match: largest distance between a voxel and the point whose labels it gets, m.
    """

    network: DenseConfig = DenseConfig()
    steps: Count = 10_000
    batch: Count = 2
    seed: Annotated[int, Field(ge=0)] = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    learning_rate: Positive = 2e-3
    warm_up: Share = 0.05
    weight_decay: NonNegative = 0.01
    clip: Positive = 10.0
    average: Annotated[float, Field(ge=0, lt=1)] = 0.999
    seeds: Count = 384
    graspable: Share = 0.67
    own_seeds: Share = 0.25
    own_after: Share = 0.2
    label_views: Share = 0.5
    sharpness: Positive = 2.0
    max_tilt: Annotated[float, Field(gt=0, le=180)] = 75.0
    match: Positive = 0.006
    augmentation: AugmentationRecipe = AugmentationRecipe()
    weights: LossWeights = LossWeights()

    def to_yaml(self) -> str:
        """As text that ``grasp_core.config.load_model`` reads."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
