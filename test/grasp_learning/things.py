"""Simple objects whose grasps can be worked out by hand."""

from __future__ import annotations

import numpy as np

from grasp_core.gripper import Gripper
from grasp_sim.objects import ObjectSpec
from grasp_sim.objects.spec import Part

GRIPPER = Gripper.load("robotiq_2f85")
DOWN = np.diag([1.0, -1.0, -1.0])  # approach from above, closing along x


def thing(*parts: Part, name: str = "thing") -> ObjectSpec:
    return ObjectSpec(name, "thing", parts, mass=0.2, friction=0.6, rgba=(0.5, 0.5, 0.5, 1.0), grasp_width=0.04)


def box(*size: float, at: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Part:
    return Part("box", tuple(s / 2 for s in size), at)
