"""Distortion of the colour lens: how large it is, and pictures without it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from grasp_core.errors import ConfigError
from grasp_perception.realsense.library import realsense

_SMALL_PX = 0.1  # a smaller shift at the border is no distortion
_MODELS = ("none", "brown_conrady", "modified_brown_conrady", "inverse_brown_conrady")


def matrix(intrinsics: Any) -> NDArray[np.float64]:
    """K (3, 3) of the library's intrinsics, px."""
    i = intrinsics
    return np.array([[i.fx, 0.0, i.ppx], [0.0, i.fy, i.ppy], [0.0, 0.0, 1.0]])


def model_of(intrinsics: Any) -> str:
    """Name of the distortion model; none when all coefficients are 0. ConfigError for a model that is not handled."""
    coefficients = np.array(intrinsics.coeffs)
    if not np.isfinite(coefficients).all():
        raise ConfigError(f"the camera's distortion coefficients are {coefficients.tolist()}: calibrate it again")
    if not coefficients.any():
        return "none"
    distortion = realsense().distortion
    for name in _MODELS:
        if intrinsics.model == getattr(distortion, name, None):
            return name
    raise ConfigError(
        f"the colour lens has the distortion model {intrinsics.model}, which is not handled: expected one of "
        f"{', '.join(_MODELS)}"
    )


def distorted(intrinsics: Any, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the lens puts what a camera without distortion shows at `pixels` (..., 2), px.

    The Brown-Conrady models of librealsense (`rs2_project_point_to_pixel`); its inverse model is projected like the
    modified one there, too.
    """
    model = model_of(intrinsics)
    if model == "none":
        return pixels
    k1, k2, p1, p2, k3 = intrinsics.coeffs
    K = matrix(intrinsics)
    x, y = (pixels[..., 0] - K[0, 2]) / K[0, 0], (pixels[..., 1] - K[1, 2]) / K[1, 1]
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    xr, yr = x * radial, y * radial
    if model != "brown_conrady":
        x, y = xr, yr  # the tangential terms take the coordinates after the radial ones
    xd = xr + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
    yd = yr + 2.0 * p2 * x * y + p1 * (r2 + 2.0 * y * y)
    return np.stack([xd * K[0, 0] + K[0, 2], yd * K[1, 1] + K[1, 2]], axis=-1)


def grid(width: int, height: int) -> NDArray[np.float64]:
    """The pixels of a picture, (H, W, 2) as (u, v)."""
    return np.stack(np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float)), axis=-1)


def largest_shift(intrinsics: Any) -> float:
    """Largest distance in px between a pixel and where it would be without distortion."""
    pixels = grid(intrinsics.width, intrinsics.height)
    return float(np.linalg.norm(distorted(intrinsics, pixels) - pixels, axis=-1).max())


class Rectifier:
    """Takes the distortion out of colour pictures; the camera matrix stays what it was."""

    def __init__(self, intrinsics: Any) -> None:
        """ConfigError for a distortion model that is not handled."""
        self._maps = None
        self.shift = largest_shift(intrinsics)
        if self.shift > _SMALL_PX:
            source = distorted(intrinsics, grid(intrinsics.width, intrinsics.height)).astype(np.float32)
            self._maps = cv2.convertMaps(source[..., 0], source[..., 1], cv2.CV_16SC2)

    def color(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of (H, W, 3), interpolated; black where the lens did not look."""
        if self._maps is None:
            return np.array(picture, order="C")
        return cv2.remap(np.ascontiguousarray(picture), *self._maps, cv2.INTER_LINEAR)
