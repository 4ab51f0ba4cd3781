"""Places for upright objects side by side, footprints apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy.spatial import ConvexHull

from grasp_core import se3
from grasp_core.cell import Box
from grasp_sim.objects import ObjectSpec

GAP = 0.012  # m between footprints: a finger's thickness
FILL = 0.6  # of the area, covered by footprints: beyond it random places are not found
TRIES = 100  # places for one object


def place_all(
    rng: np.random.Generator, objects: Sequence[ObjectSpec], area: Box, half: float | None = None, gap: float = GAP
) -> np.ndarray | None:
    """Poses (N, 4, 4) with footprints in the area and more than ``gap`` apart, or None when one finds no room.

    half: middles within this distance of the area's middle in x and in y; None: anywhere in the area.
    """
    room = np.prod((area.max - area.min)[:2])
    if sum(float(np.prod(obj.extents[:2] + gap)) for obj in objects) > FILL * room:
        return None
    poses = np.zeros((len(objects), 4, 4))
    footprints: list[np.ndarray] = []
    for i in np.argsort([-np.prod(obj.extents[:2]) for obj in objects], kind="stable"):
        pose = _find_room(rng, objects[i], footprints, area, half, gap)
        if pose is None:
            return None
        poses[i] = pose
        footprints.append(footprint(objects[i], pose))
    return poses


def try_place(
    rng: np.random.Generator,
    obj: ObjectSpec,
    others: Sequence[ObjectSpec],
    poses: Sequence[np.ndarray],
    area: Box,
    half: float | None = None,
    gap: float = GAP,
) -> np.ndarray | None:
    """One random upright pose (4, 4) of obj, or None where it leaves the area or comes too near to another one.

    Nearness is judged part by part, seen from above: a can may stand beside the handle of a hammer.
    """
    pose = _random_upright(rng, obj, area, half)
    if not _is_free(footprint(obj, pose), [], area, gap):
        return None
    taken = zip(others, poses, strict=True)
    return pose if all(_are_apart(obj, pose, other, other_pose, gap) for other, other_pose in taken) else None


def footprint(obj: ObjectSpec, pose: np.ndarray) -> np.ndarray:
    """(4, 2) corners of the object's upright box seen from above."""
    (x0, y0, _), (x1, y1, _) = obj.bounds
    corners = np.array([[x0, y0, 0], [x1, y0, 0], [x1, y1, 0], [x0, y1, 0]])
    return se3.transform(pose, corners)[:, :2]


def outlines(obj: ObjectSpec, pose: np.ndarray) -> list[np.ndarray]:
    """Corners (K, 2) of every part's convex outline seen from above."""
    shadows = [se3.transform(pose, part.hull.vertices)[:, :2] for part in obj.parts]
    return [shadow[ConvexHull(shadow).vertices] for shadow in shadows]


def polygon_gap(a: np.ndarray, b: np.ndarray) -> float:
    """Widest gap between two convex polygons along any of their edge normals; negative where they overlap."""
    gap = -np.inf
    for polygon in (a, b):
        edges = np.roll(polygon, -1, axis=0) - polygon
        normals = np.stack([edges[:, 1], -edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1, keepdims=True)
        pa, pb = a @ normals.T, b @ normals.T
        gap = max(gap, float(np.maximum(pb.min(0) - pa.max(0), pa.min(0) - pb.max(0)).max()))
    return gap


def _find_room(
    rng: np.random.Generator, obj: ObjectSpec, taken: list[np.ndarray], area: Box, half: float | None, gap: float
) -> np.ndarray | None:
    for _ in range(TRIES):
        pose = _random_upright(rng, obj, area, half)
        if _is_free(footprint(obj, pose), taken, area, gap):
            return pose
    return None


def _are_apart(a: ObjectSpec, pose_a: np.ndarray, b: ObjectSpec, pose_b: np.ndarray, gap: float) -> bool:
    if polygon_gap(footprint(a, pose_a), footprint(b, pose_b)) > gap:
        return True
    pairs = product(outlines(a, pose_a), outlines(b, pose_b))
    return all(polygon_gap(one, other) > gap for one, other in pairs)


def _random_upright(rng: np.random.Generator, obj: ObjectSpec, area: Box, half: float | None) -> np.ndarray:
    R = se3.rpy_matrix(0.0, 0.0, rng.uniform(-np.pi, np.pi))
    low, high = area.min[:2], area.max[:2]
    if half is not None:
        middle = (low + high) / 2
        low, high = np.maximum(low, middle - half), np.minimum(high, middle + half)
    xy = rng.uniform(low, high)
    return se3.make(R, np.array([*xy, area.min[2] - obj.bounds[0, 2]]))


def _is_free(corners: np.ndarray, taken: list[np.ndarray], area: Box, gap: float) -> bool:
    inside = (corners > area.min[:2]).all() and (corners < area.max[:2]).all()
    return bool(inside and all(polygon_gap(corners, other) > gap for other in taken))
