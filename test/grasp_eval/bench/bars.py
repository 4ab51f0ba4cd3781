"""Bars on a table and sound grasps on them from above, for tests whose verdict is known by hand."""

import numpy as np

from grasp_core import se3
from grasp_core.grasps import Grasps
from grasp_sim.objects import ObjectSpec, Part

BAR = (0.18, 0.015, 0.02)  # half sizes, m
STEP = 0.033  # m between grasps on a bar: just beyond the suppression
DEPTH = 0.02
DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])  # approach down, closing across the bar


def bar(half=BAR) -> ObjectSpec:
    return ObjectSpec("bar", "box", (Part("box", tuple(half)),), 0.2, 0.6, (1, 1, 1, 1), 2 * half[1])


def bars(n: int) -> tuple[list[ObjectSpec], np.ndarray]:
    """n parallel bars on the table, 0.15 m apart."""
    middles = np.array([[0.0, 0.15 * i - 0.3, BAR[2]] for i in range(n)]).reshape(-1, 3)
    return [bar()] * n, se3.make(np.eye(3), middles)


def tips(poses: np.ndarray, per_bar: int) -> np.ndarray:
    """(n * per_bar, 3) fingertips of grasps along the bars, 2 cm below their tops."""
    along = STEP * (np.arange(per_bar) - (per_bar - 1) / 2)
    return np.concatenate([np.c_[along, np.zeros((per_bar, 2))] + T[:3, 3] for T in poses])


def good(poses: np.ndarray, per_bar: int = 10, width: float = 0.05) -> Grasps:
    """Sound grasps on every bar, scores falling from the first to the last."""
    t = tips(poses, per_bar)
    n = len(t)
    return Grasps.create(np.tile(DOWN, (n, 1, 1)), t, np.full(n, width), DEPTH, np.linspace(1.0, 0.5, n))


def changed(grasps: Grasps, **arrays: np.ndarray) -> Grasps:
    fields = {k: getattr(grasps, k) for k in ("R", "t", "width", "depth", "score")} | arrays
    return Grasps.create(**fields)
