"""What a structured-light depth camera (PrimeSense, Kinect v1, SR300) makes of a perfect depth image.

- axial noise: sigma = 0.0012 + 0.0019 (z - 0.4)^2 + 0.0001 / sqrt(z) * t^2 / (pi/2 - t)^2 m at distance z m and angle t
  between view and normal; lateral noise: 0.8 + 0.035 t / (pi/2 - t) px, seen where depth jumps (Nguyen, Izadi and
  Lovell 2012, "Modeling Kinect Sensor Noise for Improved 3D Reconstruction and Tracking", measured on a Kinect v1 from
  0.4 m on and up to about 80 deg).
- quantisation: steps of 2.85 z^2 mm, z in m (Khoshelham and Elberink 2012, "Accuracy and Resolution of Kinect Depth
  Data for Indoor Mapping Applications"), that is equal steps of inverse depth. The axial noise was measured with it, so
  only the rest of the noise is added before rounding.
- the shadow of the projector, to the left of nearer things.
- grazing, dark and saturated surfaces: patchy holes. Nearer than the minimum distance or beyond the far limit: nothing.

The figures are the Kinect's for every camera of this class; a profile adds focal length, baseline and limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import CameraProfile
from grasp_sim.noise.holes import near_steps, occluded, unlit
from grasp_sim.noise.patches import Patches


@dataclass(frozen=True)
class StructuredLightModel:
    """Parameters of one camera; m unless said otherwise. Those without a source are assumptions of this model."""

    focal: float  # px
    baseline: float
    near: float
    far: float
    axial: tuple[float, float, float] = (0.0012, 0.0019, 0.4)  # a + b (z - c)^2
    tilted: float = 0.0001
    lateral: tuple[float, float] = (0.8, 0.035)  # px
    inverse_step: float = 2.85e-3  # 1/m
    correlation: float = 1.0  # px, standard deviation of the smoothing: neighbours share most of their window (assumed)
    grazing: float = 80.0  # deg, where half of the surface is lost
    edge: float = 0.01  # change of depth between neighbours, over depth, that makes an edge (assumed)
    edge_reach: int = 2  # px
    dark: float = 18.0  # of 255 (this and the next three as for stereo, assumed)
    dark_spread: float = 6.0
    saturated: float = 253.0
    saturated_hole: float = 0.25

    @classmethod
    def from_profile(cls, profile: CameraProfile) -> StructuredLightModel:
        """The model of a camera profile with its focal length, baseline and limits."""
        return cls(focal=profile.fx, baseline=profile.baseline, near=profile.near, far=profile.far)

    def deviation(self, depth: NDArray[np.float32], angle: NDArray[np.float32]) -> NDArray[np.float32]:
        """Axial noise, m, at depth (m) and angle (rad) of the same shape."""
        base, growth, start = (np.float32(v) for v in self.axial)
        ratio = angle / (np.float32(np.pi / 2) - angle)
        return base + growth * np.square(depth - start) + np.float32(self.tilted) * np.square(ratio) / np.sqrt(depth)


class StructuredLight:
    """The camera model; it prepares its noise once for each image size."""

    def __init__(self, model: StructuredLightModel) -> None:
        self.model = model
        self.patches = Patches(((model.correlation, 1.0),))

    def __call__(
        self, depth: NDArray[np.float32], rng: np.random.Generator, color: NDArray[np.uint8] | None = None
    ) -> NDArray[np.float32]:
        """Measured depth (H, W) in m, 0 where nothing is measured."""
        model = self.model
        missing = ~((depth >= model.near) & (depth <= model.far))
        seen = np.where(missing, np.float32(model.far), depth)
        holes = missing | occluded(np.float32(model.focal * model.baseline) / seen)
        angle = np.arctan(_slope(seen, model.focal))
        holes |= angle > np.deg2rad(model.grazing + 2.0 * self.patches(depth.shape, rng))
        if color is not None:
            lit = (model.dark, model.dark_spread, model.saturated, model.saturated_hole)
            holes |= unlit(color, self.patches(depth.shape, rng), *lit)
        np.minimum(angle, np.float32(np.deg2rad(model.grazing)), out=angle)
        self._shake_edges(seen, angle, holes, rng)
        metres = self._measure(seen, angle, rng)
        holes |= missing | ~((metres >= model.near) & (metres <= model.far))
        metres[holes] = 0.0
        return metres

    def _measure(
        self, depth: NDArray[np.float32], angle: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Axial noise and quantisation, which together have the published deviation."""
        step = np.float32(self.model.inverse_step)
        rounding = step * np.square(depth) / np.float32(np.sqrt(12.0))
        left = np.square(self.model.deviation(depth, angle)) - np.square(rounding)
        noisy = depth + np.sqrt(np.maximum(left, 0.0)) * self.patches(depth.shape, rng)
        np.maximum(noisy, np.float32(self.model.near / 2), out=noisy)  # keeps 1 / depth positive; a hole anyway
        return 1.0 / (np.rint(1.0 / (noisy * step)) * step)

    def _shake_edges(
        self,
        depth: NDArray[np.float32],
        angle: NDArray[np.float32],
        holes: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> None:
        """Lateral noise: along depth edges each pixel shows what lies a random fraction of a pixel or more beside it.

        Elsewhere a shift shows the same surface, and what it adds on a slope is part of the axial noise as measured.
        """
        model, (height, width) = self.model, depth.shape
        band = np.flatnonzero(near_steps(np.log(depth), model.edge, model.edge_reach))
        if len(band) == 0:
            return
        base, growth = model.lateral
        tilt = angle.ravel()[band]
        spread = base + growth * tilt / (np.pi / 2 - tilt)
        rows, columns = np.divmod(band, width)
        shifts = np.rint(rng.standard_normal((2, len(band)), dtype=np.float32) * spread).astype(int)
        source = np.clip(rows + shifts[0], 0, height - 1) * width + np.clip(columns + shifts[1], 0, width - 1)
        for image in (depth, holes):
            image.ravel()[band] = image.ravel()[source]


def _slope(depth: NDArray[np.float32], focal: float) -> NDArray[np.float32]:
    """Tangent of the angle between view and normal, by the smaller of the two differences in rows and in columns.

    The smaller one, because the larger may belong to an edge. Exact in the middle of the image.
    """
    total = np.zeros_like(depth)
    for axis in (0, 1):
        moved, result = np.moveaxis(depth, axis, 0), np.moveaxis(total, axis, 0)
        step = np.square(moved[1:] - moved[:-1])
        result[1:-1] += np.minimum(step[1:], step[:-1])
        result[0] += step[0]
        result[-1] += step[-1]
    return np.sqrt(total) * np.float32(focal) / depth
