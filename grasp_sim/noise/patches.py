"""Noise that neighbouring pixels share, made cheaply: cuts out of a bank that is prepared once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BANK_SEED = 20_415


class Patches:
    """Correlated noise of unit variance.

    parts: (standard deviation of the smoothing in px, share of the variance) of each part.
    """

    def __init__(self, parts: tuple[tuple[float, float], ...]) -> None:
        self.parts = parts
        self._bank: NDArray[np.float32] | None = None

    def __call__(self, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W) float32: the sum of two random cuts, so that no two images are alike."""
        height, width = shape
        if self._bank is None or self._bank.shape != (2 * height, 2 * width):
            self._bank = self._make_bank(height, width)
        rows, columns = rng.integers(height, size=2), rng.integers(width, size=2)
        cuts = [self._bank[r : r + height, c : c + width] for r, c in zip(rows, columns, strict=True)]
        return cuts[0] + cuts[1][::-1]

    def _make_bank(self, height: int, width: int) -> NDArray[np.float32]:
        rng = np.random.default_rng(BANK_SEED)
        total = np.zeros((2 * height, 2 * width), np.float32)
        for sigma, share in self.parts:
            field = rng.standard_normal(total.shape, dtype=np.float32)
            field = ndimage.gaussian_filter(field, sigma, mode="wrap", truncate=3.0)
            total += field * np.float32(np.sqrt(share / 2) / field.std())  # two cuts are added: half the variance each
        return total
