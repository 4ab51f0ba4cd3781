"""Where the objects stand, and where to look for grasps."""

import numpy as np
from numpy.typing import NDArray

from grasp_core.cell import Box

_BIN = 0.003  # m, height histogram
_STRONG = 0.2  # share of the fullest layer that makes a layer a surface


def estimate_height(points: NDArray[np.float32], region: Box | None) -> float:
    """Height of the lowest large horizontal surface below the region (or of the whole cloud), m.

    The lowest layer that is at least a fifth as full as the fullest one is the support: a bin's floor lies below the
    objects on it, also where they cover most of it.
    """
    z = points[:, 2]
    if region is not None:
        inside = (points[:, :2] >= region.min[:2]) & (points[:, :2] <= region.max[:2])
        picked = z[inside.all(axis=1) & (z > region.min[2] - 0.03) & (z < region.max[2])]
        if len(picked) < 50:
            return float(region.min[2])
        z = picked
    edges = np.arange(z.min() - _BIN, z.max() + 3 * _BIN, _BIN)
    counts, _ = np.histogram(z, edges)
    smooth = np.convolve(counts, [0.5, 1.0, 0.5], mode="same")
    strong = np.flatnonzero(smooth >= _STRONG * smooth.max())
    first = strong[0]
    while first + 1 < len(smooth) and smooth[first + 1] > smooth[first]:
        first += 1
    near = z[np.abs(z - (edges[first] + _BIN / 2)) < 2 * _BIN]
    return float(np.median(near))


def spread_seeds(points: NDArray[np.float32], spacing: float, limit: int) -> NDArray[np.int64]:
    """Indices of one point per cube of ``spacing`` m, widened until at most ``limit`` remain; deterministic.

    The point nearest to its cube's centre is taken.
    """
    while True:
        scaled = points.astype(np.float64) / spacing
        cube = np.floor(scaled).astype(np.int64)
        offset = ((scaled - cube - 0.5) ** 2).sum(axis=1)
        cube -= cube.min(axis=0) if len(cube) else 0
        size = cube.max(axis=0) + 1 if len(cube) else np.ones(3, dtype=np.int64)
        key = (cube[:, 0] * size[1] + cube[:, 1]) * size[2] + cube[:, 2]
        order = np.lexsort((offset, key))
        first = order[np.flatnonzero(np.diff(key[order], prepend=-1))]
        if len(first) <= limit:
            return first
        spacing *= max(1.05, (len(first) / limit) ** 0.5)
