"""The free grasps of a scene's labels one by one, and the best of them, for looking at and for checks by physics."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from grasp_core.grasps import Grasps
from grasp_learning.contacts import MAX_FRICTION
from grasp_learning.object_labels import DETECTOR, FRICTION_STEP, NO_GRASP, SPREAD, WIDTH_STEP
from grasp_learning.scenes.scene_files import SceneLabels, SceneSample
from grasp_perception.dense.template import DEPTHS, rotations


@dataclass(frozen=True, eq=False)
class Candidates:
    """K free grasps: indices of label point, view, angle and depth; least friction; width needed, m; all (K,)."""

    point: NDArray[np.int64]
    view: NDArray[np.int64]
    angle: NDArray[np.int64]
    depth: NDArray[np.int64]
    friction: NDArray[np.float64]
    width: NDArray[np.float64]

    @classmethod
    def of(cls, labels: SceneLabels) -> Candidates:
        """All of a scene."""
        point, view = np.nonzero(labels.row >= 0)
        origin = np.empty((len(labels.friction_code), 2), dtype=np.int64)
        origin[labels.row[point, view]] = np.stack([point, view], axis=1)
        row, code = np.nonzero(labels.friction_code != NO_GRASP)
        needed, width = labels.friction_code[row, code], labels.width_code[row, code]
        angle, depth = np.divmod(code, len(DEPTHS))
        return cls(*origin[row].T, angle, depth, needed * FRICTION_STEP, np.maximum(width, 1) * WIDTH_STEP)

    def __len__(self) -> int:
        return len(self.point)

    def __getitem__(self, index: NDArray | slice) -> Candidates:
        return Candidates(*(getattr(self, field.name)[index] for field in fields(self)))

    def grasps(self, labels: SceneLabels) -> Grasps:
        """In the base frame, without scores; track_id: index of the object."""
        owner = labels.owner[self.point]
        R = labels.rotation[owner] @ rotations()[self.view, self.angle]
        reach = np.array(DEPTHS)[self.depth]
        t = labels.points[self.point] + reach[:, None] * R[:, :, 2]
        arm = labels.points[self.point] - labels.centre_of_mass[owner]
        off = np.abs(np.einsum("ki,ki->k", R[:, :, 1], arm)) / labels.radius[owner]
        return Grasps.create(
            R,
            t,
            self.width,
            depth=reach,
            stability=np.clip(1.0 - off, 0.0, 1.0),
            track_id=owner.astype(np.int32),
            detector=DETECTOR,
        )


def best(sample: SceneSample, count: int) -> Grasps:
    """At most ``count`` good free grasps, best first, none close to a better one; base frame.

    Score: log-friction between MAX_FRICTION (0) and FRICTION_STEP (1), times stability.
    """
    candidates = Candidates.of(sample.labels)
    found = candidates.grasps(sample.labels)
    needed = np.maximum(candidates.friction, FRICTION_STEP)
    score = np.log(MAX_FRICTION / needed) / np.log(MAX_FRICTION / FRICTION_STEP) * found.stability
    top = np.argsort(-score, kind="stable")[: SPREAD * count]
    return replace(found[top], score=score[top].astype(np.float32)).nms()[:count]
