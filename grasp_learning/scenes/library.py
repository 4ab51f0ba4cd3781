"""The labelled objects that scenes are made of, as little of them as scenes need, kept in memory."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grasp_core.errors import InputError
from grasp_core.gripper import Gripper
from grasp_eval.bench.surfaces import Surfaces
from grasp_learning.hand_collision import SAMPLES
from grasp_learning.label_files import StaleLabels, label_path, load_labels
from grasp_learning.object_labels import NO_GRASP, PER_POINT
from grasp_learning.recipe import Recipe
from grasp_sim.object_sets import ObjectSet
from grasp_sim.objects import ObjectSpec

KEPT = 512  # objects; half a megabyte each


@dataclass(frozen=True, eq=False)
class LabelledObject:
    """Label points of an object and its K grasps that do not meet the object itself, in its own frame.

    Attributes:
        points, normals: (P, 3) float32.
        start: (P + 1,) where the grasps of each point start.
        candidate: (K,) int32, index in VIEWS x ANGLES x DEPTHS. friction_code, width_code: (K,) uint8.
        centre_of_mass: (3,) m. radius: m, from there to the farthest label point.
        surface: (S, 3) float32, points of the outside, dense enough for distances.
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    start: NDArray[np.int64]
    candidate: NDArray[np.int32]
    friction_code: NDArray[np.uint8]
    width_code: NDArray[np.uint8]
    centre_of_mass: NDArray[np.float64]
    radius: float
    surface: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Library:
    """The objects of a set that have labels of the right recipe in a folder.

    digests: name of each, in the set's order -> digest of the recipe of its labels.
    """

    folder: Path
    objects: ObjectSet
    digests: dict[str, str]

    @classmethod
    def open(cls, folder: Path, objects: ObjectSet, gripper: Gripper, spacing: float) -> Library:
        """Files of other recipes and of other objects are left out.

        Raises:
            LabelsError: a broken file.
            InputError: nothing is left.
        """
        digests = {}
        for name in objects.names:
            path = label_path(folder, name)
            if path.exists():
                with suppress(StaleLabels):
                    digests[name] = load_labels(path, Recipe.of(objects.find(name), gripper, spacing).digest).digest
        if not digests:
            raise InputError(
                f"{folder}: no labels of {objects.name} for {gripper.name} with points {spacing} m apart; `seegrasp "
                f"learn labels --objects {objects.name} --spacing {spacing} --out {folder}` makes them"
            )
        return cls(folder, objects, digests)

    @property
    def names(self) -> list[str]:
        """Of the objects, in the set's order."""
        return list(self.digests)

    def spec(self, name: str) -> ObjectSpec:
        """The object of that name."""
        return self.objects.find(name)

    def labelled(self, name: str) -> LabelledObject:
        """Labels and surface of an object. LabelsError when its file is broken, or another one than when opened."""
        return _labelled(label_path(self.folder, name), self.spec(name), self.digests[name])


@lru_cache(maxsize=KEPT)
def _labelled(path: Path, spec: ObjectSpec, digest: str) -> LabelledObject:
    labels = load_labels(path, digest)
    hit = np.unpackbits(labels.collision_bits, axis=1, count=PER_POINT).view(bool)
    point, candidate = np.nonzero((labels.friction_code != NO_GRASP) & ~hit)
    arms = labels.points - labels.centre_of_mass
    return LabelledObject(
        points=labels.points,
        normals=labels.normals,
        start=np.searchsorted(point, np.arange(len(labels) + 1)),
        candidate=candidate.astype(np.int32),
        friction_code=labels.friction_code[point, candidate],
        width_code=labels.width_code[point, candidate],
        centre_of_mass=labels.centre_of_mass,
        radius=float(np.linalg.norm(arms, axis=1).max()),
        surface=surface_points(spec),
    )


def surface_points(spec: ObjectSpec) -> NDArray[np.float32]:
    """(S, 3) m, points all over the outside of an object, in its frame."""
    return Surfaces([spec.mesh()], np.eye(4)[None]).scatter(SAMPLES)[0].astype(np.float32)
