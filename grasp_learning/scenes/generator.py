"""One scene to learn from, out of a recipe and a number, and nothing else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from grasp_core.errors import InputError
from grasp_core.gripper import Gripper
from grasp_eval.bench.scene_source import scene_seed
from grasp_learning.recipe import hand_of
from grasp_learning.scenes.arrangement import Arrangement, arrange, recoloured
from grasp_learning.scenes.labelling import label_scene
from grasp_learning.scenes.library import Library
from grasp_learning.scenes.looks import looks
from grasp_learning.scenes.scene_files import SceneSample, scene_name

CODE_VERSION = 1  # raise it whenever the same recipe would give other scenes
TRIES = 8  # derived seeds, before a scene is given up


@dataclass(frozen=True, eq=False)
class Generator:
    """Makes scenes out of labelled objects for a gripper; scene i depends on these, the seed and i alone."""

    library: Library
    gripper: Gripper
    seed: int

    @property
    def digest(self) -> str:
        """SHA-256 of the recipe: labels used, shape of the gripper, seed and version of the code."""
        parts = [list(self.library.digests.items()), hand_of(self.gripper), self.seed, CODE_VERSION]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def make(self, index: int) -> SceneSample:
        """Scene number ``index``. InputError: none of TRIES derived seeds gives one."""
        problem = ""
        for attempt in range(TRIES):
            try:
                return self._make(index, attempt)
            except InputError as error:
                problem = str(error)
        raise InputError(f"no scene {index} of seed {self.seed} in {TRIES} tries: {problem}")

    def arrangement(self, index: int, attempt: int) -> Arrangement:
        """What lies where in a scene that ``make`` gave, before any colours; ``about`` of the scene names both."""
        return arrange(self.library, np.random.default_rng(scene_seed(self.seed, index, attempt)))

    def _make(self, index: int, attempt: int) -> SceneSample:
        arrangement = self.arrangement(index, attempt)
        rng = np.random.default_rng([scene_seed(self.seed, index, attempt), 1])
        seen = looks(recoloured(arrangement, rng), self.gripper, rng)
        labels, views = label_scene(arrangement, seen, self.library, self.gripper, rng)
        about = {
            "digest": self.digest,
            "seed": self.seed,
            "index": index,
            "attempt": attempt,
            "kind": arrangement.scene.kind,
            "distractors": arrangement.shapes.count(""),
        }
        return SceneSample(labels, views, scene_name(index), about)
