from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_eval.results import SaveError
from grasp_learning.label_files import ARRAYS, LabelsError, StaleLabels, load_labels, save_labels
from grasp_learning.object_labels import (
    FRICTION_STEP,
    NO_GRASP,
    PER_POINT,
    WIDTH_STEP,
    ObjectLabels,
    quantise_friction,
    quantise_width,
)
from grasp_learning.recipe import Recipe
from grasp_sim.objects.spec import Part
from test.grasp_eval.limits import largest_file
from test.grasp_learning.things import GRIPPER, box, thing


@pytest.fixture
def labels() -> ObjectLabels:
    rng = np.random.default_rng(0)
    friction = rng.integers(0, 256, (2, PER_POINT), dtype=np.uint8)
    return ObjectLabels(
        name="noise",
        points=rng.normal(size=(2, 3)).astype(np.float32),
        normals=rng.normal(size=(2, 3)).astype(np.float32),
        centre_of_mass=rng.normal(size=3),
        friction_code=friction,
        width_code=rng.integers(0, 256, (2, PER_POINT), dtype=np.uint8),
        collision_bits=np.packbits(friction > 100, axis=1),
        digest="d1",
    )


def test_round_trip(tmp_path: Path, labels: ObjectLabels) -> None:
    path = tmp_path / "noise.npz"
    assert save_labels(path, labels) == path.stat().st_size
    read = load_labels(path, "d1")
    assert (read.name, read.digest) == ("noise", "d1")
    for name in ARRAYS:
        assert np.array_equal(getattr(read, name), getattr(labels, name))
    assert np.array_equal(read.collision().reshape(2, -1), labels.friction_code > 100)
    assert np.array_equal(np.isinf(read.friction()).reshape(2, -1), labels.friction_code == NO_GRASP)


def test_another_recipe(tmp_path: Path, labels: ObjectLabels) -> None:
    save_labels(tmp_path / "noise.npz", labels)
    with pytest.raises(StaleLabels, match=r"noise\.npz: labels of another recipe"):
        load_labels(tmp_path / "noise.npz", "d2")


@pytest.mark.parametrize("cut", [0, 10, 1000, -1, -400])
def test_half_a_file(tmp_path: Path, labels: ObjectLabels, cut: int) -> None:
    path = tmp_path / "noise.npz"
    save_labels(path, labels)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(LabelsError, match=r"noise\.npz"):
        load_labels(path)


@pytest.mark.parametrize("place", [0.02, 0.3, 0.5, 0.7])
def test_a_flipped_byte(tmp_path: Path, labels: ObjectLabels, place: float) -> None:
    path = tmp_path / "noise.npz"
    save_labels(path, labels)
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(LabelsError, match=r"noise\.npz"):
        load_labels(path)


def test_something_else(tmp_path: Path, labels: ObjectLabels) -> None:
    np.savez(tmp_path / "other.npz", points=np.zeros(3))
    with pytest.raises(LabelsError, match=r"other\.npz"):
        load_labels(tmp_path / "other.npz")
    with pytest.raises(LabelsError, match=r"none\.npz: cannot be read"):
        load_labels(tmp_path / "none.npz")
    save_labels(tmp_path / "short.npz", replace(labels, width_code=labels.width_code[:1]))
    with pytest.raises(LabelsError, match=r"short\.npz: width_code is uint8 \(1, 18000\), expected uint8 \(2, 18000\)"):
        load_labels(tmp_path / "short.npz")


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, labels: ObjectLabels) -> None:
    path = tmp_path / "noise.npz"
    save_labels(path, labels)
    before = path.read_bytes()
    with largest_file(4096), pytest.raises(SaveError, match=r"noise\.npz"):
        save_labels(path, labels)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["noise.npz"]


@given(st.floats(0.0, 1.25), st.floats(0.0, 0.1275))
def test_quantised_upwards(friction: float, width: float) -> None:
    assert -1e-6 <= quantise_friction(friction) * FRICTION_STEP - friction <= FRICTION_STEP
    assert -1e-6 <= quantise_width(width) * WIDTH_STEP - width <= WIDTH_STEP


@pytest.mark.parametrize("friction", [1.2501, 7.0, np.inf])
def test_too_much_friction_is_no_grasp(friction: float) -> None:
    assert quantise_friction(friction) == NO_GRASP


def test_recipe() -> None:
    cube = thing(box(0.04, 0.04, 0.04))
    digests = {
        Recipe.of(cube, GRIPPER, 0.005).digest,
        Recipe.of(cube, GRIPPER, 0.004).digest,
        Recipe.of(cube.renamed("other"), GRIPPER, 0.005).digest,
        Recipe.of(thing(box(0.04, 0.04, 0.05)), GRIPPER, 0.005).digest,
        Recipe.of(thing(Part("mesh", vertices=np.eye(4)[:, :3])), GRIPPER, 0.005).digest,
        Recipe.of(thing(Part("mesh", vertices=2 * np.eye(4)[:, :3])), GRIPPER, 0.005).digest,
        Recipe.of(cube, GRIPPER.model_copy(update={"max_width": 0.1}), 0.005).digest,
    }
    assert len(digests) == 7
    renamed = GRIPPER.model_copy(update={"name": "another", "mass": 2.0})
    assert Recipe.of(cube, renamed, 0.005).digest == Recipe.of(cube, GRIPPER, 0.005).digest
    assert Recipe.of(cube, GRIPPER, 0.005).digest == Recipe.of(thing(box(0.04, 0.04, 0.04)), GRIPPER, 0.005).digest
