"""Grasps of a scene's objects that are free in it, and how graspable every point is that a camera sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from grasp_core import se3
from grasp_core.gripper import Gripper
from grasp_learning.engine import hand_opening
from grasp_learning.object_labels import FRICTION_STEP, NO_GRASP, WIDTH_STEP
from grasp_learning.scenes.arrangement import Arrangement
from grasp_learning.scenes.clearance import Clearance
from grasp_learning.scenes.library import LabelledObject, Library, surface_points
from grasp_learning.scenes.looks import Look
from grasp_learning.scenes.obstacles import Obstacles
from grasp_learning.scenes.scene_files import CODES, SceneLabels, SceneView
from grasp_perception.dense.template import DEPTHS, VIEWS, rotations, views

HORIZON = -0.1  # sine of the elevation below which nothing is approached from
SEEN_WITHIN = 0.010  # m from a label point to a measured one of its object
GRASPNESS_WITHIN = 0.015  # m from a measured point to the label point that it takes its graspness from
GOOD_FRICTION = 0.6  # least friction of what counts for graspness
FULL_GRASPNESS = 0.04  # share of good free grasps among the candidates above the horizon from which graspness is 1
MAX_POINTS = 1200  # label points kept of a scene


@dataclass(frozen=True, eq=False)
class _Free:
    """K free grasps of one object. point: (P,) indices of the label points looked at, seen in a view each.

    seen: (V, P) in which. at: (K,) index into ``point``. candidate, friction_code, width_code: (K,). share: (P,) of
    good grasps.
    """

    point: NDArray[np.int64]
    seen: NDArray[np.bool_]
    at: NDArray[np.int64]
    candidate: NDArray[np.int32]
    friction_code: NDArray[np.uint8]
    width_code: NDArray[np.uint8]
    share: NDArray[np.float64]


def label_scene(
    arrangement: Arrangement, found: Sequence[Look], library: Library, gripper: Gripper, rng: np.random.Generator
) -> tuple[SceneLabels, list[SceneView]]:
    """Labels of the points that are seen, at most MAX_POINTS, and the views with graspness.

    Distractors become background. rng chooses among the points where there are too many.
    """
    scene = arrangement.scene
    index = [i for i, shape in enumerate(arrangement.shapes) if shape]  # of the labelled objects in the scene
    objects = [library.labelled(arrangement.shapes[i]) for i in index]
    poses = scene.poses[index]
    owner_of = np.full(len(scene) + 1, -1, np.int16)  # the last one: background stays background
    owner_of[index] = np.arange(len(index))
    owners = [owner_of[look.owner] for look in found]
    obstacles = _obstacles(arrangement, library)
    clearance = Clearance(gripper)
    free = []
    for number, (i, labelled, pose) in enumerate(zip(index, objects, poses, strict=True)):
        seen = _seen(
            labelled, pose, [look.points[owner == number] for look, owner in zip(found, owners, strict=True)], found
        )
        values = obstacles.without(i)
        free.append(_free(labelled, pose, seen, obstacles, values, clearance, gripper, arrangement.support))
    chosen = _chosen(free, rng)
    labels = _gathered(free, chosen, objects, poses, [arrangement.shapes[i] for i in index], arrangement.support)
    return labels, _graspness(free, objects, poses, found, owners)


def _obstacles(arrangement: Arrangement, library: Library) -> Obstacles:
    scene, cell = arrangement.scene, arrangement.cell
    surfaces = []
    for shape, obj, pose in zip(arrangement.shapes, scene.objects, scene.poses, strict=True):
        points = library.labelled(shape).surface if shape else surface_points(obj)
        surfaces.append(se3.transform(pose.astype(np.float32), points))
    walls = [b for b in cell.obstacle_boxes() if scene.with_bin and b.name.startswith("bin_") and b.name != "bin_floor"]
    return Obstacles(surfaces, [(np.asarray(wall.centre), np.asarray(wall.size)) for wall in walls])


def _seen(
    labelled: LabelledObject, pose: NDArray, clouds: Sequence[NDArray], found: Sequence[Look]
) -> NDArray[np.bool_]:
    """(V, P) which label points a view shows: they face the camera, and one of its points (N, 3) is near."""
    points, normals = se3.transform(pose, labelled.points), labelled.normals @ pose[:3, :3].T
    seen = np.zeros((len(found), len(points)), dtype=bool)
    for view, (cloud, look) in enumerate(zip(clouds, found, strict=True)):
        facing = np.flatnonzero(np.einsum("pi,pi->p", normals, look.T_base_cam[:3, 3] - points) > 0.0)
        if len(cloud) and len(facing):
            distance = cKDTree(cloud).query(points[facing], distance_upper_bound=SEEN_WITHIN)[0]
            seen[view, facing[np.isfinite(distance)]] = True
    return seen


def _free(
    labelled: LabelledObject,
    pose: NDArray,
    seen: NDArray[np.bool_],
    obstacles: Obstacles,
    values: NDArray[np.float32],
    clearance: Clearance,
    gripper: Gripper,
    support: float,
) -> _Free:
    point = np.flatnonzero(seen.any(axis=0))
    counts = np.diff(labelled.start)[point]
    at = np.repeat(np.arange(len(point)), counts)
    rows = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts) + labelled.start[point][at]
    above = views() @ pose[2, :3] >= HORIZON
    keep = above[labelled.candidate[rows] // CODES]
    at, rows = at[keep], rows[keep]
    frame, depth = np.divmod(labelled.candidate[rows], len(DEPTHS))
    table = (pose[:3, :3] @ rotations().reshape(-1, 3, 3)).astype(np.float32)
    points = se3.transform(pose, labelled.points[point]).astype(np.float32)
    t = points[at] + np.array(DEPTHS, dtype=np.float32)[depth, None] * table[frame][:, :, 2]
    opening = hand_opening(labelled.width_code[rows] * WIDTH_STEP, gripper).astype(np.float32)
    keep = np.flatnonzero(clearance.above(table[frame], t, opening, support))
    keep = keep[clearance.free(obstacles, values, table[frame[keep]], t[keep], opening[keep])]
    at, rows = at[keep], rows[keep]
    good = labelled.friction_code[rows] <= round(GOOD_FRICTION / FRICTION_STEP)
    share = np.bincount(at[good], minlength=len(point)) / max(int(above.sum()) * CODES, 1)
    codes = labelled.candidate[rows], labelled.friction_code[rows], labelled.width_code[rows]
    return _Free(point, seen[:, point], at, *codes, share)


def graspness(share: NDArray) -> NDArray[np.float32]:
    """Graspness in [0, 1] of points with these shares of good free grasps: their root, 1 from FULL_GRASPNESS on.

    The root spreads what is seldom: of the points with any, seven in ten have a share below 0.01, which becomes 0.5.
    """
    return np.minimum(np.sqrt(np.asarray(share) / FULL_GRASPNESS), 1.0).astype(np.float32)


def _chosen(free: Sequence[_Free], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Of each object, which of its points are kept: all of those with few, as many of each of the others."""
    left, quota = MAX_POINTS, np.zeros(len(free), dtype=np.int64)
    for rank, number in enumerate(np.argsort([len(one.point) for one in free], kind="stable")):
        quota[number] = min(len(free[number].point), left // (len(free) - rank))
        left -= quota[number]
    return [np.sort(rng.choice(len(one.point), n, replace=False)) for one, n in zip(free, quota, strict=True)]


def _gathered(
    free: Sequence[_Free],
    chosen: Sequence[NDArray],
    objects: Sequence[LabelledObject],
    poses: NDArray,
    names: list[str],
    support: float,
) -> SceneLabels:
    points, normals, owner, row, friction, width, rows = [], [], [], [], [], [], 0
    for number, (one, kept, labelled, pose) in enumerate(zip(free, chosen, objects, poses, strict=True)):
        index = one.point[kept]
        points.append(se3.transform(pose, labelled.points[index]))
        normals.append(labelled.normals[index] @ pose[:3, :3].T)
        owner.append(np.full(len(index), number))
        place = np.full(len(one.point), -1)
        place[kept] = np.arange(len(kept))
        mine = np.flatnonzero(place[one.at] >= 0)
        view, code = np.divmod(one.candidate[mine], CODES)
        used, at = np.unique(place[one.at[mine]] * VIEWS + view, return_inverse=True)
        table = np.full(len(index) * VIEWS, -1)
        table[used] = rows + np.arange(len(used))
        rows += len(used)
        row.append(table.reshape(-1, VIEWS))
        friction.append(np.full((len(used), CODES), NO_GRASP, dtype=np.uint8))
        width.append(np.zeros((len(used), CODES), dtype=np.uint8))
        friction[-1][at, code], width[-1][at, code] = one.friction_code[mine], one.width_code[mine]
    centres = np.stack([labelled.centre_of_mass for labelled in objects])
    return SceneLabels(
        points=np.concatenate(points).astype(np.float32),
        normals=np.concatenate(normals).astype(np.float32),
        owner=np.concatenate(owner).astype(np.int16),
        row=np.concatenate(row).astype(np.int32),
        friction_code=np.concatenate(friction),
        width_code=np.concatenate(width),
        rotation=poses[:, :3, :3].astype(np.float32),
        position=poses[:, :3, 3].astype(np.float32),
        centre_of_mass=(np.einsum("oij,oj->oi", poses[:, :3, :3], centres) + poses[:, :3, 3]).astype(np.float32),
        radius=np.array([labelled.radius for labelled in objects], dtype=np.float32),
        names=names,
        support=support,
    )


def _graspness(
    free: Sequence[_Free],
    objects: Sequence[LabelledObject],
    poses: NDArray,
    found: Sequence[Look],
    owners: Sequence[NDArray[np.int16]],
) -> list[SceneView]:
    """The views: each measured point is as graspable as the nearest label point of its object that the view shows."""
    scene_views = []
    for view, (look, owner) in enumerate(zip(found, owners, strict=True)):
        values = np.zeros(len(look.points), dtype=np.float32)
        for number, (one, labelled, pose) in enumerate(zip(free, objects, poses, strict=True)):
            mine, shown = np.flatnonzero(owner == number), np.flatnonzero(one.seen[view])
            if not len(mine) or not len(shown):
                continue
            places = se3.transform(pose, labelled.points[one.point[shown]])
            distance, nearest = cKDTree(places).query(look.points[mine], distance_upper_bound=GRASPNESS_WITHIN)
            near = np.isfinite(distance)
            values[mine[near]] = graspness(one.share[shown[nearest[near]]])
        scene_views.append(SceneView(look.points, look.colors, owner, values, look.T_base_cam, look.noise))
    return scene_views
