"""How well the grasps of one look cover what can be seen: a detector may score well and still offer one object only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from grasp_core.errors import InputError
from grasp_core.grasps import Grasps

COVERED = 0.02  # m: surface this close to a grasp's contact middle counts as covered
REACH = 0.03  # m: a grasp farther than this from every visible point belongs to no object
MIN_POINTS = 10  # an object counts as visible from so many points on (about 1 cm2 of a cloud with a 3 mm voxel)
PAD = 0.022  # m: pads end here however deep the grasp (Robotiq 2F-85, config/grippers/robotiq_2f85.yaml)
_ALONG = np.linspace(-0.25, 0.25, 5)  # the middle half of the opening: at its ends are the neighbours


def contact_middles(grasps: Grasps) -> NDArray[np.float64]:
    """The points between the pads (K, 3), m, in the frame of the grasps.

    Contact lies between the fingertips and the surface that they reach past, so the middle is half the grasp's depth
    behind the fingertips, at most half a pad.
    """
    back = np.clip(grasps.depth.astype(np.float64), 0.0, PAD) / 2.0
    return grasps.t - back[:, None] * grasps.R[:, :, 2].astype(np.float64)


def owners(grasps: Grasps, points: NDArray, labels: NDArray) -> NDArray[np.int64]:
    """The object that each grasp belongs to: label of the visible point nearest to its closing region.

    The closing region is taken as the middle half of the line between the pads, through the contact middle, at five
    places.

    Args:
        points: (P, 3) m. labels: (P,).

    Returns:
        (K,) labels; -1 where no point is within ``REACH``.
    """
    if len(grasps) == 0 or len(points) == 0:
        return np.full(len(grasps), -1)
    offsets = _ALONG[None, :, None] * grasps.width.astype(np.float64)[:, None, None] * grasps.R[:, None, :, 0]
    distances, nearest = cKDTree(points).query(contact_middles(grasps)[:, None, :] + offsets)
    rows, best = np.arange(len(grasps)), distances.argmin(axis=1)
    return np.where(distances[rows, best] <= REACH, labels[nearest[rows, best]], -1)


def covered_surface(grasps: Grasps, points: NDArray) -> float | None:
    """Share of points (P, 3) within ``COVERED`` of a grasp's contact middle; None without points."""
    if len(points) == 0:
        return None
    if len(grasps) == 0:
        return 0.0
    distances, _ = cKDTree(contact_middles(grasps)).query(points, distance_upper_bound=COVERED)
    return float(np.isfinite(distances).mean())


def coverage(grasps: Grasps, points: NDArray, labels: NDArray, names: Sequence[str]) -> dict[str, Any]:
    """Density and coverage of the grasps of one look.

    Args:
        grasps: in the frame of the points.
        points: (P, 3) true visible points of objects, m.
        labels: (P,) int, index into names, of each point; below 0: of nothing that counts.
        names: of the objects.

    Returns:
        JSON-able: ``visible`` (objects with at least ``MIN_POINTS`` points), ``covered`` (those of them with at least
        one grasp, see ``owners``), ``covered_objects`` (their share), ``grasps_per_object`` (mean over visible ones),
        ``per_object`` (name -> grasps, visible objects only), ``unassigned`` (grasps at no visible object),
        ``covered_surface`` (share of the points within ``COVERED`` of a contact middle). Shares and means are None when
        nothing is visible.

    Raises:
        InputError: points or labels of another shape, not finite, or a label without a name.
    """
    points, labels = np.asarray(points, dtype=np.float64), np.asarray(labels)
    _check(points, labels, len(names))
    points, labels = points[labels >= 0], labels[labels >= 0]
    seen = np.bincount(labels, minlength=len(names)) >= MIN_POINTS
    owner = owners(grasps, points, labels)
    counts = np.bincount(owner[owner >= 0], minlength=len(names))
    visible, on_visible = int(seen.sum()), counts[seen]
    covered = int((on_visible > 0).sum())
    return {
        "visible": visible,
        "covered": covered,
        "covered_objects": covered / visible if visible else None,
        "grasps_per_object": float(on_visible.mean()) if visible else None,
        "per_object": {name: int(n) for name, n, there in zip(names, counts, seen, strict=True) if there},
        "unassigned": len(grasps) - int(on_visible.sum()),
        "covered_surface": covered_surface(grasps, points),
    }


def _check(points: NDArray, labels: NDArray, objects: int) -> None:
    if points.ndim != 2 or points.shape[1] != 3 or labels.shape != points.shape[:1]:
        raise InputError(
            f"coverage: expected points (P, 3) and labels (P,), got {points.shape} and {labels.shape}; "
            "give the points and labels of one look"
        )
    if labels.dtype.kind not in "iu":
        raise InputError(f"coverage: labels must be integers, got {labels.dtype}")
    if not np.isfinite(points).all():
        raise InputError("coverage: points have NaN or infinite entries; drop them before")
    if len(labels) and labels.max() >= objects:
        raise InputError(f"coverage: label {labels.max()} has no name; there are {objects} names")
