"""Scenes of a run: the same for everybody, within the protocol's rules, on the stage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grasp_core import se3
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError, InputError
from grasp_eval.bench import scene_source
from grasp_eval.bench.protocol import Protocol
from grasp_eval.bench.records import RunConfig
from grasp_eval.bench.scene_source import make_scene, scene_seed
from grasp_eval.bench.stage import stage_cell
from grasp_sim.object_sets import ObjectSet, load_object_set
from grasp_sim.scenes import MAX_PENETRATION, Scene
from grasp_sim.settling import settle


@pytest.fixture(scope="module")
def objects() -> ObjectSet:
    return load_object_set("procedural")


def scene_of(protocol: str, kind: str, objects: ObjectSet, index: int = 0, **changes: object) -> Scene:
    return make_scene(RunConfig(protocol=protocol, scene=kind, **changes), Protocol.load(protocol), objects, index)


def digest(scene: Scene) -> tuple:
    return scene.seed, [o.name for o in scene.objects], [o.mass for o in scene.objects], scene.poses.tobytes()


@pytest.mark.parametrize(
    ("protocol", "kind", "count"),
    [
        ("seegrasp", "pile", 10),
        ("seegrasp", "packed", 6),
        ("seegrasp", "bin", 10),
        ("seegrasp", "single", 1),
        ("giga", "pile", 5),
        ("edge", "packed", None),
    ],
)
def test_scenes_lie_still_within_the_workspace(protocol: str, kind: str, count: int | None, objects: ObjectSet) -> None:
    scene = scene_of(protocol, kind, objects, index=1)
    cell = stage_cell(Protocol.load(protocol), kind)
    assert len(scene) == count if count else 1 <= len(scene) <= 5
    assert scene.with_bin == (kind == "bin")
    box = cell.workspace_box()
    for obj, pose in zip(scene.objects, scene.poses, strict=True):
        points = se3.transform(pose, obj.mesh().vertices)
        assert (points[:, :2] >= box.min[:2] - 1e-6).all()
        assert (points[:, :2] <= box.max[:2] + 1e-6).all()
        assert obj.metadata["shape"] in objects.names
    still = settle(scene.objects, scene.poses, cell, scene.with_bin)
    assert still.penetration.max() <= MAX_PENETRATION
    assert np.linalg.norm((still.poses - scene.poses)[:, :3, 3], axis=1).max() < 0.003


def test_a_round_depends_on_seed_and_index_alone(objects: ObjectSet) -> None:
    one = digest(scene_of("giga", "pile", objects, 3, detector="analytic"))
    scene_of("giga", "pile", objects, 7)
    again = digest(scene_of("giga", "pile", load_object_set("procedural"), 3, detector="oracle", rounds=7, pictures=0))
    assert one == again
    assert digest(scene_of("giga", "pile", objects, 4)) != one
    assert digest(scene_of("giga", "pile", objects, 3, seed=1)) != one


def test_seeds_are_distinct_and_exact_as_json_numbers() -> None:
    seeds = [scene_seed(seed, index, attempt) for seed in range(10) for index in range(50) for attempt in range(3)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**53 for seed in seeds)
    with pytest.raises(InputError, match="negative"):
        scene_seed(-1, 0)


def test_the_protocols_rules_reach_the_objects(objects: ObjectSet) -> None:
    scene = scene_of("edge", "pile", objects)
    assert {obj.friction for obj in scene.objects} == {0.75}
    for obj in scene.objects:
        original = objects.find(str(obj.metadata["shape"]))
        factor = float(obj.metadata["scale"])
        assert 0.8 <= factor <= 1.0
        np.testing.assert_allclose(obj.extents, factor * original.extents)
    assert {o.friction for o in scene_of("giga", "pile", objects).objects} != {0.75}


def test_a_run_may_ask_for_another_count(objects: ObjectSet) -> None:
    assert len(scene_of("giga", "pile", objects, count=3)) == 3


def test_an_occluded_scene_is_a_pile(objects: ObjectSet) -> None:
    assert scene_of("seegrasp", "occluded", objects, count=3).kind == "pile"


def test_scenes_that_do_not_settle_are_tried_again_and_then_given_up(
    objects: ObjectSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = scene_source.sample_scene, []

    def fail_twice(kind: str, n: int, seed: int, *args: object) -> Scene:
        calls.append(seed)
        if len(calls) < 3:
            raise InputError("they roll away")
        return original(kind, n, seed, *args)

    monkeypatch.setattr(scene_source, "sample_scene", fail_twice)
    assert scene_of("giga", "pile", objects).seed == calls[2] == scene_seed(0, 0, 2)
    assert len(set(calls)) == 3
    huge = replace(objects, objects=(objects.objects[0].scaled(20.0),), names=("huge",))
    monkeypatch.setattr(scene_source, "sample_scene", original)
    with pytest.raises(InputError, match="in 5 tries: no object stays upright"):
        scene_of("giga", "packed", huge)


def test_the_stage_is_a_table_with_the_workspace_in_the_middle() -> None:
    protocol = Protocol.load("giga")
    cell = stage_cell(protocol, "pile")
    assert cell.table.height == 0.0
    assert cell.cameras == ()
    assert cell.bin is None
    assert cell.tray is None
    np.testing.assert_allclose(cell.workspace_box().max, [0.15, 0.15, 0.30])
    np.testing.assert_allclose(cell.workspace_box().min, [-0.15, -0.15, -0.02])
    assert (np.array(cell.table.max) >= 0.5).all()
    with pytest.raises(ConfigError, match="no scene 'single'"):
        stage_cell(protocol, "single")


def test_the_container_of_the_work_cell_stands_in_the_middle_of_the_stage() -> None:
    shipped, cell = Cell.load("bin_picking").bin, stage_cell(Protocol.load("seegrasp"), "bin")
    assert cell.bin.center == (0.0, 0.0)
    assert (cell.bin.size, cell.bin.wall_height) == (shipped.size, shipped.wall_height)
    outer = np.array(cell.bin.size) / 2 + cell.bin.wall_thickness
    assert (cell.workspace_box().max[:2] > outer).all()
    assert cell.workspace_box().max[1] == pytest.approx(0.20)
