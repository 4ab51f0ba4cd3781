"""The labels of the scenes of a batch, and what they say of a seed, in the template of the augmented scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grasp_learning.object_labels import FRICTION_STEP, WIDTH_STEP
from grasp_learning.scenes.scene_files import SceneLabels
from grasp_learning.training.augmentation import Motion
from grasp_learning.training.mapping import template_maps
from grasp_learning.training.tensors import Tensors
from grasp_perception.dense.template import ANGLES, DEPTHS, rotations

DECENT = 0.6  # friction that counts for how good a view is, GSNet's
DECENT_CODE = round(DECENT / FRICTION_STEP)


@dataclass(frozen=True, eq=False)
class LabelTable(Tensors):
    """P label points of O objects, Q rows of codes; all scenes of a batch.

    Attributes:
        owner: (P,) int64, object.
        row: (P, VIEWS) int32, row of the codes for a view of the object's own template; -1: no grasps.
        share: (Q,) float32, share of a row's candidates with friction at most 0.6.
        friction_code, width_code: (Q, ANGLES * DEPTHS) uint8, see ``object_labels``.
        view: (O, VIEWS) int64, the object's view for each of the scene; angle: (O, VIEWS, ANGLES) uint8 likewise.
        centre: (O, 3) float32, centre of mass, m; radius: (O,) float32, m from there to the farthest surface point.
    """

    owner: Tensor
    row: Tensor
    share: Tensor
    friction_code: Tensor
    width_code: Tensor
    view: Tensor
    angle: Tensor
    centre: Tensor
    radius: Tensor

    @classmethod
    def build(cls, scenes: Sequence[tuple[SceneLabels, Motion]]) -> LabelTable:
        """The labels of scenes that were moved so."""
        parts: dict[str, list[NDArray]] = {name: [] for name in cls.__dataclass_fields__}
        objects = rows = 0
        for labels, motion in scenes:
            view, angle = template_maps(motion.A @ labels.rotation)
            friction = labels.friction_code
            part = {
                "owner": labels.owner.astype(np.int64) + objects,
                "row": np.where(labels.row < 0, -1, labels.row + rows).astype(np.int32),
                "share": (friction <= DECENT_CODE).mean(axis=1, dtype=np.float32),
                "friction_code": friction,
                "width_code": labels.width_code,
                "view": view,
                "angle": angle.astype(np.uint8),
                "centre": motion(labels.centre_of_mass),
                "radius": labels.radius,
            }
            for name, value in part.items():
                parts[name].append(value)
            objects, rows = objects + len(labels.rotation), rows + len(friction)
        return cls(**{name: torch.from_numpy(np.concatenate(values)) for name, values in parts.items()})

    def views(self, labels: Tensor) -> Tensor:
        """Of label points (M,): share of decent grasps of each view of the scene, (M, VIEWS) float32."""
        rows = self.row[labels].gather(1, self.view[self.owner[labels]]).long()
        return self._padded(self.share)[rows]

    def friction(self, labels: Tensor, views: Tensor) -> Tensor:
        """Least friction (M, ANGLES, DEPTHS) of label points (M,) at views of the scene (M,); 1.275: no grasp."""
        return self._grid(self.friction_code, labels, views, empty=255) * FRICTION_STEP

    def score(self, labels: Tensor, views: Tensor) -> Tensor:
        """1 - friction (M, ANGLES, DEPTHS), 0 where that is negative or there is no grasp."""
        return (1.0 - self.friction(labels, views)).clamp(min=0.0)

    def width(self, labels: Tensor, views: Tensor) -> Tensor:
        """Opening needed (M, ANGLES, DEPTHS), m; 0 where there is no grasp."""
        return self._grid(self.width_code, labels, views, empty=0) * WIDTH_STEP

    def stability(self, labels: Tensor, views: Tensor, points: Tensor) -> Tensor:
        """1 - distance of the centre of mass from the closing plane, in the object's radius; (M, ANGLES) in [0, 1].

        Args:
            labels: (M,) label points. views: (M,) of the scene.
            points: (M, 3) where the grasps are, m.
        """
        owner = self.owner[labels]
        across = torch.as_tensor(rotations()[..., 1].copy(), dtype=points.dtype, device=points.device)[views]
        off = (across * (points - self.centre[owner])[:, None]).sum(2).abs()
        return (1.0 - off / self.radius[owner, None]).clamp(min=0.0)

    def _grid(self, codes: Tensor, labels: Tensor, views: Tensor, empty: int) -> Tensor:
        """Codes of one row for each seed, in the order of the scene's angles: (M, ANGLES, DEPTHS) float32."""
        owner = self.owner[labels]
        row = self.row[labels, self.view[owner, views]].long()
        angle = self.angle[owner, views].long()
        grid = codes[row.clamp(min=0)] if len(codes) else codes.new_zeros(len(row), ANGLES * len(DEPTHS))
        grid = grid.view(-1, ANGLES, len(DEPTHS)).gather(1, angle[..., None].expand(-1, -1, len(DEPTHS)))
        return torch.where((row < 0)[:, None, None], empty, grid).float()

    @staticmethod
    def _padded(values: Tensor) -> Tensor:
        return torch.cat([values, values.new_zeros(1)])  # row -1 is the zero at the end
