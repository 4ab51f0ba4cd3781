"""The dense network: from voxels to scored grasps at the most graspable places."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grasp_perception.dense import sampling, template
from grasp_perception.dense.backbone import Backbone, Readout
from grasp_perception.dense.config import DenseConfig
from grasp_perception.dense.heads import GraspHead, PointHead, ViewHead, best_views, drawn_views
from grasp_perception.dense.inputs import Encoded


@dataclass(frozen=True)
class PointFeatures:
    """V voxels: features (V, P), logits of belonging to an object (V,), graspness (V,)."""

    features: Tensor
    objectness: Tensor
    graspness: Tensor


@dataclass(frozen=True)
class DenseOutput:
    """What the network says; V voxels, M seeds.

    Attributes:
        objectness: (V,) logits of belonging to an object.
        graspness: (V,) trained to lie in [0, 1].
        seeds: (M,) int64 voxels that were looked at closely, scene after scene.
        view_scores: (M, VIEWS) trained to lie in [0, 1].
        views: (M,) int64 the view that was taken.
        score: (M, ANGLES, DEPTHS) logits.
        width: (M, ANGLES, DEPTHS) m, thickness of what is held; no margin.
        stability: (M, ANGLES) logits; high where the closing plane passes through the centre of mass.
    """

    objectness: Tensor
    graspness: Tensor
    seeds: Tensor
    view_scores: Tensor
    views: Tensor
    score: Tensor
    width: Tensor
    stability: Tensor


class DenseModel(nn.Module):
    """See the module. In training mode views are drawn, else the best are taken."""

    def __init__(self, config: DenseConfig | None = None) -> None:
        super().__init__()
        self.config = config or DenseConfig()
        self.backbone = Backbone(self.config)
        self.point_readout = Readout(self.config.widths, self.config.point_channels)
        self.seed_readout = Readout(self.config.widths, self.config.seed_channels)
        self.point_head = PointHead(self.config.point_channels)
        self.view_head = ViewHead(self.config.seed_channels)
        self.grasp_head = GraspHead(self.config)
        frames = torch.from_numpy(template.rotations()[:, 0].copy()).float()
        self.register_buffer("frames", frames, persistent=False)

    def forward(
        self,
        scenes: Encoded,
        seeds: Tensor | None = None,
        views: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> DenseOutput:
        """Everything at once.

        Args:
            scenes: one or several, with as many levels as the network.
            seeds: (M,) voxels to look at instead of those the network would choose.
            views: (M,) their views instead of the network's choice; only with ``seeds``.
            generator: of the drawing of views.
        """
        levels = self.backbone(scenes)
        points = self.look(levels, scenes)
        if seeds is None:
            seeds = self.choose(points, scenes)
        view_scores, seed_features = self.view_head(self.seed_readout(levels, scenes, seeds))
        if views is None:
            views = drawn_views(view_scores, generator) if self.training else best_views(view_scores)
        index, local = self.group(scenes, seeds, views)
        score, width, stability = self.grasp_head(points.features, local, index, seed_features)
        return DenseOutput(points.objectness, points.graspness, seeds, view_scores, views, score, width, stability)

    def lowered(self, dtype: torch.dtype) -> "DenseModel":
        """Itself, with the expensive layers in a cheaper type; what they find is read and judged in float32."""
        for part in (self.backbone, self.grasp_head.first, self.grasp_head.second):
            part.to(dtype)
        return self

    def look(self, levels: list[Tensor], scenes: Encoded) -> PointFeatures:
        """Features and graspness of all voxels from the backbone's ``levels``."""
        features = self.point_readout(levels, scenes)
        return PointFeatures(features, *self.point_head(features))

    def choose(self, points: PointFeatures, scenes: Encoded, allowed: Tensor | None = None) -> Tensor:
        """Seeds (M,) that spread over the graspable voxels, at most ``config.seeds`` per scene.

        Args:
            points: what ``look`` returned.
            scenes: the scenes it was made from.
            allowed: (V,) bool, which voxels may become seeds; None: all.
        """
        good = (points.objectness > 0) & (points.graspness > self.config.threshold)
        if allowed is not None:
            good &= allowed
        chosen = []
        for part in scenes.scenes():
            rows = torch.nonzero(good[part])[:, 0] + part.start
            if len(rows):
                chosen.append(rows[sampling.spread(scenes.points[rows], self.config.seeds)])
        return torch.cat(chosen) if chosen else torch.zeros(0, dtype=torch.int64, device=good.device)

    def group(self, scenes: Encoded, seeds: Tensor, views: Tensor) -> tuple[Tensor, Tensor]:
        """Which voxels (M, K) lie in the cylinder of each seed, and where (M, K, 3) in its frame, m.

        One voxel of each of the second level stands for all of them: a cylinder holds far more than are taken.
        """
        c = self.config
        scene = scenes.levels[0].coords[seeds, 0]
        index, local = [], []
        for number, part in enumerate(scenes.scenes()):
            mine = scene == number
            parents = scenes.ancestors[1][part]
            if not bool(mine.any()):
                continue
            first = int(parents.min())
            rows = sampling.first_per_cell(parents - first, int(parents.max()) - first + 1)
            found, where = sampling.cylinder_groups(
                scenes.points[seeds[mine]], self.frames[views[mine]], scenes.points[part][rows],
                c.radius, c.below, c.above, c.samples,
            )  # fmt: skip
            index.append(torch.where(found < 0, -1, rows[found] + part.start))
            local.append(where)
        if not index:
            return seeds.new_zeros(0, c.samples), scenes.points.new_zeros(0, c.samples, 3)
        return torch.cat(index), torch.cat(local)
