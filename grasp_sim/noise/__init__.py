"""What depth cameras make of a perfect depth image.

Modes: `none` (exact), `stereo` (active stereo, D400), `structured_light` (PrimeSense, Kinect v1, SR300) and `gamma_gp`
(the noise that Dex-Net and GIGA train and test under). Each has its sources in its own module.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import CameraProfile
from grasp_core.errors import InputError
from grasp_sim.noise.gamma_gp import GammaGp, GammaGpModel
from grasp_sim.noise.holes import occluded
from grasp_sim.noise.stereo import Stereo, StereoModel
from grasp_sim.noise.structured_light import StructuredLight, StructuredLightModel


class Degrader(Protocol):
    """One model of a camera; stateless but for what it prepares once per image size."""

    def __call__(
        self, depth: NDArray[np.float32], rng: np.random.Generator, color: NDArray[np.uint8] | None
    ) -> NDArray[np.float32]:
        """Measured depth (H, W) in m, 0 where nothing is measured; depth: finite and > 0, or 0 where nothing is."""


class Exact:
    """No noise at all."""

    def __call__(
        self, depth: NDArray[np.float32], rng: np.random.Generator, color: NDArray[np.uint8] | None
    ) -> NDArray[np.float32]:
        """The same depth."""
        return depth


MODES = ("none", "stereo", "gamma_gp", "structured_light")
IN_UNITS = ("stereo", "structured_light")  # these cameras give nothing finer than their depth unit


class DepthNoise:
    """Turns rendered depth into the depth image of a camera; call it once per frame.

    mode: one of MODES; degrade: its model. depth_scale: m per unit of 16-bit images.
    """

    def __init__(self, mode: str, degrade: Degrader, depth_scale: float) -> None:
        self.mode, self.degrade, self.depth_scale = mode, degrade, depth_scale

    @classmethod
    def from_profile(cls, profile: CameraProfile, mode: str | None = None) -> DepthNoise:
        """The noise of a camera profile; mode None: the profile's own. InputError on an unknown mode."""
        mode = profile.noise if mode is None else mode
        if mode not in MODES:
            raise InputError(f"depth noise '{mode}' is unknown: expected one of {', '.join(MODES)}")
        return cls(mode, _make(profile, mode), profile.depth_scale)

    def __call__(
        self, depth: NDArray[np.float32], rng: np.random.Generator, color: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint16]:
        """Degrade one image to what the camera's driver publishes.

        Args:
            depth: (H, W) float, m along the optical axis; not finite or <= 0 means nothing there.
            rng: the only source of chance.
            color: (H, W, 3) uint8 aligned with depth; without it nothing is lost to dark or saturated surfaces.

        Returns (H, W) uint16 in units of depth_scale, 0 where there is no measurement. InputError on wrong shapes.
        """
        return self._units(self._degraded(depth, rng, color))

    def metres(
        self, depth: NDArray[np.float32], rng: np.random.Generator, color: NDArray[np.uint8] | None = None
    ) -> NDArray[np.float32]:
        """As a call, but (H, W) float32 in m; `none` and `gamma_gp` are not rounded to depth units."""
        measured = self._degraded(depth, rng, color)
        if self.mode in IN_UNITS:
            return self._units(measured) * np.float32(self.depth_scale)
        return measured

    def _degraded(
        self, depth: NDArray[np.float32], rng: np.random.Generator, color: NDArray[np.uint8] | None
    ) -> NDArray[np.float32]:
        depth = np.asarray(depth, dtype=np.float32)
        if depth.ndim != 2 or (color is not None and (color.shape != (*depth.shape, 3) or color.dtype != np.uint8)):
            what = "none" if color is None else f"{color.dtype} {color.shape}"
            raise InputError(f"depth noise needs (H, W) depth and (H, W, 3) uint8 colour, got {depth.shape} and {what}")
        with np.errstate(invalid="ignore"):
            there = (depth > 0) & (depth < np.inf)
        return self.degrade(np.where(there, depth, np.float32(0.0)), rng, color)

    def _units(self, metres: NDArray[np.float32]) -> NDArray[np.uint16]:
        units = metres * np.float32(1.0 / self.depth_scale)
        np.rint(units, out=units)
        units[units > np.iinfo(np.uint16).max] = 0.0
        return units.astype(np.uint16)


def _make(profile: CameraProfile, mode: str) -> Degrader:
    if mode == "stereo":
        return Stereo(StereoModel.from_profile(profile))
    if mode == "structured_light":
        return StructuredLight(StructuredLightModel.from_profile(profile))
    return GammaGp(GammaGpModel()) if mode == "gamma_gp" else Exact()


__all__ = [
    "MODES",
    "DepthNoise",
    "GammaGpModel",
    "StereoModel",
    "StructuredLightModel",
    "occluded",
]
