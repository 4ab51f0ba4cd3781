"""The surfaces of posed objects, by ray casting (Embree, through trimesh) and as evenly spread points.

Embree works in float32 and only says which triangle a ray meets. Where it meets it is computed here, in float64, from
the triangle's plane, and kept within the triangle's reach along the ray, which matters where the ray grazes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree
from trimesh.ray.ray_pyembree import RayMeshIntersector

from grasp_core import se3
from grasp_core.errors import InputError

CANDIDATES = 6  # per point kept, when a surface is sampled
OFF_SURFACE = 1e-5  # m: a sampled point is buried where, this far outside its face, another hull begins
PLASTIC = 1.32471795724474602596  # the generator of the R2 low-discrepancy sequence (Roberts 2018)


@dataclass(frozen=True)
class Hits:
    """What K rays meet first.

    distance: (K,) m along the ray, inf where it meets nothing. point: (K, 3), NaN there. normal: (K, 3) unit, outward,
    zero there. body: (K,) int, index of the mesh, -1 there. A ray that starts inside a body meets its surface from
    behind: there the normal points along the ray.
    """

    distance: NDArray[np.float64]
    point: NDArray[np.float64]
    normal: NDArray[np.float64]
    body: NDArray[np.int64]


class Surfaces:
    """Triangle meshes of several bodies in one frame.

    A mesh is closed, or a union of closed convex hulls that may overlap (``ObjectSpec.mesh()``), with outward faces.
    What is seen from outside is then the surface of the union.
    """

    def __init__(self, meshes: Sequence[trimesh.Trimesh], poses: ArrayLike) -> None:
        """poses: (N, 4, 4), each mesh's frame in the common one. InputError on a mismatch or on poses that are none."""
        poses = np.asarray(poses, dtype=np.float64).reshape(-1, 4, 4)
        if len(meshes) != len(poses):
            raise InputError(f"surfaces: {len(meshes)} meshes but {len(poses)} poses")
        if not np.isfinite(poses).all() or not se3.is_rotation(poses[:, :3, :3], tolerance=1e-3).all():
            raise InputError("surfaces: a pose is not finite, or its rotation is none")
        self._meshes, self._poses = list(meshes), poses
        triangles = [
            se3.transform(T, np.asarray(m.triangles).reshape(-1, 3)) for m, T in zip(meshes, poses, strict=True)
        ]
        corners = np.concatenate([np.zeros((0, 3)), *triangles]).reshape(-1, 3, 3)
        body = np.repeat(np.arange(len(meshes)), [len(m.faces) for m in meshes])
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        doubled = np.linalg.norm(across, axis=1)
        solid = doubled > 0  # a triangle without area has no normal, and no ray meets it
        self.triangles: NDArray[np.float64] = corners[solid]  # (F, 3, 3)
        self.normals: NDArray[np.float64] = across[solid] / doubled[solid, None]  # (F, 3)
        self.areas: NDArray[np.float64] = doubled[solid] / 2.0  # (F,)
        self.body: NDArray[np.int64] = body[solid]  # (F,)
        merged = trimesh.Trimesh(
            self.triangles.reshape(-1, 3), np.arange(3 * len(self.body)).reshape(-1, 3), process=False, validate=False
        )
        self._rays = RayMeshIntersector(merged)

    def first_hits(self, origins: ArrayLike, directions: ArrayLike) -> Hits:
        """What the rays from origins (K, 3) along directions (K, 3), of any length but zero, meet first.

        A ray that starts exactly on a surface may or may not meet it: start at least 0.01 mm off. InputError on NaN and
        on directions without length.
        """
        origins = np.asarray(origins, dtype=np.float64).reshape(-1, 3)
        directions = np.asarray(directions, dtype=np.float64).reshape(-1, 3)
        length = np.linalg.norm(directions, axis=1, keepdims=True)
        if not (np.isfinite(origins).all() and np.isfinite(length).all() and (length > 0).all()):
            raise InputError("rays: an origin or a direction is not finite, or a direction is zero")
        directions = directions / length
        face = np.full(len(origins), -1)
        if len(origins) and len(self.body):
            face = np.asarray(self._rays.intersects_first(origins, directions), dtype=np.int64)
        return self._hits(origins, directions, face)

    def close(self, centres: ArrayLike, closing: ArrayLike, opening: ArrayLike) -> tuple[Hits, Hits]:
        """Where two fingers first touch when they close along the line through ``centres``.

        centres (K, 3); closing (K, 3) unit vectors; opening (K,) or one number, m between the fingers. The first Hits
        are those of the finger on the negative side, which moves along +closing, the second of the other one. Distances
        count from the fingers. Neither finger stops at the other one: a distance may exceed the opening.
        """
        centres, closing = np.asarray(centres, dtype=np.float64), np.asarray(closing, dtype=np.float64)
        reach = closing * np.broadcast_to(np.asarray(opening, dtype=np.float64) / 2.0, len(centres))[:, None]
        both = self.first_hits(
            np.concatenate([centres - reach, centres + reach]), np.concatenate([closing, -closing])
        )  # one cast is cheaper than two
        k = len(centres)
        return (
            Hits(both.distance[:k], both.point[:k], both.normal[:k], both.body[:k]),
            Hits(both.distance[k:], both.point[k:], both.normal[k:], both.body[k:]),
        )

    def sample(self, spacing: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Points spread evenly over what is the outside: points (P, 3), outward normals (P, 3), bodies (P,).

        Points of one body that face the same way are at least ``spacing`` (m) apart and no gap is much larger than
        that. Points inside another convex hull of the same mesh are left out. The same surfaces give the same points.
        """
        if not spacing > 0:
            raise InputError(f"sampling surfaces: expected a positive spacing, got {spacing}")
        points, normals, body = self.scatter(CANDIDATES / spacing**2)
        mixed = np.random.default_rng(0).permutation(len(points))
        points, normals, body = points[mixed], normals[mixed], body[mixed]
        first, second = cKDTree(points).query_pairs(spacing, output_type="ndarray").T
        alike = (body[first] == body[second]) & (np.einsum("ki,ki->k", normals[first], normals[second]) > 0)
        kept = keep_first(first[alike], second[alike], len(points))
        return points[kept], normals[kept], body[kept]

    def scatter(self, density: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Like ``sample``, but ``density`` points per m2, of which some lie close together; cheaper."""
        total = np.cumsum(self.areas)
        if not len(total):
            return np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, dtype=np.int64)
        count = int(np.ceil(density * total[-1]))
        order = np.arange(count)
        face = np.searchsorted(total, (order + 0.5) / count * total[-1])
        u, v = (order / PLASTIC) % 1.0, (order / PLASTIC**2) % 1.0
        folded = u + v > 1.0
        u[folded], v[folded] = 1.0 - u[folded], 1.0 - v[folded]
        a, b, c = self.triangles[face].transpose(1, 0, 2)
        points = a + u[:, None] * (b - a) + v[:, None] * (c - a)
        normals, body = self.normals[face], self.body[face]
        outside = ~self._buried(points + OFF_SURFACE * normals, body)
        return points[outside], normals[outside], body[outside]

    def _hits(self, origins: NDArray, directions: NDArray, face: NDArray) -> Hits:
        met = face >= 0
        distance, body = np.full(len(face), np.inf), np.full(len(face), -1)
        point, normal = np.full((len(face), 3), np.nan), np.zeros((len(face), 3))
        o, d, n = origins[met], directions[met], self.normals[face[met]]
        corners = self.triangles[face[met]] - o[:, None]
        along = np.einsum("kij,kj->ki", corners, d)
        slope = np.einsum("ki,ki->k", n, d)
        height = np.einsum("ki,ki->k", n, corners[:, 0])
        plane = np.divide(height, slope, out=along.mean(axis=1), where=slope != 0)
        distance[met] = np.clip(plane, np.maximum(along.min(axis=1), 0.0), np.maximum(along.max(axis=1), 0.0))
        point[met] = o + distance[met, None] * d
        normal[met], body[met] = n, self.body[face[met]]
        return Hits(distance, point, normal, body)

    def _buried(self, points: NDArray, body: NDArray) -> NDArray[np.bool_]:
        """(P,) whether a point lies behind every face of one of the closed pieces of its body's mesh.

        For a convex piece that is its inside. For one that is not it is a part of the inside, so that no point of the
        outside is ever taken for a buried one.
        """
        buried = np.zeros(len(points), dtype=bool)
        for index, (mesh, pose) in enumerate(zip(self._meshes, self._poses, strict=True)):
            pieces = mesh.split(only_watertight=True, repair=False)
            if len(pieces) < 2:
                continue
            own = np.flatnonzero(body == index)
            local = se3.transform(se3.inverse(pose), points[own])
            for piece in pieces:
                low, high = piece.bounds
                near = np.flatnonzero(((local > low) & (local < high)).all(axis=1) & ~buried[own])
                offsets = np.einsum("fi,fi->f", piece.face_normals, piece.triangles[:, 0])
                inside = (local[near] @ piece.face_normals.T < offsets).all(axis=1)
                buried[own[near[inside]]] = True
        return buried


def keep_first(first: NDArray, second: NDArray, count: int) -> NDArray[np.bool_]:
    """(count,) which of a ranked list to keep so that no two that exclude each other stay.

    first, second: (Q,) pairs that exclude each other, first < second. Who comes earlier wins: the answer is the one of
    going through the list from its start and keeping what no kept one excludes.
    """
    kept = np.ones(count, dtype=bool)
    while len(first):
        unbeaten = kept.copy()
        unbeaten[second] = False
        kept[second[unbeaten[first]]] = False
        undecided = kept[first] & kept[second]
        first, second = first[undecided], second[undecided]
    return kept
