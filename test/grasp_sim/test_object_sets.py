"""Object sets: splits that never change and never mix, names that stay, folders with bad meshes."""

import hashlib
import pickle
from itertools import combinations
from pathlib import Path

import mujoco
import numpy as np
import pytest
import trimesh

from grasp_core.errors import InputError
from grasp_sim import object_sets
from grasp_sim.object_sets import SPLITS, ObjectSet, load_object_set, make_shape
from grasp_sim.objects import FAMILIES, add_object
from grasp_sim.objects.long_things import LONG

# Whoever changes one of these changes what every published number was measured on: make a new split instead.
DIGESTS = {
    "procedural-train": "d790febfae6ff988",
    "procedural-val": "cf9b9c1806f33219",
    "procedural-test": "7c161044a9040689",
    "procedural-similar": "9e60842efa22c3e2",
    "procedural-long": "09cf141ac8ccc90e",
}


def digest(objects: ObjectSet) -> str:
    """Of every name, size, mass, friction and number of parts, to 1 um, 1 mg."""
    lines = [
        f"{obj.name} {len(obj.parts)} {obj.mass:.6f} {obj.friction:.6f} " + " ".join(f"{v:.6f}" for v in obj.extents)
        for obj in objects.objects
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@pytest.mark.parametrize(("name", "expected"), DIGESTS.items())
def test_the_lists_have_not_changed(name: str, expected: str) -> None:
    assert digest(load_object_set(name)) == expected


def test_counts() -> None:
    counts = {name: len(load_object_set(f"procedural-{name}")) for name in SPLITS}
    assert counts == {"train": 400, "val": 60, "test": 120, "similar": 200, "long": 60}


def test_families_of_the_splits_are_disjoint_and_complete() -> None:
    families = {split: set(SPLITS[split][0]) for split in ("train", "val", "test", "long")}
    for one, other in combinations(families, 2):
        assert not families[one] & families[other]
    assert set.union(*families.values()) == set(FAMILIES) | set(LONG)
    assert set(SPLITS["similar"][0]) == families["train"]


def test_no_shape_occurs_twice_in_any_split() -> None:
    seen = {}
    for split in SPLITS:
        for obj in load_object_set(f"procedural-{split}").objects:
            size = (obj.family, *np.round(obj.extents, 6))
            assert size not in seen, f"{obj.name} is {seen[size]}"
            seen[size] = obj.name


def test_names_are_known_before_the_shapes_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_sets, "FAMILIES", {})
    objects = load_object_set("procedural-train")
    assert objects.names[0] == "box-train-000"
    assert objects.names[-1] == "ring-train-039"
    assert len(set(objects.names)) == len(objects)


def test_names_and_shapes_agree() -> None:
    objects = load_object_set("procedural")
    assert objects.name == "procedural-test"
    assert tuple(obj.name for obj in objects.objects) == objects.names
    assert objects.find("mug-test-017").family == "mug"
    assert objects.objects[-1] is objects.objects[len(objects) - 1]
    assert [obj.name for obj in objects.objects[19:21]] == ["bottle-test-019", "mug-test-000"]
    with pytest.raises(IndexError):
        objects.objects[len(objects)]
    with pytest.raises(InputError, match="no object 'mug-test-020'"):
        objects.find("mug-test-020")


def test_a_shape_depends_on_its_name_alone() -> None:
    late_first = make_shape("val", "can", 7)
    make_shape.cache_clear()
    for number in range(7):
        make_shape("val", "can", number)
    again = make_shape("val", "can", 7)
    assert late_first is not again
    assert late_first.metadata == again.metadata
    assert late_first.mass == again.mass


def test_a_set_travels_to_another_process() -> None:
    objects = load_object_set("procedural-val")
    data = pickle.dumps(objects)
    assert len(data) < 10_000
    assert pickle.loads(data).objects[3].metadata == objects.objects[3].metadata


def test_mujoco_takes_the_objects_under_their_names() -> None:
    spec = mujoco.MjSpec()
    objects = load_object_set("procedural-test").objects[::17]
    for i, obj in enumerate(objects):
        add_object(spec, obj, obj.name, pos=(0.3 * i, 0, 0.2))
    model = spec.compile()
    assert [model.body(obj.name).id for obj in objects] == list(range(1, len(objects) + 1))


@pytest.mark.parametrize("name", ["procedural-trian", "mugs", "nowhere@0.001"])
def test_unknown_sets_name_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match="procedural-long, or a folder of meshes"):
        load_object_set(name)


def test_a_folder_of_meshes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEGRASP_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "meshes"
    folder.mkdir()
    for i, name in enumerate(("a.obj", "a.stl", "red mug #2.ply", "a-2.ply")):
        trimesh.creation.box([30 + i, 50, 60]).export(folder / name)
    (folder / "broken.obj").write_text("nothing")
    objects = load_object_set(f"{folder}@0.001")
    assert objects.names == ("a-2", "a", "a-3", "red_mug__2")
    assert tuple(obj.name for obj in objects.objects) == objects.names
    assert objects.find("a-3").extents[0] == pytest.approx(0.031, abs=1e-6)
    assert len(objects.problems) == 1
    assert "broken.obj" in objects.problems[0]
    assert load_object_set("procedural-val").problems == ()
