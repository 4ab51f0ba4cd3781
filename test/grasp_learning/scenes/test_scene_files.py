from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grasp_eval.results import SaveError
from grasp_learning.scenes.scene_files import (
    ABOUT,
    FORMAT,
    ScenesError,
    StaleScene,
    load_scene,
    save_scene,
    scene_names,
    scene_path,
)
from test.grasp_eval.limits import largest_file
from test.grasp_learning.scenes.samples import made_up

NAME = "scene-000007"


def test_round_trip(tmp_path: Path) -> None:
    sample = made_up()
    path = scene_path(tmp_path, NAME)
    assert save_scene(path, sample) == path.stat().st_size
    read = load_scene(path, "d1")
    assert (read.name, read.about["format"], read.about["digest"]) == (NAME, FORMAT, "d1")
    assert (read.labels.names, read.labels.support) == (sample.labels.names, sample.labels.support)
    for name in ("owner", "row", "friction_code", "width_code", "rotation", "position", "centre_of_mass", "radius"):
        one, other = getattr(read.labels, name), getattr(sample.labels, name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other), name
    assert np.allclose(read.labels.points, sample.labels.points, atol=2.6e-5)
    assert np.allclose(read.labels.normals, sample.labels.normals, atol=0.01)
    assert np.allclose(np.linalg.norm(read.labels.normals, axis=1), 1.0, atol=1e-5)
    assert read.labels.points.dtype == read.labels.normals.dtype == np.float32
    for one, other in zip(read.views, sample.views, strict=True):
        assert one.points.dtype == one.graspness.dtype == np.float32
        assert np.allclose(one.points, other.points, atol=2.6e-5)
        assert np.allclose(one.graspness, other.graspness, atol=0.002)
        assert np.array_equal(one.owner, other.owner)
        assert np.array_equal(one.colors, other.colors)
        assert np.array_equal(one.T_base_cam, other.T_base_cam)
        assert np.allclose(one.camera, other.T_base_cam[:3, 3])
        assert one.noise == other.noise


def test_another_recipe(tmp_path: Path) -> None:
    save_scene(scene_path(tmp_path, NAME), made_up())
    with pytest.raises(StaleScene, match=rf"{NAME}\.npz: a scene of another recipe"):
        load_scene(scene_path(tmp_path, NAME), "d2")


@pytest.mark.parametrize("cut", [0, 10, 1000, -1, -400])
def test_half_a_file(tmp_path: Path, cut: int) -> None:
    path = scene_path(tmp_path, NAME)
    save_scene(path, made_up())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ScenesError, match=rf"{NAME}\.npz"):
        load_scene(path)


def test_something_else(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", points=np.zeros(3))
    with pytest.raises(ScenesError, match=r"other\.npz: not a whole file"):
        load_scene(tmp_path / "other.npz")
    with pytest.raises(ScenesError, match=r"none\.npz: cannot be read"):
        load_scene(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("array", "change", "text"),
    [
        ("owner", lambda a: a[:-1], r"owner is int16 \(19,\), expected int16 \(20,\)"),
        ("view_colors", lambda a: a[:-1], r"view_colors is uint8 \(100, 3\), expected uint8 \(101, 3\)"),
        ("width_code", lambda a: a.astype(np.int32), "width_code is int32"),
        ("view_pose", lambda a: a[:1], r"view_pose is float64 \(1, 4, 4\), expected float64 \(2, 4, 4\)"),
        ("is_grasp", lambda a: 0 * a, "codes for 0 grasps"),
        ("row", lambda a: a + 1, "row goes beyond its 100 rows"),
        ("view_owner", lambda a: a + np.int16(1), "view_owner goes beyond its 2 rows"),
    ],
)
def test_what_does_not_fit_together(tmp_path: Path, array: str, change, text: str) -> None:
    path = scene_path(tmp_path, NAME)
    save_scene(path, made_up())
    with np.load(path) as file:
        arrays = dict(file)
    arrays[array] = change(arrays[array])
    np.savez(path, **arrays)
    with pytest.raises(ScenesError, match=text):
        load_scene(path)


def test_another_format(tmp_path: Path) -> None:
    path = scene_path(tmp_path, NAME)
    save_scene(path, made_up())
    with np.load(path) as file:
        arrays = dict(file)
    arrays[ABOUT] = np.array(json.dumps({"format": "seegrasp scene 0"}))
    np.savez(path, **arrays)
    with pytest.raises(ScenesError, match="not of the format"):
        load_scene(path)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = scene_path(tmp_path, NAME)
    save_scene(path, made_up())
    before = path.read_bytes()
    with largest_file(1000), pytest.raises(SaveError, match=NAME):
        save_scene(path, replace(made_up(1), name=NAME))
    assert path.read_bytes() == before


def test_names(tmp_path: Path) -> None:
    with pytest.raises(ScenesError, match="no scenes there"):
        scene_names(tmp_path)
    for name in ("scene-000010", "scene-000002"):
        save_scene(scene_path(tmp_path, name), made_up())
    (tmp_path / "scene-000003.npz.part").write_bytes(b"")
    assert scene_names(tmp_path) == ["scene-000002", "scene-000010"]
