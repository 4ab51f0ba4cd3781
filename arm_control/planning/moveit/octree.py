"""A cloud as a tree of octomap in its binary form, the one that MoveIt takes a scene in.

The format is that of octomap's `OccupancyOcTreeBase::writeBinaryData`: inner nodes depth first, 16 bits each, two for
every child, lowest bits first: 0 unknown, 1 free, 2 occupied, 3 inner. Child 1, 2, 4: the upper half along x, y, z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grasp_core.errors import InputError

DEPTH = 16
_FREE, _OCCUPIED, _INNER = 1, 2, 3


@dataclass(frozen=True)
class Octree:
    """Binary `data` of a tree whose smallest cells have edges of `resolution` m; its origin is that of its frame."""

    data: bytes
    resolution: float


def octree(points: np.ndarray, resolution: float) -> Octree:
    """The tree whose occupied cells hold `points` (N, 3) m; InputError for points too far away for its 16 levels.

    Without points it holds a single free cell: MoveIt takes a tree without data for none at all (Humble), and then
    keeps the old one.
    """
    if not len(points):
        return Octree(np.array([_FREE], "<u2").tobytes(), resolution)
    keys = np.floor(points / resolution).astype(np.int64) + 2 ** (DEPTH - 1)
    if keys.min() < 0 or keys.max() >= 2**DEPTH:
        raise InputError(f"scene cloud: points beyond {2 ** (DEPTH - 1) * resolution:.0f} m, not in the base frame?")
    codes, value = np.unique(_interleaved(keys)), _OCCUPIED
    places, depths, masks = [], [], []
    for depth in range(DEPTH - 1, -1, -1):
        parents, child_of = np.unique(codes >> 3, return_inverse=True)
        mask = np.zeros(len(parents), np.uint16)
        np.bitwise_or.at(mask, child_of, (value << (2 * (codes & 7))).astype(np.uint16))
        places.append(parents << 3 * (DEPTH - depth))
        depths.append(np.full(len(parents), depth))
        masks.append(mask)
        codes, value = parents, _INNER
    depth_first = np.lexsort((np.concatenate(depths), np.concatenate(places)))
    return Octree(np.concatenate(masks)[depth_first].astype("<u2").tobytes(), resolution)


def _interleaved(keys: np.ndarray) -> np.ndarray:
    """One number of 3 x 16 bits for each of `keys` (N, 3): the path from the root to its cell, 3 bits a level."""
    bits = (keys[:, :, None] >> np.arange(DEPTH)) & 1  # (N, 3, 16)
    return (bits << (3 * np.arange(DEPTH) + np.arange(3)[:, None])).sum((1, 2))
