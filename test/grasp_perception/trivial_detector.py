"""A detector plugin for node tests: grasps above the points of the region, or the misbehaviour asked for."""

import time

import numpy as np

from grasp_core.grasps import Grasps

POINTING_DOWN = np.diag([1.0, -1.0, -1.0])


class Trivial:
    """`mode`: good, empty, raise, not_a_number; each takes `seconds`."""

    def __init__(self, mode: str = "good", seconds: float = 0.0, count: int = 5) -> None:
        self.mode, self.seconds, self.count = mode, seconds, count
        self.calls = []

    def detect(self, observation, gripper, region=None) -> Grasps:
        self.calls.append((observation, region))
        time.sleep(self.seconds)
        if self.mode == "raise":
            raise ValueError("a tensor of the wrong shape")
        points = observation.cloud.points
        if region is not None:
            points = points[region.contains(points)]
        n = 0 if self.mode == "empty" else min(self.count, len(points))
        t = points[:n] * (np.nan if self.mode == "not_a_number" else 1.0)
        return Grasps.create(np.tile(POINTING_DOWN, (n, 1, 1)), t, np.full(n, 0.05), 0.01, np.linspace(0.1, 0.9, n))


def factory(**params) -> Trivial:
    """What `detector:=test.grasp_perception.trivial_detector:factory` calls."""
    return Trivial(**params)
