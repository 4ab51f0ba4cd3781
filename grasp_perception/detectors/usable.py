"""Which points of a cloud a detector works on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grasp_core.cell import Box
from grasp_core.errors import ErrorCode, InputError


def around(points: NDArray[np.float32], region: Box | None, margin: float) -> NDArray[np.bool_]:
    """Which points (N, 3) lie in the region grown by ``margin`` m on all sides; all without a region."""
    if region is None:
        return np.ones(len(points), dtype=bool)
    return ((points >= region.min - margin) & (points <= region.max + margin)).all(axis=1)


def relevant(
    points: NDArray[np.float32], region: Box | None, margin: float, fewest: int, most: int
) -> NDArray[np.float32]:
    """The points within ``margin`` m of the region; InputError where they are fewer or more than a detector takes."""
    points = points[around(points, region, margin)]
    if len(points) < fewest:
        where = "" if region is None else f" within {margin} m of the region {region.min} .. {region.max}"
        raise InputError(
            f"the cloud has {len(points)} usable points{where}, at least {fewest} are needed; check depth image, crop "
            "box and region",
            ErrorCode.EMPTY_CLOUD,
        )
    if len(points) > most:
        raise InputError(f"the cloud has {len(points)} points, at most {most} are taken; voxelise it (5 mm)")
    return points
