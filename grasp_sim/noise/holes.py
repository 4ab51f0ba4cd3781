"""Where a camera that triangulates measures nothing: shadows, dark and saturated surfaces; and where edges are."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray


def occluded(disparity: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels (H, W) of the left imager that the right one does not see: something nearer covers them there.

    A pixel in column u appears in the right image at u - disparity; whatever starts farther to the right here and
    appears no farther to the right there lies in front of it. With a projector in place of the right imager these are
    the pixels in its shadow.
    """
    width = disparity.shape[1]
    there = np.arange(width, dtype=np.float32) - disparity
    nearest = np.minimum.accumulate(there[:, ::-1], axis=1)[:, ::-1]
    return there > nearest + np.float32(0.5)


def unlit(
    color: NDArray[np.uint8],
    patches: NDArray[np.float32],
    dark: float,
    dark_spread: float,
    saturated: float,
    saturated_hole: float,
) -> NDArray[np.bool_]:
    """Where too little of the projected pattern comes back, or so much that the imagers saturate.

    dark: of 255, brightest channel, where half of the surface is lost; dark_spread: deviation of that limit over the
    patches. saturated: of 255, darkest channel, from where on the share saturated_hole of the surface is lost.
    """
    red, green, blue = color[..., 0], color[..., 1], color[..., 2]
    brightest = np.maximum(np.maximum(red, green), blue)
    darkest = np.minimum(np.minimum(red, green), blue)
    lost = brightest < patches * np.float32(dark_spread) + np.float32(dark)
    lost |= (darkest >= saturated) & (patches > NormalDist().inv_cdf(1 - saturated_hole))
    return lost


def near_steps(values: NDArray[np.float32], jump: float, reach: int) -> NDArray[np.bool_]:
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
