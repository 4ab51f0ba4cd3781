"""Seeded scenes: which objects lie where, at rest, in the arm's base frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grasp_core import se3
from grasp_core.cell import Box, Cell
from grasp_core.errors import InputError
from grasp_sim.objects import FAMILIES, ObjectSpec, sample_object
from grasp_sim.settling import settle

KINDS = ("pile", "packed", "single", "bin")
FALLBACK_AREA = (
    0.40,
    0.30,
)  # m, pick area in the middle of the workspace where the cell has no bin
AREA_HEIGHT = 0.30  # m
PACKED_GAP = 0.012  # m between footprints: a finger's thickness
PACKED_FILL = 0.6  # of the area, covered by footprints: beyond it random places are not found
PACKED_TRIES = 100  # places for one object
PACKED_ROUNDS = 60
ROUNDS = 12  # of dropping again what fell outside
REPLACE_AFTER = 2  # rounds outside before an object is exchanged for another one
OVERHANG = 0.03  # m that an object may stick out over the edge
MAX_PENETRATION = 0.002  # m
STILL = 0.001  # m that a fresh simulation may move an object of a finished scene


@dataclass(frozen=True, eq=False)
class Scene:
    """Objects at rest: poses (N, 4, 4) float64 in base; area: where they lie; with_bin: whether the bin is there."""

    kind: str
    seed: int
    objects: tuple[ObjectSpec, ...]
    poses: np.ndarray
    area: Box
    with_bin: bool

    def __len__(self) -> int:
        return len(self.objects)


def sample_scene(
    kind: str,
    n: int,
    seed: int,
    cell: Cell,
    families: Sequence[str] | None = None,
    extra_objects: Sequence[ObjectSpec] | None = None,
) -> Scene:
    """Draw n objects, place them and let them come to rest.

    kind: `bin` (dropped into the cell's bin), `pile` (dropped onto the table in a heap), `packed` (standing upright on
    the table, apart from each other), `single` (one object on the table in a random pose).
    families: names out of FAMILIES (None: all). extra_objects: further candidates, drawn as often as a family each;
    with families=() only they are drawn. Objects are named `{family}_{index:02d}`.

    Exactly n objects lie in `area`; the same arguments give the same scene bit for bit. InputError on an unknown kind
    or family, on n that does not fit, and for `bin` in a cell without one.
    """
    _check(kind, n, cell)
    rng = np.random.default_rng([seed, KINDS.index(kind), n])
    draw = _Drawer(rng, families, extra_objects or ())
    objects = [draw(i) for i in range(n)]
    with_bin = kind == "bin"
    area = pick_area(cell, with_bin)
    if kind == "packed":
        objects, poses = _packed(rng, draw, objects, area, cell)
    else:
        objects, poses = _dropped(rng, draw, objects, area, cell, with_bin, _drop_area(kind, n, area))
    return Scene(kind, seed, tuple(objects), poses, area, with_bin)


def pick_area(cell: Cell, with_bin: bool) -> Box:
    """Where a scene's objects lie: the inside of the bin, or the same footprint on the table without it."""
    if cell.bin is not None:
        centre, half = np.array(cell.bin.center), np.array(cell.bin.size) / 2
    else:
        low, high = np.array(cell.workspace.min[:2]), np.array(cell.workspace.max[:2])
        centre, half = (
            (low + high) / 2,
            np.minimum((high - low) / 2, np.array(FALLBACK_AREA) / 2),
        )
    floor = cell.table.height + (cell.bin.floor_thickness if with_bin and cell.bin else 0.0)
    return Box([*(centre - half), floor], [*(centre + half), floor + AREA_HEIGHT])


def lies_inside(obj: ObjectSpec, pose: np.ndarray, area: Box) -> bool:
    """Whether the centre of mass lies over the area and no point sticks out by more than OVERHANG or down."""
    points = se3.transform(pose, obj.mesh().vertices)
    centre = se3.transform(pose, obj.centre_of_mass[None])[0]
    slack = np.array([OVERHANG, OVERHANG, MAX_PENETRATION])
    return bool(area.contains(centre) and (points >= area.min - slack).all() and (points <= area.max + slack).all())


class _Drawer:
    """Draws objects from families and extra objects and gives them unique names."""

    def __init__(
        self,
        rng: np.random.Generator,
        families: Sequence[str] | None,
        extra: Sequence[ObjectSpec],
    ) -> None:
        self.rng, self.extra = rng, list(extra)
        self.families = list(FAMILIES if families is None else families)
        if not self.families and not self.extra:
            raise InputError("a scene needs object families or extra objects to draw from, got neither")

    def __call__(self, index: int) -> ObjectSpec:
        choice = int(self.rng.integers(len(self.families) + len(self.extra)))
        if choice < len(self.families):
            obj = sample_object(self.rng, [self.families[choice]])
        else:
            obj = self.extra[choice - len(self.families)]
        return obj.renamed(f"{obj.family}_{index:02d}")


def _check(kind: str, n: int, cell: Cell) -> None:
    if kind not in KINDS:
        raise InputError(f"scene kind '{kind}' is unknown: expected one of {', '.join(KINDS)}")
    if n < 1:
        raise InputError(f"a scene needs at least 1 object, got {n}")
    if kind == "single" and n != 1:
        raise InputError(f"a 'single' scene has 1 object, got {n}: use 'pile' or 'packed' for more")
    if kind == "bin" and cell.bin is None:
        raise InputError(f"cell '{cell.name}' has no bin: add one to its YAML, or use 'pile' or 'packed'")


def _drop_area(kind: str, n: int, area: Box) -> Box:
    """What the objects are dropped into: all of the bin, or a patch of the table that grows with the heap."""
    if kind == "bin":
        return area
    half = np.minimum(0.07 + 0.006 * n, (area.max - area.min)[:2] / 2)
    centre = (area.min + area.max)[:2] / 2
    return Box([*(centre - half), area.min[2]], [*(centre + half), area.max[2]])


def _random_pose(rng: np.random.Generator, obj: ObjectSpec, area: Box) -> np.ndarray:
    """A uniformly random orientation over the area; the height is chosen when it falls."""
    quat = rng.normal(size=4)
    R = se3.matrix_from_quat(quat / np.linalg.norm(quat))
    centre, half = (area.min + area.max)[:2] / 2, (area.max - area.min)[:2] / 2
    room = np.maximum(half - obj.radius, 0.0)
    return se3.make(R, np.array([*(centre + rng.uniform(-room, room)), area.max[2]]))


def _dropped(
    rng: np.random.Generator,
    draw: _Drawer,
    objects: list[ObjectSpec],
    area: Box,
    cell: Cell,
    with_bin: bool,
    drop_area: Box,
) -> tuple[list[ObjectSpec], np.ndarray]:
    """Drop all, then drop again or exchange what does not lie inside, until all do and a fresh start moves nothing."""
    n = len(objects)
    poses = np.stack([_random_pose(rng, obj, drop_area) for obj in objects])
    falling, misses, guard = np.ones(n, bool), np.zeros(n, int), drop_area
    for _ in range(ROUNDS):
        result = settle(objects, poses, cell, with_bin, falling, guard)
        good = _is_good(objects, result.poses, result.penetration, area)
        if good.all() and not falling.any() and _shift(poses, result.poses) < STILL:
            return objects, result.poses
        poses, falling, guard = result.poses.copy(), ~good, None
        misses[falling] += 1
        for i in np.flatnonzero(falling):
            if misses[i] >= REPLACE_AFTER:
                objects[i], misses[i] = draw(int(i)), 0
            poses[i] = _random_pose(rng, objects[i], drop_area)
    raise InputError(f"{n} objects do not come to rest inside the area in {ROUNDS} rounds: ask for fewer")


def _shift(before: np.ndarray, after: np.ndarray) -> float:
    """The farthest that any object moved, m."""
    return float(np.linalg.norm((after - before)[:, :3, 3], axis=1).max())


def _is_good(objects: Sequence[ObjectSpec], poses: np.ndarray, penetration: np.ndarray, area: Box) -> np.ndarray:
    inside = np.array([lies_inside(obj, pose, area) for obj, pose in zip(objects, poses, strict=True)])
    return inside & (penetration < MAX_PENETRATION)


def _packed(
    rng: np.random.Generator,
    draw: _Drawer,
    objects: list[ObjectSpec],
    area: Box,
    cell: Cell,
) -> tuple[list[ObjectSpec], np.ndarray]:
    """Stand the objects upright, footprints apart; draw others for those that find no room or do not stay inside."""
    for _ in range(PACKED_ROUNDS):
        placed = _place_upright(rng, objects, area)
        if placed is None:
            largest = int(np.argmax([np.prod(obj.extents[:2]) for obj in objects]))
            objects[largest] = draw(largest)
            continue
        result = settle(objects, placed, cell, with_bin=False)
        good = _is_good(objects, result.poses, result.penetration, area)
        if good.all():
            return objects, result.poses
        for i in np.flatnonzero(~good):
            objects[i] = draw(int(i))
    raise InputError(f"{len(objects)} objects do not fit side by side into the pick area: ask for fewer, or for a pile")


def _place_upright(rng: np.random.Generator, objects: Sequence[ObjectSpec], area: Box) -> np.ndarray | None:
    """Poses (N, 4, 4) with footprints apart, or None when one finds no room."""
    room = np.prod((area.max - area.min)[:2])
    if sum(float(np.prod(obj.extents[:2] + PACKED_GAP)) for obj in objects) > PACKED_FILL * room:
        return None
    poses = np.zeros((len(objects), 4, 4))
    footprints: list[np.ndarray] = []
    for i in np.argsort([-np.prod(obj.extents[:2]) for obj in objects], kind="stable"):
        pose = _find_room(rng, objects[i], footprints, area)
        if pose is None:
            return None
        poses[i] = pose
        footprints.append(_footprint(objects[i], pose))
    return poses


def _find_room(rng: np.random.Generator, obj: ObjectSpec, footprints: list[np.ndarray], area: Box) -> np.ndarray | None:
    for _ in range(PACKED_TRIES):
        R = se3.rpy_matrix(0.0, 0.0, rng.uniform(-np.pi, np.pi))
        xy = rng.uniform(area.min[:2], area.max[:2])
        pose = se3.make(R, np.array([*xy, area.min[2] - obj.bounds[0, 2]]))
        footprint = _footprint(obj, pose)
        inside = (footprint > area.min[:2]).all() and (footprint < area.max[:2]).all()
        if inside and all(_polygon_gap(footprint, other) > PACKED_GAP for other in footprints):
            return pose
    return None


def _footprint(obj: ObjectSpec, pose: np.ndarray) -> np.ndarray:
    """(4, 2) corners of the object's upright box seen from above."""
    (x0, y0, _), (x1, y1, _) = obj.bounds
    corners = np.array([[x0, y0, 0], [x1, y0, 0], [x1, y1, 0], [x0, y1, 0]])
    return se3.transform(pose, corners)[:, :2]


def _polygon_gap(a: np.ndarray, b: np.ndarray) -> float:
    """Widest gap between two convex polygons along any of their edge normals; negative where they overlap."""
    gap = -np.inf
    for polygon in (a, b):
        edges = np.roll(polygon, -1, axis=0) - polygon
        normals = np.stack([edges[:, 1], -edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1, keepdims=True)
        pa, pb = a @ normals.T, b @ normals.T
        gap = max(gap, float(np.maximum(pb.min(0) - pa.max(0), pa.min(0) - pb.max(0)).max()))
    return gap
