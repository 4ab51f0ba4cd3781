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
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grasp_core.camera import CameraProfile
from grasp_core.errors import InputError

MODES = ("none", "stereo")
BANK_SEED = 20_415


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
    depth_scale: float = 0.001  # m per unit of the result
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
            depth_scale=profile.depth_scale,
        )


class DepthNoise:
    """Turns rendered depth into the 16-bit depth image of the camera; call it once per frame.

    mode `none` only rounds to the camera's depth unit.
    """

    def __init__(self, model: StereoModel, mode: str = "stereo") -> None:
        if mode not in MODES:
            raise InputError(f"depth noise '{mode}' is unknown: expected one of {', '.join(MODES)}")
        self.model, self.mode = model, mode
        self._bank: NDArray[np.float32] | None = None

    @classmethod
    def from_profile(cls, profile: CameraProfile, mode: str | None = None) -> DepthNoise:
        """The noise of a camera profile; mode None: the profile's own."""
        return cls(StereoModel.from_profile(profile), profile.noise if mode is None else mode)

    def __call__(
        self,
        depth: NDArray[np.float32],
        rng: np.random.Generator,
        color: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint16]:
        """Degrade one image.

        Args:
            depth: (H, W) float, m along the optical axis; not finite or <= 0 means nothing there.
            rng: the only source of chance.
            color: (H, W, 3) uint8 aligned with depth; without it nothing is lost to dark or saturated surfaces.

        Returns (H, W) uint16 in units of depth_scale, 0 where there is no measurement. InputError on wrong shapes.
        """
        depth = np.asarray(depth, dtype=np.float32)
        if depth.ndim != 2 or (color is not None and (color.shape != (*depth.shape, 3) or color.dtype != np.uint8)):
            what = "none" if color is None else f"{color.dtype} {color.shape}"
            raise InputError(f"depth noise needs (H, W) depth and (H, W, 3) uint8 colour, got {depth.shape} and {what}")
        if self.mode == "none":
            return self._to_units(depth, np.zeros(depth.shape, bool))
        return self._stereo(depth, rng, color)

    def _stereo(
        self, depth: NDArray[np.float32], rng: np.random.Generator, color: NDArray[np.uint8] | None
    ) -> NDArray[np.uint16]:
        model = self.model
        with np.errstate(invalid="ignore"):
            missing = ~((depth >= model.near) & (depth <= model.far))
        seen = np.where(missing, np.float32(model.far), depth)
        disparity = np.float32(model.focal * model.baseline) / seen
        holes = missing | occluded(disparity)
        holes |= self._grazing(seen, self._patches(depth.shape, rng))
        if color is not None:
            holes |= self._unlit(color, self._patches(depth.shape, rng))
        self._blur_edges(disparity, holes, rng)
        scale = np.float32(model.stereo_focal / model.focal / model.disparity_step)
        disparity *= scale
        noise = self._patches(depth.shape, rng)
        noise *= np.float32(model.disparity_rms / model.disparity_step)
        disparity += noise
        np.rint(disparity, out=disparity)
        np.maximum(disparity, np.float32(1.0), out=disparity)
        metres = np.float32(model.stereo_focal * model.baseline / model.disparity_step) / disparity
        holes |= (metres < model.near) | (metres > model.far)
        return self._to_units(metres, holes)

    def _to_units(self, depth: NDArray[np.float32], holes: NDArray[np.bool_]) -> NDArray[np.uint16]:
        units = depth * np.float32(1.0 / self.model.depth_scale)
        np.rint(units, out=units)
        with np.errstate(invalid="ignore"):
            good = (units > 0) & (units <= np.iinfo(np.uint16).max)
        good &= ~holes
        return np.where(good, units, np.float32(0.0)).astype(np.uint16)

    def _patches(self, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """Correlated noise of unit variance: the sum of two random cuts out of a prepared bank."""
        height, width = shape
        if self._bank is None or self._bank.shape != (2 * height, 2 * width):
            self._bank = self._make_bank(height, width)
        rows, columns = rng.integers(height, size=2), rng.integers(width, size=2)
        cuts = [self._bank[r : r + height, c : c + width] for r, c in zip(rows, columns, strict=True)]
        return cuts[0] + cuts[1][::-1]

    def _make_bank(self, height: int, width: int) -> NDArray[np.float32]:
        model, rng = self.model, np.random.default_rng(BANK_SEED)
        total = np.zeros((2 * height, 2 * width), np.float32)
        for sigma, share in ((model.correlation, 1 - model.wave_share), (model.wave_length, model.wave_share)):
            field = rng.standard_normal(total.shape, dtype=np.float32)
            field = ndimage.gaussian_filter(field, sigma, mode="wrap", truncate=3.0)
            total += field * np.float32(np.sqrt(share / 2) / field.std())  # two cuts are added: half the variance each
        return total

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

    def _unlit(self, color: NDArray[np.uint8], patches: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Where too little of the projected pattern comes back, or so much that the imagers saturate."""
        model = self.model
        red, green, blue = color[..., 0], color[..., 1], color[..., 2]
        brightest = np.maximum(np.maximum(red, green), blue)
        darkest = np.minimum(np.minimum(red, green), blue)
        limit = patches * np.float32(model.dark_spread) + np.float32(model.dark)
        lost = brightest < limit
        quantile = NormalDist().inv_cdf(1 - model.saturated_hole)
        lost |= (darkest >= model.saturated) & (patches > quantile)
        return lost

    def _blur_edges(self, disparity: NDArray[np.float32], holes: NDArray[np.bool_], rng: np.random.Generator) -> None:
        """Along depth edges: take the nearer of two random neighbours half of the time, or lose the point."""
        model, width = self.model, disparity.shape[1]
        band = np.flatnonzero(_near_steps(disparity, model.edge_jump, model.edge_reach))
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


def _near_steps(values: NDArray[np.float32], jump: float, reach: int) -> NDArray[np.bool_]:
    """Which pixels lie within `reach` of a jump between two neighbours in the same row or column."""
    near = np.zeros(values.shape, bool)
    for axis in (0, 1):
        moved, marks = np.moveaxis(values, axis, 0), np.moveaxis(near, axis, 0)
        step = moved[1:] - moved[:-1]
        jumps = (step > jump) | (step < -jump)
        count = len(jumps)
        for shift in range(1 - reach, reach + 1):  # a jump after row i marks rows i + 1 - reach .. i + reach
            low, high = max(0, -shift), min(count, len(marks) - shift)
            marks[low + shift : high + shift] |= jumps[low:high]
    return near


def occluded(disparity: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels (H, W) of the left imager that the right one does not see: something nearer covers them there.

    A pixel in column u appears in the right image at u - disparity; whatever starts farther to the right here and
    appears no farther to the right there lies in front of it.
    """
    width = disparity.shape[1]
    there = np.arange(width, dtype=np.float32) - disparity
    nearest = np.minimum.accumulate(there[:, ::-1], axis=1)[:, ::-1]
    return there > nearest + np.float32(0.5)
