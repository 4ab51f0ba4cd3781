"""Named sets of objects for benchmarks: fixed procedural lists, split by family and shape, and folders of meshes.

A procedural set is a finite list that never changes: a shape depends on its split, family and number alone, so that
labels can be cached under its name (`mug-test-017`). No family of one of the splits train, val, test and long occurs in
another; `similar` holds other shapes of the train families, as the data sets of the field have it.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import overload

import numpy as np

from grasp_core.errors import InputError
from grasp_sim.meshes import folder_and_scale, load_usable
from grasp_sim.objects import FAMILIES, ObjectSpec
from grasp_sim.objects.long_things import LONG

TRAIN = ("box", "cylinder", "cone", "ball", "blob", "bowl", "plate", "screwdriver", "t_profile", "ring")
VAL = ("egg_cup", "can", "wrench")
TEST = ("bottle", "mug", "superquadric", "hammer", "l_profile", "carton")
SPLITS: dict[str, tuple[tuple[str, ...], int]] = {  # families and shapes of each
    "train": (TRAIN, 40),
    "val": (VAL, 20),
    "test": (TEST, 20),
    "similar": (TRAIN, 20),
    "long": (tuple(LONG), 20),
}
PROCEDURAL = "procedural"  # also the short name of the test set
KEPT = 1024  # shapes kept in memory, more than all sets together


class ShapeList(Sequence[ObjectSpec]):
    """The shapes of one split, family by family, made when they are first asked for."""

    def __init__(self, split: str) -> None:
        self.split = split
        self.families, self.count = SPLITS[split]

    def __len__(self) -> int:
        return len(self.families) * self.count

    @overload
    def __getitem__(self, index: int) -> ObjectSpec: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ObjectSpec, ...]: ...
    def __getitem__(self, index: int | slice) -> ObjectSpec | tuple[ObjectSpec, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        family, number = divmod(range(len(self))[index], self.count)
        return make_shape(self.split, self.families[family], number)

    @property
    def names(self) -> tuple[str, ...]:
        """Every shape's name, without making the shapes."""
        return tuple(shape_name(self.split, family, i) for family in self.families for i in range(self.count))


@dataclass(frozen=True)
class ObjectSet:
    """Objects with unique names that are valid in MuJoCo.

    Attributes:
        name: as it was asked for, with the split spelled out for procedural sets.
        objects: the same objects in the same order every time.
        names: theirs, known without making procedural shapes.
        problems: of a folder: what could not be used and why, one line for each file.
    """

    name: str
    objects: Sequence[ObjectSpec]
    names: tuple[str, ...]
    problems: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.objects)

    def find(self, name: str) -> ObjectSpec:
        """The object of that name; InputError when there is none."""
        if name not in self.names:
            raise InputError(
                f"object set {self.name} has no object {name!r}; it has {len(self)}, {self.names[0]} first"
            )
        return self.objects[self.names.index(name)]


def load_object_set(name: str) -> ObjectSet:
    """A set by name: `procedural` (its test split), `procedural-train|val|similar|test|long`, or a folder of meshes.

    A folder may carry the factor to metres, as `folder@0.001`. Its meshes that cannot be used are left out and named in
    `problems`. InputError on an unknown name, and on a folder without a single usable mesh.
    """
    split = {PROCEDURAL: "test"} | {f"{PROCEDURAL}-{split}": split for split in SPLITS}
    if name in split:
        shapes = ShapeList(split[name])
        return ObjectSet(f"{PROCEDURAL}-{shapes.split}", shapes, shapes.names)
    if not folder_and_scale(name)[0].is_dir():
        raise InputError(f"object set {name!r} is unknown: expected {', '.join(split)}, or a folder of meshes")
    objects, problems = load_usable(name)
    names = _unique_names(objects)
    renamed = tuple(obj.renamed(unique) for obj, unique in zip(objects, names, strict=True))
    return ObjectSet(name, renamed, names, tuple(problems))


def _unique_names(objects: Sequence[ObjectSpec]) -> tuple[str, ...]:
    """Names out of letters, digits, `.`, `_` and `-`; what would occur twice (a.obj, a.stl) gets a number."""
    names: list[str] = []
    for obj in objects:
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", obj.name)
        candidates = itertools.chain([plain], (f"{plain}-{i}" for i in itertools.count(2)))
        names.append(next(name for name in candidates if name not in names))
    return tuple(names)


def shape_name(split: str, family: str, number: int) -> str:
    """Name of a procedural shape, such as `mug-test-017`."""
    return f"{family}-{split}-{number:03d}"


@lru_cache(maxsize=KEPT)
def make_shape(split: str, family: str, number: int) -> ObjectSpec:
    """The shape of that split, family and number: the same on every call and in every set that holds it."""
    name = shape_name(split, family, number)
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
    return (FAMILIES | LONG)[family](np.random.default_rng(seed)).renamed(name)
