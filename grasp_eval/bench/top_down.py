"""The other reference: straight down somewhere on an object, the fingers turned at random. It must do badly."""

from __future__ import annotations

import numpy as np

from grasp_core.cell import Box
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_core.se3 import rpy_matrix
from grasp_perception.detectors import support

OBJECT = 0.008  # m above the support from where a point is taken to be an object's
REACH = 0.02  # m that the fingertips go below the point
TIPS = 0.004  # m above the support, at least
COUNT = 20  # grasps offered
_DOWN = np.diag([1.0, -1.0, -1.0])


class TopDown:
    """Grasps straight down at random visible points with random turns, wide open; ``reset`` seeds it."""

    name = "top_down"

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def reset(self, seed: int) -> None:
        """Start the sequence of random numbers that belongs to ``seed``."""
        self._rng = np.random.default_rng(seed)

    def detect(self, observation: Observation, gripper: Gripper, region: Box | None = None) -> Grasps:
        """At most COUNT grasps with random scores."""
        points = observation.cloud.points
        if len(points) == 0:
            return Grasps.empty(self.name)
        floor = support.estimate_height(points, region)
        usable = points[:, 2] > floor + OBJECT
        if region is not None:
            usable &= region.contains(points)
        points = points[usable]
        if len(points) == 0:
            return Grasps.empty(self.name)
        t = points[self._rng.integers(len(points), size=COUNT)].astype(np.float64)
        t[:, 2] = np.maximum(t[:, 2] - REACH, floor + TIPS)
        R = np.stack([rpy_matrix(0.0, 0.0, turn) @ _DOWN for turn in self._rng.uniform(0.0, np.pi, COUNT)])
        score = self._rng.random(COUNT)
        return Grasps.create(R, t, np.full(COUNT, gripper.max_width), REACH, score, detector=self.name).sorted()
