"""Dense labels of one object: every surface point x approach view x in-plane angle x depth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from grasp_core.errors import InputError
from grasp_core.gripper import Gripper
from grasp_eval.bench.surfaces import Surfaces
from grasp_learning.contacts import PadContacts
from grasp_learning.hand_collision import DistanceField, HandCells
from grasp_learning.object_labels import NO_GRASP, PER_POINT, ObjectLabels, quantise_friction, quantise_width
from grasp_learning.recipe import Recipe
from grasp_perception.dense.template import ANGLES, CLEARANCE, DEPTHS, VIEWS, rotations, views
from grasp_sim.objects import ObjectSpec

POINTS_AT_ONCE = 16  # 288 000 candidates: some 100 MB
HANDS_AT_ONCE = 2048


def hand_opening(width: NDArray, gripper: Gripper) -> NDArray[np.float64]:
    """(K,) m between the fingers on the way in, for the widths (K,) m that the object needs."""
    return np.clip(np.asarray(width) + 2.0 * CLEARANCE, gripper.min_width, gripper.max_width)


def label_object(spec: ObjectSpec, gripper: Gripper, spacing: float) -> ObjectLabels:
    """Labels of an object in its own frame, at surface points ``spacing`` m apart. InputError: no surface point."""
    surfaces = Surfaces([spec.mesh()], np.eye(4)[None])
    points, normals, _ = surfaces.sample(spacing)
    if not len(points):
        raise InputError(f"object {spec.name!r} has no surface to label")
    contacts, field, cells = PadContacts(surfaces, gripper), DistanceField(surfaces), HandCells(gripper)
    friction = np.full((len(points), PER_POINT), NO_GRASP, dtype=np.uint8)
    width = np.zeros((len(points), PER_POINT), dtype=np.uint8)
    collision = np.zeros((len(points), PER_POINT), dtype=bool)
    for start in range(0, len(points), POINTS_AT_ONCE):
        chunk = slice(start, start + POINTS_AT_ONCE)
        frame, point, R = frames(normals[chunk])
        needed, opened = contacts(points[chunk][point], R)
        found, depth = np.nonzero(np.isfinite(needed))
        rows = frame[found] * len(DEPTHS) + depth
        needed, opened, R = needed[found, depth], opened[found, depth], R[found]
        friction[chunk].reshape(-1)[rows] = quantise_friction(needed)
        width[chunk].reshape(-1)[rows] = quantise_width(opened)
        t = points[chunk][point[found]] + np.array(DEPTHS)[depth, None] * R[:, :, 2]
        opening = hand_opening(opened, gripper)
        for few in batches(len(rows)):
            collision[chunk].reshape(-1)[rows[few]] = cells.hits(field, R[few], t[few], opening[few])
    return ObjectLabels(
        name=spec.name,
        points=points.astype(np.float32),
        normals=normals.astype(np.float32),
        centre_of_mass=spec.centre_of_mass,
        friction_code=friction,
        width_code=width,
        collision_bits=np.packbits(collision, axis=1),
        digest=Recipe.of(spec, gripper, spacing).digest,
    )


def frames(normals: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The grasp frames at surface points with normals (P, 3) that come from outside.

    Returns: index (F,) of each in (P, VIEWS, ANGLES), its point (F,) and R (F, 3, 3).
    """
    point, view = np.nonzero(normals @ views().T > 0.0)
    frame = (point * VIEWS + view)[:, None] * ANGLES + np.arange(ANGLES)
    return frame.ravel(), np.repeat(point, ANGLES), rotations()[view].reshape(-1, 3, 3)


def batches(count: int, size: int = HANDS_AT_ONCE) -> Iterator[slice]:
    """Slices that cover ``count`` rows."""
    return (slice(start, start + size) for start in range(0, count, size))
