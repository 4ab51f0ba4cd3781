"""The scenes of a run: which objects lie where in round i, the same for every detector and any number of workers."""

from __future__ import annotations

import numpy as np

from grasp_core.cell import Box
from grasp_core.errors import InputError
from grasp_eval.bench.protocol import Protocol
from grasp_eval.bench.records import RunConfig
from grasp_eval.bench.stage import stage_cell
from grasp_sim.object_sets import ObjectSet
from grasp_sim.scenes import AREA_HEIGHT, OVERHANG, Placing, Scene, sample_scene

SCENE_TRIES = 5  # derived seeds, before a scene is given up


def make_scene(config: RunConfig, protocol: Protocol, objects: ObjectSet, index: int) -> Scene:
    """The scene of round ``index``, at rest on ``stage_cell(protocol, config.scene)``.

    Depends on nothing but ``config.seed``, ``index`` and what describes the scene: ``config.scene``, ``config.count``,
    the protocol's rules and friction, and the objects. An ``occluded`` scene is a pile; its target is chosen by
    ``choose_target``.

    Raises:
        InputError: objects that do not come to rest inside the workspace under several derived seeds.
        ConfigError: the protocol has no such scene.
    """
    rules = protocol.rules(config.scene)
    kind = "pile" if config.scene == "occluded" else config.scene
    cell = stage_cell(protocol, config.scene)
    area = None if kind == "bin" else _area(protocol)
    placing = Placing(rules.scale, rules.half, rules.gap, rules.tries, protocol.friction)
    count = config.count or rules.count
    problem = ""
    for attempt in range(SCENE_TRIES):
        seed = scene_seed(config.seed, index, attempt)
        try:
            return sample_scene(kind, count, seed, cell, (), objects.objects, placing, area)
        except InputError as error:
            problem = str(error)
    raise InputError(
        f"no {config.scene} scene for round {index} (seed {config.seed}) in {SCENE_TRIES} tries: {problem}"
    )


def scene_seed(seed: int, index: int, attempt: int = 0) -> int:
    """The seed of round ``index`` of a run: 53 bits, so that it survives JSON in every language."""
    if seed < 0 or index < 0:
        raise InputError(f"seed and round must not be negative, got {seed} and {index}")
    return int(np.random.SeedSequence((seed, index, attempt)).generate_state(1, np.uint64)[0] >> np.uint64(11))


def _area(protocol: Protocol) -> Box:
    """Where objects may lie so that none sticks out of the workspace."""
    half = protocol.workspace / 2 - OVERHANG
    return Box([-half, -half, 0.0], [half, half, AREA_HEIGHT])
