"""What differs between the arms: kinematics, limits, rate, and what the controller says about itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grasp_core.errors import ConfigError

PI = float(np.pi)
Version = tuple[int, int, int, int]
"""Major, minor, bugfix, build of PolyScope."""


@dataclass(frozen=True)
class UrModel:
    """One arm. ``a``, ``d`` (6,) m and ``alpha`` (6,) rad: Denavit-Hartenberg parameters; limits rad, rad/s, rad/s^2.

    Sources: Universal Robots, "DH parameters for calculations of kinematics and dynamics"; the user manuals' joint
    limits. ``acceleration`` is what a servo command may ask for here; the real limit depends on the load.
    """

    name: str
    a: tuple[float, ...]
    d: tuple[float, ...]
    rate: float
    version: Version
    alpha: tuple[float, ...] = (PI / 2, 0.0, 0.0, PI / 2, -PI / 2, 0.0)
    position: tuple[float, ...] = (2 * PI, 2 * PI, PI, 2 * PI, 2 * PI, 2 * PI)
    velocity: tuple[float, ...] = (PI,) * 6
    acceleration: float = 40.0
    home: tuple[float, ...] = (0.0, -PI / 2, PI / 2, -PI / 2, -PI / 2, 0.0)


MODELS = {
    "ur5": UrModel(
        name="UR5",
        a=(0.0, -0.425, -0.39225, 0.0, 0.0, 0.0),
        d=(0.089159, 0.0, 0.0, 0.10915, 0.09465, 0.0823),
        rate=125.0,
        version=(3, 15, 8, 106339),
    ),
    "ur5e": UrModel(
        name="UR5",  # the dashboard of an e-Series says so, too
        a=(0.0, -0.425, -0.3922, 0.0, 0.0, 0.0),
        d=(0.1625, 0.0, 0.0, 0.1333, 0.0997, 0.0996),
        rate=500.0,
        version=(5, 11, 1, 108318),
    ),
}


def find_model(name: str) -> UrModel:
    """The model of a name such as ``ur5e``; ConfigError lists the known ones."""
    if name not in MODELS:
        raise ConfigError(f"no UR model {name!r}; there are: {', '.join(MODELS)}")
    return MODELS[name]
