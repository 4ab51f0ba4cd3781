"""User meshes: units, damage, decomposition and its cache."""

import logging
from pathlib import Path

import numpy as np
import pytest
import trimesh

from grasp_core.cell import Cell
from grasp_core.errors import InputError
from grasp_sim import decomposition, mesh_files
from grasp_sim.decomposition import Decomposition
from grasp_sim.meshes import load_folder, load_mesh, load_usable
from grasp_sim.scenes import sample_scene

QUICK = Decomposition(threshold=0.2, max_parts=6, resolution=500, search=10)


def l_shape() -> trimesh.Trimesh:
    outline = np.array([[0, 0], [0.06, 0], [0.06, 0.02], [0.02, 0.02], [0.02, 0.06], [0, 0.06]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5]])
    return trimesh.creation.extrude_triangulation(outline, faces, height=0.03)


def saved(folder: Path, name: str, mesh: trimesh.Trimesh) -> Path:
    mesh.export(folder / name)
    return folder / name


@pytest.mark.parametrize("suffix", mesh_files.SUFFIXES)
def test_a_concave_mesh_becomes_convex_parts(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path, f"bracket{suffix}", l_shape())
    obj = load_mesh(path, decomposition=QUICK, cache=tmp_path / "cache")
    assert obj.name == obj.family == "bracket"
    assert len(obj.parts) >= 2
    np.testing.assert_allclose(obj.extents, [0.06, 0.06, 0.03], atol=0.002)
    volume = sum(part.volume for part in obj.parts)
    assert volume == pytest.approx(l_shape().volume, rel=0.1)
    assert obj.mass == pytest.approx(600.0 * volume)
    assert obj.grasp_width == pytest.approx(0.03, abs=0.002)


def test_second_load_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, "bracket.stl", l_shape())
    first = load_mesh(path, decomposition=QUICK, cache=tmp_path / "cache")
    monkeypatch.setattr(decomposition, "decompose", None)
    second = load_mesh(path, decomposition=QUICK, cache=tmp_path / "cache")
    for a, b in zip(first.parts, second.parts, strict=True):
        assert np.array_equal(a.vertices, b.vertices)
    assert [p.suffix for p in (tmp_path / "cache").iterdir()] == [".npz"]


def test_other_parameters_and_other_scale_are_other_entries(tmp_path: Path) -> None:
    path = saved(tmp_path, "box.stl", trimesh.creation.box([0.04, 0.05, 0.06]))
    for kwargs in ({}, {"scale": 2.0}, {"decomposition": QUICK}):
        load_mesh(path, cache=tmp_path / "cache", **kwargs)
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_a_damaged_cache_entry_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = saved(tmp_path, "box.stl", trimesh.creation.box([0.04, 0.05, 0.06]))
    load_mesh(path, cache=tmp_path / "cache")
    entry = next((tmp_path / "cache").iterdir())
    for damage in (b"", b"PK\x03\x04 not a zip", entry.read_bytes()[:80]):
        entry.write_bytes(damage)
        with caplog.at_level(logging.WARNING):
            assert len(load_mesh(path, cache=tmp_path / "cache").parts) == 1
        assert "damaged" in caplog.text
        caplog.clear()


def test_a_cache_that_cannot_be_written_only_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = saved(tmp_path, "box.stl", trimesh.creation.box([0.04, 0.05, 0.06]))
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        assert len(load_mesh(path, cache=tmp_path / "file").parts) == 1
    assert "not kept" in caplog.text


def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = saved(tmp_path, "box.stl", trimesh.creation.box([0.04, 0.05, 0.06]))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with caplog.at_level(logging.WARNING):
        load_mesh(path, cache=tmp_path / "cache")
    assert "No space left" in caplog.text
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("content", ["empty", "other", "nan", "flat"])
def test_a_cache_entry_with_other_content_is_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    path = saved(tmp_path, "box.stl", trimesh.creation.box([0.04, 0.05, 0.06]))
    good = load_mesh(path, cache=tmp_path / "cache")
    entry = next((tmp_path / "cache").iterdir())
    arrays = {
        "empty": {},
        "other": {"part_000": np.array(["no vertices"], dtype=object)},
        "nan": {"part_000": np.full((8, 3), np.nan)},
        "flat": {"part_000": np.zeros((8, 2))},
    }
    np.savez(entry, **arrays[content])
    with caplog.at_level(logging.WARNING):
        again = load_mesh(path, cache=tmp_path / "cache")
    assert "is made anew" in caplog.text
    assert np.array_equal(again.parts[0].vertices, good.parts[0].vertices)


def test_a_cache_on_a_read_only_file_system_only_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = saved(tmp_path, "box.stl", trimesh.creation.box([0.04, 0.05, 0.06]))
    with caplog.at_level(logging.WARNING):
        assert len(load_mesh(path, cache="/proc/seegrasp").parts) == 1
    assert "not kept" in caplog.text


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (60.0, r"millimetres; load it with scale=0\.001"),
        (5.0, r"centimetres; load it with scale=0\.01"),
        (5e-5, r"metres divided by 1000; load it with scale=1000"),
        (1.0, "larger than"),
        (1e6, "larger than"),
        (0.001, "smaller than"),
    ],
)
def test_wrong_units(tmp_path: Path, size: float, message: str) -> None:
    path = saved(tmp_path, "box.stl", trimesh.creation.box([size] * 3))
    with pytest.raises(InputError, match=message) as caught:
        load_mesh(path, cache=tmp_path / "cache")
    assert "box.stl" in str(caught.value)


def test_the_factor_that_is_named_fixes_it(tmp_path: Path) -> None:
    path = saved(tmp_path, "box.stl", trimesh.creation.box([40, 50, 60]))
    with pytest.raises(InputError, match=r"scale=0\.001, or all of its folder as FOLDER@0\.001"):
        load_mesh(path, cache=tmp_path / "cache")
    (obj,) = load_folder(f"{tmp_path}@0.001", cache=tmp_path / "cache")
    np.testing.assert_allclose(obj.extents, [0.04, 0.05, 0.06], atol=1e-6)


def test_scale_to_metres(tmp_path: Path) -> None:
    path = saved(tmp_path, "box.stl", trimesh.creation.box([40, 50, 60]))
    obj = load_mesh(path, scale=0.001, mass=0.2, cache=tmp_path / "cache")
    np.testing.assert_allclose(obj.extents, [0.04, 0.05, 0.06], atol=1e-6)
    assert obj.mass == 0.2


@pytest.mark.parametrize("kwargs", [{"scale": 0.0}, {"scale": float("nan")}, {"mass": -1.0}, {"density": 0.0}])
def test_bad_numbers(tmp_path: Path, kwargs: dict) -> None:
    path = saved(tmp_path, "box.stl", trimesh.creation.box([0.04, 0.05, 0.06]))
    with pytest.raises(InputError, match="positive"):
        load_mesh(path, cache=tmp_path / "cache", **kwargs)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.obj", b"", "export it anew"),
        ("points.obj", b"v 0 0 0\nv 0 0 0.1\nv 0 0.1 0\n", "export it anew"),
        ("nan.obj", b"v 0 0 nan\nv 0 0 0.1\nv 0 0.1 0\nv 0.1 0 0\nf 1 2 3\nf 1 2 4\n", "not finite"),
        ("noise.stl", bytes(range(200)), "export it anew"),
        ("noise.ply", b"ply\nformat nonsense\n", "export it anew"),
        ("scene.gltf", b"{}", "convert it"),
    ],
)
def test_damaged_files_name_themselves(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_mesh(path, cache=tmp_path / "cache")
    assert name in str(caught.value)


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        load_folder(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no mesh"):
        load_folder(tmp_path)
    saved(tmp_path, "b.ply", trimesh.creation.box([0.04, 0.05, 0.06]))
    saved(tmp_path, "a.obj", trimesh.creation.box([0.03, 0.03, 0.06]))
    (tmp_path / "notes.txt").write_text("not a mesh")
    objects = load_folder(tmp_path, cache=tmp_path / "cache")
    assert [obj.name for obj in objects] == ["a", "b"]
    scene = sample_scene("bin", 3, 0, Cell.load("bin_picking"), families=(), extra_objects=objects)
    assert len(scene) == 3


def test_the_good_ones_of_a_folder_with_bad_ones(tmp_path: Path) -> None:
    folder = tmp_path / "meshes"
    folder.mkdir()
    saved(folder, "good.obj", trimesh.creation.box([0.04, 0.05, 0.06]))
    saved(folder, "millimetres.stl", trimesh.creation.box([40, 50, 60]))
    (folder / "broken.ply").write_bytes(b"ply\nformat nonsense\n")
    (folder / "sub.obj").mkdir()
    objects, problems = load_usable(folder, cache=tmp_path / "cache")
    assert [obj.name for obj in objects] == ["good"]
    assert len(problems) == 2
    assert "broken.ply" in problems[0]
    assert "scale=0.001" in problems[1]
    with pytest.raises(InputError, match=r"broken\.ply"):
        load_folder(folder, cache=tmp_path / "cache")
    (folder / "good.obj").unlink()
    with pytest.raises(InputError, match=r"no mesh that can be used: .*broken\.ply.*millimetres\.stl"):
        load_usable(folder, cache=tmp_path / "cache")
