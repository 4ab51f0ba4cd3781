"""Seeded scenes: which objects lie where, at rest, in the arm's base frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from grasp_core import se3
from grasp_core.cell import Box, Cell
from grasp_core.errors import InputError
from grasp_sim import packing
from grasp_sim.objects import FAMILIES, ObjectSpec, sample_object
from grasp_sim.settling import settle

KINDS = ("pile", "packed", "single", "bin")
FALLBACK_AREA = (
    0.40,
    0.30,
)  # m, pick area in the middle of the workspace where the cell has no bin
AREA_HEIGHT = 0.30  # m
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


@dataclass(frozen=True)
class Placing:
    """How objects are sized and placed; lengths in m.

    Attributes:
        scale: range of a uniform factor on every object's size. friction: of every object; None: its own.
        half: middles are placed within this distance of the area's middle in x and in y. None: anywhere in the area,
            but a pile within a patch that grows with the number of objects.
        gap: least distance between footprints (packed).
        tries: attempts at standing up another object (packed); what has no room is left out. None: until all stand.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    half: float | None = None
    gap: float = packing.GAP
    tries: int | None = None
    friction: float | None = None


def sample_scene(
    kind: str,
    n: int,
    seed: int,
    cell: Cell,
    families: Sequence[str] | None = None,
    extra_objects: Sequence[ObjectSpec] | None = None,
    placing: Placing | None = None,
    area: Box | None = None,
) -> Scene:
    """Draw n objects, place them and let them come to rest.

    kind: `bin` (dropped into the cell's bin), `pile` (dropped onto the table in a heap), `packed` (standing upright on
    the table, apart from each other), `single` (one object on the table in a random pose).
    families: names out of FAMILIES (None: all). extra_objects: further candidates, drawn as often as a family each;
    with families=() only they are drawn; their own name stays in the metadata as `shape`. Objects are named
    `{family}_{index:02d}`.
    placing: sizes and places (None: as above). area: where the objects shall lie (None: the cell's pick area).

    Exactly n objects lie in `area` (with ``placing.tries``: 1 to n); the same arguments give the same scene bit for
    bit. InputError on an unknown kind or family, on n that does not fit, and for `bin` in a cell without one.
    """
    _check(kind, n, cell)
    placing = placing or Placing()
    rng = np.random.default_rng([seed, KINDS.index(kind), n])
    draw = _Drawer(rng, families, () if extra_objects is None else extra_objects, placing)
    with_bin = kind == "bin"
    area = pick_area(cell, with_bin) if area is None else area
    if kind == "packed" and placing.tries is not None:
        objects, poses = _packed_by_tries(rng, draw, n, area, cell, placing)
        return Scene(kind, seed, tuple(objects), poses, area, with_bin)
    objects = [draw(i) for i in range(n)]
    if kind == "packed":
        objects, poses = _packed(rng, draw, objects, area, cell, placing)
    else:
        walls = area if placing.half is not None else _drop_area(kind, n, area)
        objects, poses = _dropped(rng, draw, objects, area, cell, with_bin, walls, placing.half)
    return Scene(kind, seed, tuple(objects), poses, area, with_bin)


def empty_scene(kind: str, seed: int, cell: Cell) -> Scene:
    """The cell as a scene of that kind has it, without objects."""
    with_bin = kind == "bin"
    return Scene(kind, seed, (), np.zeros((0, 4, 4)), pick_area(cell, with_bin), with_bin)


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
        placing: Placing,
    ) -> None:
        self.rng, self.extra, self.placing = rng, extra, placing
        self.families = list(FAMILIES if families is None else families)
        if not self.families and not len(self.extra):
            raise InputError("a scene needs object families or extra objects to draw from, got neither")

    def __call__(self, index: int) -> ObjectSpec:
        choice = int(self.rng.integers(len(self.families) + len(self.extra)))
        if choice < len(self.families):
            obj = sample_object(self.rng, [self.families[choice]])
        else:
            obj = self.extra[choice - len(self.families)]
            obj = replace(obj, metadata={**obj.metadata, "shape": obj.name})
        if self.placing.scale != (1.0, 1.0):
            obj = obj.scaled(float(self.rng.uniform(*self.placing.scale)))
        if self.placing.friction is not None:
            obj = obj.with_friction(self.placing.friction)
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


def _random_pose(rng: np.random.Generator, obj: ObjectSpec, walls: Box, half: float | None) -> np.ndarray:
    """A uniformly random orientation between the walls; the height is chosen when it falls."""
    quat = rng.normal(size=4)
    R = se3.matrix_from_quat(quat / np.linalg.norm(quat))
    centre = (walls.min + walls.max)[:2] / 2
    room = np.maximum((walls.max - walls.min)[:2] / 2 - obj.radius, 0.0)
    if half is not None:
        room = np.minimum(room, half)
    return se3.make(R, np.array([*(centre + rng.uniform(-room, room)), walls.max[2]]))


def _dropped(
    rng: np.random.Generator,
    draw: _Drawer,
    objects: list[ObjectSpec],
    area: Box,
    cell: Cell,
    with_bin: bool,
    walls: Box,
    half: float | None,
) -> tuple[list[ObjectSpec], np.ndarray]:
    """Drop all, then drop again or exchange what does not lie inside, until all do and a fresh start moves nothing."""
    n = len(objects)
    poses = np.stack([_random_pose(rng, obj, walls, half) for obj in objects])
    falling, misses, guard = np.ones(n, bool), np.zeros(n, int), walls
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
            poses[i] = _random_pose(rng, objects[i], walls, half)
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
    placing: Placing,
) -> tuple[list[ObjectSpec], np.ndarray]:
    """Stand the objects upright, footprints apart; draw others for those that find no room or do not stay inside."""
    for _ in range(PACKED_ROUNDS):
        placed = packing.place_all(rng, objects, area, placing.half, placing.gap)
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


def _packed_by_tries(
    rng: np.random.Generator, draw: _Drawer, n: int, area: Box, cell: Cell, placing: Placing
) -> tuple[list[ObjectSpec], np.ndarray]:
    """Try to stand up one random object after the other; leave out what finds no room or does not stay inside."""
    objects: list[ObjectSpec] = []
    poses: list[np.ndarray] = []
    slack = np.array([OVERHANG, OVERHANG, 0.0])
    room = Box(area.min - slack, area.max + slack)
    for _ in range(placing.tries or 0):
        if len(objects) == n:
            break
        obj = draw(len(objects))
        pose = packing.try_place(rng, obj, objects, poses, room, placing.half, placing.gap)
        if pose is not None:
            objects.append(obj)
            poses.append(pose)
    while objects:
        result = settle(objects, np.stack(poses), cell, with_bin=False)
        good = _is_good(objects, result.poses, result.penetration, area)
        if good.all():
            return objects, result.poses
        objects = [obj for obj, keep in zip(objects, good, strict=True) if keep]
        poses = [pose for pose, keep in zip(poses, good, strict=True) if keep]
    raise InputError(f"no object stays upright in the area in {placing.tries} tries: are the objects too large for it?")
