"""Surfaces as points."""

from __future__ import annotations

import numpy as np


def ball(centre: tuple[float, float, float], radius: float) -> np.ndarray:
    """Points all over a ball, about 1 mm apart."""
    count = int(4 * np.pi * radius**2 / 0.001**2)
    z = (2 * np.arange(count) + 1) / count - 1.0
    around = np.arange(count) * np.pi * (3.0 - np.sqrt(5.0))
    level = np.sqrt(1.0 - z * z)
    unit = np.stack([level * np.cos(around), level * np.sin(around), z], axis=1)
    return (np.array(centre) + radius * unit).astype(np.float32)
