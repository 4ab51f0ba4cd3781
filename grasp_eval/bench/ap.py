"""The AP of GraspNet-1Billion on any scene whose meshes are known, re-implemented from its description.

Fang et al., CVPR 2020, and the constants of graspnetAPI. A grasp's width is clipped to what the gripper opens; near
duplicates go; every grasp belongs to the object whose model is nearest to its seed point; each object keeps its 10 best
and the scene what scores at least as well as the 50th of those. A grasp is wrong when the hand touches a model or the
table, when too little is between its fingers, or when it needs more friction than there is. Accuracy@k is the share of
right ones among the k best; missing ones are wrong. AP is the mean over k = 1..50 and over the friction coefficients.

An object lends at most 10 grasps, so that a scene of fewer than 5 objects cannot reach 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import trimesh
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from grasp_core import se3
from grasp_core.errors import InputError
from grasp_core.grasps import Grasps
from grasp_eval.bench.force_closure import BAD, FRICTIONS, friction_needed, least_listed
from grasp_eval.bench.surfaces import Surfaces, keep_first
from grasp_sim.objects import ObjectSpec

# All of GraspNet-1Billion; lengths in m.
TOP = 50
PER_OBJECT = 10
MAX_WIDTH = 0.1
NMS_TRANSLATION = 0.03
NMS_ROTATION = np.deg2rad(30.0)
VOXEL = 0.008
HEIGHT = 0.02  # of fingers and palm, across the closing direction
DEPTH_BASE = 0.02  # of the fingers behind the seed point
FINGER_WIDTH = 0.01  # of a finger along the closing direction, and of the palm along the approach
MIN_INNER = 10  # points between the fingers
MARGIN = 0.05  # around an object's box: points beyond it are not looked at
TABLE = (1.0, 1.0, 0.05)

BLOCK = 1000  # grasps that are suppressed at a time: all pairs of 200,000 would not fit into memory
SCATTER = 1.0 / 0.002**2  # points per m2 of our own meshes before the voxels; GraspNet takes its models' vertices


@dataclass(frozen=True)
class Model:
    """A known object in its own frame: points (P, 3) that stand for it in collisions, and its surface."""

    points: NDArray[np.float64]
    surfaces: Surfaces

    @classmethod
    def of_mesh(cls, mesh: trimesh.Trimesh, points: ArrayLike | None = None) -> Model:
        """points: of its surface, before they are thinned to one per voxel; None: scattered on the mesh's outside."""
        surfaces = Surfaces([mesh], np.eye(4)[None])
        return cls(voxel_means(surfaces.scatter(SCATTER)[0] if points is None else points, VOXEL), surfaces)


@dataclass(frozen=True)
class Verdicts:
    """What became of the M grasps that count, best first.

    index: (M,) of each in the grasps that were given. body: (M,) the object it belongs to. friction: (M,) the least
    listed coefficient at which it holds, BAD for none. colliding: (M,) the hand touches something. empty: (M,) it does
    not, but there is too little between the fingers; both make a grasp BAD.
    """

    index: NDArray[np.int64]
    body: NDArray[np.int64]
    friction: NDArray[np.float64]
    colliding: NDArray[np.bool_]
    empty: NDArray[np.bool_]


def scene_ap(
    grasps: Grasps,
    objects: Sequence[ObjectSpec],
    poses: ArrayLike,
    table_height: float = 0.0,
    max_width: float = MAX_WIDTH,
) -> dict:
    """AP of the grasps (base frame) on objects at poses (N, 4, 4) on a table around the origin, in plain numbers.

    ap: mean over k and friction. ap_mu: friction, as text, -> mean over k. considered: how many grasps counted, after
    suppression and caps. colliding, empty: how many of those were wrong for that reason. InputError on grasps that are
    not finite.
    """
    models = [Model.of_mesh(o.mesh()) for o in objects]
    verdicts = score_grasps(grasps, models, poses, table_points(table_height), max_width)
    return average_precision(accuracies(verdicts.friction)) | {
        "considered": len(verdicts.index),
        "colliding": int(verdicts.colliding.sum()),
        "empty": int(verdicts.empty.sum()),
    }


def score_grasps(
    grasps: Grasps, models: Sequence[Model], poses: ArrayLike, table: NDArray[np.float64], max_width: float = MAX_WIDTH
) -> Verdicts:
    """Which grasps count, and at what friction each holds.

    grasps, poses (N, 4, 4) of the models and table (T, 3) in one frame, whichever. InputError on grasps that are not
    finite.
    """
    if not all(np.isfinite(v).all() for v in (grasps.R, grasps.t, grasps.width, grasps.depth, grasps.score)):
        raise InputError("AP: a grasp is not finite")
    poses = np.asarray(poses, dtype=np.float64).reshape(-1, 4, 4)
    clouds = [se3.transform(T, model.points) for model, T in zip(models, poses, strict=True)]
    index, body = _considered(grasps, clouds)
    chosen = grasps[index]
    R, seeds, depth = chosen.R.astype(np.float64), seed_points(chosen), chosen.depth.astype(np.float64)
    width = np.clip(chosen.width.astype(np.float64), 0.0, max_width)
    friction = np.full(len(index), BAD)
    colliding, empty = np.zeros(len(index), dtype=bool), np.zeros(len(index), dtype=bool)
    scene = np.concatenate([*clouds, table])
    for i in np.unique(body):
        own = np.flatnonzero(body == i)
        near = scene[((scene > clouds[i].min(axis=0) - MARGIN) & (scene < clouds[i].max(axis=0) + MARGIN)).all(axis=1)]
        touching, inner = hand_contents(near, R[own], seeds[own], width[own], depth[own])
        colliding[own], empty[own] = touching, ~touching & (inner < MIN_INNER)
        free = own[~colliding[own] & ~empty[own]]
        back = se3.inverse(poses[i])
        tips = se3.transform(back, chosen.t[free].astype(np.float64))
        closing = R[free, :, 0] @ back[:3, :3].T
        friction[free] = least_listed(friction_needed(models[i].surfaces, tips, closing, width[free]))
    return Verdicts(index, body, friction, colliding, empty)


def accuracies(friction: ArrayLike) -> NDArray[np.float64]:
    """Accuracy@k for k = 1..50 (rows) at each friction coefficient (columns), from verdicts (M,) in ranked order."""
    needed = np.asarray(friction, dtype=np.float64)[:TOP, None]
    right = np.zeros((TOP, len(FRICTIONS)))
    right[: len(needed)] = (needed > 0) & (needed <= np.array(FRICTIONS))
    return right.cumsum(axis=0) / np.arange(1, TOP + 1)[:, None]


def average_precision(accuracy: NDArray[np.float64]) -> dict:
    """ap and ap_mu (friction, as text, -> mean over all else) of accuracies (..., 50, 6)."""
    per_friction = accuracy.reshape(-1, len(FRICTIONS)).mean(axis=0)
    columns = {f"{mu:.1f}": float(value) for mu, value in zip(FRICTIONS, per_friction, strict=True)}
    return {"ap": float(accuracy.mean()), "ap_mu": columns}


def seed_points(grasps: Grasps) -> NDArray[np.float64]:
    """(N, 3) where GraspNet counts a grasp to be: ``depth`` behind the fingertips."""
    return grasps.t.astype(np.float64) - grasps.depth[:, None].astype(np.float64) * grasps.R[:, :, 2]


def suppress(grasps: Grasps) -> NDArray[np.int64]:
    """Indices of the grasps that stay after GraspNet's non-maximum suppression, best first; ties keep their order.

    A grasp goes when a better one that stays lies within 3 cm and 30 deg. This differs from ``Grasps.nms``: distances
    are between seed points, not fingertips, and a grasp turned by half a turn about its approach, the same one for
    the hand, counts as another one.
    """
    ranked = np.argsort(-grasps.score, kind="stable")
    seeds, R = seed_points(grasps)[ranked], grasps.R[ranked].astype(np.float64).reshape(-1, 9)
    kept = np.zeros(0, dtype=np.int64)
    for start in range(0, len(ranked), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(ranked)))
        rows = np.setdiff1d(rows, _near(seeds, R, kept, rows)[1])
        first, second = _near(seeds, R, rows, rows)
        later = first < second
        first, second = (np.searchsorted(rows, pair[later]) for pair in (first, second))
        kept = np.concatenate([kept, rows[keep_first(first, second, len(rows))]])
    return ranked[kept]


def _near(seeds: NDArray, R: NDArray, some: NDArray, others: NDArray) -> tuple[NDArray, NDArray]:
    """Pairs (Q,), (Q,) of a row in ``some`` and one in ``others`` that suppression takes for the same grasp."""
    if not len(some) or not len(others):
        return some[:0], others[:0]
    pairs = cKDTree(seeds[some]).sparse_distance_matrix(cKDTree(seeds[others]), NMS_TRANSLATION, output_type="ndarray")
    first, second = some[pairs["i"]], others[pairs["j"]]
    cosine = (np.einsum("ki,ki->k", R[first], R[second]) - 1.0) / 2.0
    close = cosine > np.cos(NMS_ROTATION)
    return first[close], second[close]


def hand_contents(
    points: NDArray, R: NDArray, seeds: NDArray, width: NDArray, depth: NDArray
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Whether points (P, 3) lie in the fingers or the palm of each of K hands, and how many between its fingers.

    R (K, 3, 3) of our grasp frame, seeds (K, 3), width and depth (K,): two fingers of HEIGHT x FINGER_WIDTH from
    DEPTH_BASE behind the seed to the tips, and a palm FINGER_WIDTH thick behind them.
    """
    local = (points[None] - seeds[:, None]) @ R  # (K, P, 3): closing, height, approach
    closing, approach = np.abs(local[..., 0]), local[..., 2]
    half = width[:, None] / 2.0
    level = np.abs(local[..., 1]) < HEIGHT / 2.0
    along_fingers = level & (approach > -DEPTH_BASE) & (approach < depth[:, None])
    in_palm = level & (approach > -DEPTH_BASE - FINGER_WIDTH) & (approach < -DEPTH_BASE)
    outer = closing < half + FINGER_WIDTH
    touching = (outer & (in_palm | (along_fingers & (closing > half)))).any(axis=1)
    return touching, (along_fingers & (closing <= half)).sum(axis=1)


def voxel_means(points: ArrayLike, size: float) -> NDArray[np.float64]:
    """One point per occupied voxel: the mean of those (N, 3) in it. The grid starts half a voxel before the least."""
    points = np.asarray(points, dtype=np.float64)
    if not len(points):
        return points
    cells = np.floor((points - points.min(axis=0)) / size + 0.5).astype(np.int64)
    key = np.ravel_multi_index(tuple(cells.T), tuple(cells.max(axis=0) + 1))
    _, voxel, count = np.unique(key, return_inverse=True, return_counts=True)
    return np.stack([np.bincount(voxel, weights=axis) for axis in points.T], axis=1) / count[:, None]


@lru_cache(maxsize=8)
def table_points(height: float = 0.0) -> NDArray[np.float64]:
    """The table's grid (T, 3), read-only, its top around the origin at ``height``; steps of 8.06, 8.06 and 10 mm."""
    x, y, z = (np.linspace(0.0, length, int(length / VOXEL)) for length in TABLE)
    grid = np.stack(np.meshgrid(x - TABLE[0] / 2, y - TABLE[1] / 2, z - TABLE[2] + height, indexing="ij"), axis=-1)
    points = grid.reshape(-1, 3)
    points.setflags(write=False)
    return points


def _considered(grasps: Grasps, clouds: list[NDArray]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the grasps that count, best first, and the object of each."""
    none = np.zeros(0, dtype=np.int64)
    if not len(grasps) or not clouds:
        return none, none
    kept = suppress(grasps)
    owner = np.repeat(np.arange(len(clouds)), [len(cloud) for cloud in clouds])
    body = owner[cKDTree(np.concatenate(clouds)).query(seed_points(grasps[kept]))[1]]
    capped = np.sort(np.concatenate([np.flatnonzero(body == i)[:PER_OBJECT] for i in range(len(clouds))]))
    kept, body = kept[capped], body[capped]
    enough = grasps.score[kept] >= grasps.score[kept[:TOP][-1]]
    return kept[enough], body[enough]
