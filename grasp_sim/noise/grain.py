"""Noise of colour pictures: what a sensor's electronics add to every pixel."""

from __future__ import annotations

import numpy as np


def grain(color: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Colour (H, W, 3) uint8 with normal noise of `sigma` (of 255) in every channel; 0: as it is."""
    if sigma <= 0.0:
        return color
    noise = rng.standard_normal(color.shape, np.float32) * np.float32(sigma)
    return np.clip(np.rint(color + noise), 0, 255).astype(np.uint8)
