"""What a stereo depth camera makes of a perfect depth image.

The model works on disparity, as the camera does, and puts together what is published about active stereo cameras:

- noise: depth RMS = z^2 * subpixel / (f * b), with the focal length f of the stereo imagers in px and baseline b.
  Subpixel about 0.08 px for a D400 (its maker in librealsense issue 3904; the formula also in Intel's "Tuning depth
  cameras for best performance", section 5): D435 1 mm at 0.5 m and 3.8 mm at 1 m, within the 2.5..5 mm at 1 m that
  librealsense issue 7806 gives. The noise is correlated over the matching window.
- quantisation: disparity in steps of 1/32 px (Intel's white paper on subpixel linearity): 0.4 mm at 0.5 m.
- occlusion: what the second imager (to the right) does not see: the band to the left of a nearer edge.
- edges: ragged and fattened by the matching window, with holes.
- grazing surfaces, dark or saturated ones: patchy holes.
- nearer than the minimum distance or beyond the far limit: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import CameraProfile
from grasp_sim.noise.holes import near_steps, occluded, unlit
from grasp_sim.noise.patches import Patches


@dataclass(frozen=True)
class StereoModel:
    """Parameters of one camera; px unless said otherwise.

    focal: of the image that is degraded. stereo_focal: of the imagers that measured it, in their own px.
    """

    focal: float
    stereo_focal: float
    baseline: float  # m
    near: float  # m
    far: float  # m
    disparity_rms: float = 0.08
    disparity_step: float = 1 / 32
    correlation: float = 2.0  # standard deviation of the smoothing: a matching window of about 7 px
    wave_share: float = 0.3  # of the noise that is slow waves
    wave_length: float = 16.0
    edge_jump: float = 1.0  # change of disparity between neighbours that makes an edge
    edge_reach: int = 2
    edge_hole: float = 0.25  # probability in the band along an edge
    grazing: float = 5.0  # tangent of the angle between normal and view (79 deg) where half of the surface is lost
    dark: float = 18.0  # of 255, brightest channel, where half of the surface is lost
    dark_spread: float = 6.0
    saturated: float = 253.0  # of 255, darkest channel, from where on part of the surface is lost
    saturated_hole: float = 0.25

    @classmethod
    def from_profile(cls, profile: CameraProfile) -> StereoModel:
        """The model of a camera profile with its baseline, focal lengths and limits."""
        return cls(
            focal=profile.fx,
            stereo_focal=profile.stereo_fx or profile.fx,
            baseline=profile.baseline,
            near=profile.near,
            far=profile.far,
        )


class Stereo:
    """The camera model; it prepares its noise once for each image size."""

    def __init__(self, model: StereoModel) -> None:
        self.model = model
        self.patches = Patches(((model.correlation, 1 - model.wave_share), (model.wave_length, model.wave_share)))

    def __call__(
        self, depth: NDArray[np.float32], rng: np.random.Generator, color: NDArray[np.uint8] | None = None
    ) -> NDArray[np.float32]:
        """Measured depth (H, W) in m, 0 where nothing is measured."""
        model = self.model
        missing = ~((depth >= model.near) & (depth <= model.far))
        seen = np.where(missing, np.float32(model.far), depth)
        disparity = np.float32(model.focal * model.baseline) / seen
        holes = missing | occluded(disparity)
        holes |= self._grazing(seen, self.patches(depth.shape, rng))
        if color is not None:
            lit = (model.dark, model.dark_spread, model.saturated, model.saturated_hole)
            holes |= unlit(color, self.patches(depth.shape, rng), *lit)
        self._blur_edges(disparity, holes, rng)
        scale = np.float32(model.stereo_focal / model.focal / model.disparity_step)
        disparity *= scale
        noise = self.patches(depth.shape, rng)
        noise *= np.float32(model.disparity_rms / model.disparity_step)
        disparity += noise
        np.rint(disparity, out=disparity)
        np.maximum(disparity, np.float32(1.0), out=disparity)
        metres = np.float32(model.stereo_focal * model.baseline / model.disparity_step) / disparity
        holes |= (metres < model.near) | (metres > model.far)
        metres[holes] = 0.0
        return metres

    def _grazing(self, depth: NDArray[np.float32], patches: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Where the surface is too steep; the limit varies by patches of about 15 %."""
        slope = np.zeros_like(depth)
        across, down = depth[:, 2:] - depth[:, :-2], depth[2:] - depth[:-2]
        slope[:, 1:-1] = np.square(across, out=across)
        slope[1:-1] += np.square(down, out=down)
        limit = patches
        limit *= np.float32(0.15)
        limit += np.float32(1.0)
        limit *= depth
        limit *= np.float32(2 * self.model.grazing / self.model.focal)
        return slope > np.square(limit, out=limit)

    def _blur_edges(self, disparity: NDArray[np.float32], holes: NDArray[np.bool_], rng: np.random.Generator) -> None:
        """Along depth edges: take the nearer of two random neighbours half of the time, or lose the point."""
        model, width = self.model, disparity.shape[1]
        band = np.flatnonzero(near_steps(disparity, model.edge_jump, model.edge_reach))
        if len(band) == 0:
            return
        reach = model.edge_reach
        shifts = (np.arange(-reach, reach + 1)[:, None] * width + np.arange(-reach, reach + 1)).ravel()
        neighbours = band + shifts[rng.integers(len(shifts), size=len(band))]
        own, flat = disparity.ravel()[band], disparity.ravel()
        chance = rng.random(len(band), dtype=np.float32)
        nearer = np.maximum(own, flat.take(neighbours, mode="clip"))
        flat[band] = np.where(chance < 0.5, nearer, own)
        holes.ravel()[band] |= chance > 1.0 - model.edge_hole
