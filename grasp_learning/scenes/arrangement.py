"""What lies where in a scene to learn from: kind, stage and objects, drawn and come to rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grasp_core.cell import Cell
from grasp_core.errors import InputError
from grasp_eval.bench.protocol import Protocol
from grasp_eval.bench.stage import stage_cell
from grasp_learning.scenes.library import Library
from grasp_sim.objects import ObjectSpec, Part
from grasp_sim.scenes import Placing, Scene, sample_scene

KINDS = {"pile": 0.45, "bin": 0.25, "packed": 0.20, "single": 0.10}  # shares
COUNTS = {"pile": (2, 15), "bin": (2, 15), "packed": (2, 8), "single": (1, 1)}  # objects, both included
PACKED_TRIES = 60
STAGE = "seegrasp"  # protocol whose stage is varied
CHOICE = 3  # objects to choose from for each that is drawn: some come twice, most do not
WORKSPACE = (0.32, 0.44)  # m, edge of the cube on the table that counts
WITH_DISTRACTORS = 0.25  # share of the scenes in which there may be some
MAX_DISTRACTORS = 2
DISTRACTOR = "distractor"
DISTRACTOR_SIZE = (0.092, 0.13)  # m: wider than the gripper opens, in every direction
DISTRACTOR_DENSITY = 300.0  # kg/m3, of cardboard boxes and tins that are not full


@dataclass(frozen=True, eq=False)
class Arrangement:
    """A scene at rest on its stage. shapes: of each of its objects, the name in the library; "" for a distractor."""

    scene: Scene
    cell: Cell
    shapes: tuple[str, ...]

    @property
    def support(self) -> float:
        """m, height of what the objects stand on: the table, or the floor of the bin."""
        return float(self.scene.area.min[2])


def arrange(library: Library, rng: np.random.Generator) -> Arrangement:
    """Draw a scene and let it come to rest; rng is the only source of chance. InputError when it does not."""
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    low, high = COUNTS[kind]
    count = int(rng.integers(low, high, endpoint=True))
    protocol = Protocol.load(STAGE).model_copy(update={"workspace": float(rng.uniform(*WORKSPACE))})
    cell = stage_cell(protocol, kind)
    few = rng.choice(library.names, min(CHOICE * count, len(library.names)), replace=False)
    distractors = _distractors(rng) if kind != "single" else []
    pool = [library.spec(name) for name in few] + CHOICE * distractors
    placing = Placing(tries=PACKED_TRIES if kind == "packed" else None)
    scene = sample_scene(kind, count + len(distractors), int(rng.integers(2**53)), cell, (), pool, placing)
    shapes = tuple("" if obj.family == DISTRACTOR else str(obj.metadata["shape"]) for obj in scene.objects)
    if not any(shapes):
        raise InputError("nothing but distractors was drawn")
    if shapes.count("") > MAX_DISTRACTORS:
        raise InputError(f"{shapes.count('')} distractors were drawn, at most {MAX_DISTRACTORS} are wanted")
    return Arrangement(scene, cell, shapes)


def _distractors(rng: np.random.Generator) -> list[ObjectSpec]:
    """None, or one or two boxes and cylinders that the gripper cannot take."""
    if rng.random() >= WITH_DISTRACTORS:
        return []
    return [_distractor(rng, f"{DISTRACTOR}-{i}") for i in range(int(rng.integers(1, MAX_DISTRACTORS, endpoint=True)))]


def _distractor(rng: np.random.Generator, name: str) -> ObjectSpec:
    half = rng.uniform(*DISTRACTOR_SIZE, size=3) / 2.0
    part = Part("box", tuple(half)) if rng.random() < 0.5 else Part("cylinder", (half[0], half[2]))
    rgba = (*rng.uniform(0.1, 0.95, 3), 1.0)
    mass = DISTRACTOR_DENSITY * part.volume
    return ObjectSpec(name, DISTRACTOR, (part,), mass, 0.5, rgba, grasp_width=float(2.0 * half.min()))


def recoloured(arrangement: Arrangement, rng: np.random.Generator) -> Arrangement:
    """The same with objects in other colours: each second one in a single random one, the others as they are."""
    objects = []
    for obj in arrangement.scene.objects:
        if rng.random() < 0.5:
            rgba = (*rng.uniform(0.05, 0.95, 3), 1.0)
            obj = replace(obj, rgba=rgba, parts=tuple(replace(part, rgba=None) for part in obj.parts))
        objects.append(obj)
    return replace(arrangement, scene=replace(arrangement.scene, objects=tuple(objects)))
