"""The noise of the GIGA protocol, made for Dex-Net: a wrong scale for each image, and a bumpy surface.

Mahler et al. 2017 (Dex-Net 2.0): y = a * depth + e, with a drawn once for each image from a gamma distribution of shape
1000 and scale 0.001 (mean 1, deviation 3.2 %), and e a Gaussian process over the pixels with deviation 0.005 m and
correlation length sqrt(2) px. Jiang et al. 2021 (GIGA) use the same. As in Dex-Net's own code, the process is white
noise on a grid of every 4th pixel, brought to full size by bicubic interpolation; that leaves 4.1 mm RMS of the 5 mm.

The released codes (training of GQ-CNN, GIGA's vgn/utils/misc.py) add the process to every second image only, at random,
and GIGA's interpolates linearly (3.3 mm RMS). `rate` is that share; the default is what the papers say: every image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class GammaGpModel:
    """Parameters of the noise; the gamma distribution's scale is 1 / shape, so that its mean is 1."""

    shape: float = 1000.0
    deviation: float = 0.005  # m
    grid: int = 4  # px between the independent values
    rate: float = 1.0  # share of the images that have the process


class GammaGp:
    """The noise as a camera model."""

    def __init__(self, model: GammaGpModel) -> None:
        self.model = model

    def __call__(
        self, depth: NDArray[np.float32], rng: np.random.Generator, color: NDArray[np.uint8] | None = None
    ) -> NDArray[np.float32]:
        """Measured depth (H, W) in m; there is a measurement wherever depth is > 0."""
        model = self.model
        measured = depth * np.float32(rng.gamma(model.shape, 1.0 / model.shape))
        if rng.random() < model.rate:
            measured += self._process(depth.shape, rng)
        measured[(depth <= 0) | (measured < 0)] = 0.0
        return measured

    def _process(self, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        height, width = shape
        cells = (-(-height // self.model.grid), -(-width // self.model.grid))
        coarse = rng.standard_normal(cells, dtype=np.float32) * np.float32(self.model.deviation)
        return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
