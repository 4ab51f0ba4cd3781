"""Reading mesh files: what is repaired, what is refused, and that each file is named."""

import logging
from pathlib import Path

import numpy as np
import pytest
import trimesh

from grasp_core.errors import InputError
from grasp_sim import mesh_files
from grasp_sim.mesh_files import read_mesh
from grasp_sim.meshes import load_mesh

SIZE = (0.04, 0.05, 0.06)
VOLUME = float(np.prod(SIZE))


def box() -> trimesh.Trimesh:
    return trimesh.creation.box(SIZE)


def saved(folder: Path, mesh: trimesh.Trimesh, name: str = "thing.obj") -> Path:
    mesh.export(folder / name)
    return folder / name


def without(mesh: trimesh.Trimesh, faces: np.ndarray) -> trimesh.Trimesh:
    mesh.update_faces(~faces)
    return mesh


def test_a_good_mesh_stays_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mesh = read_mesh(saved(tmp_path, box()))
    assert mesh.volume == pytest.approx(VOLUME)
    assert not caplog.records


def test_inverted_normals_are_turned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mesh = box()
    mesh.invert()
    with caplog.at_level(logging.WARNING):
        read = read_mesh(saved(tmp_path, mesh, "inside_out.stl"))
    assert read.volume == pytest.approx(VOLUME)
    outwards = (read.face_normals * (read.triangles_center - read.centroid)).sum(1)
    assert (outwards > 0).all()
    assert "inside_out.stl has its normals inwards" in caplog.text


def test_contradicting_normals_are_turned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mesh = box()
    faces = mesh.faces.copy()
    faces[::2] = faces[::2][:, ::-1]
    with caplog.at_level(logging.WARNING):
        read = read_mesh(saved(tmp_path, trimesh.Trimesh(mesh.vertices, faces, process=False)))
    assert read.volume == pytest.approx(VOLUME)
    assert "thing.obj has normals that contradict each other" in caplog.text


@pytest.mark.parametrize("holes", [1, 3])
def test_small_holes_are_closed(tmp_path: Path, caplog: pytest.LogCaptureFixture, holes: int) -> None:
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=0.03)
    volume = mesh.volume
    corners = [np.argmax(mesh.vertices[:, axis]) for axis in range(holes)]
    mesh = without(mesh, np.isin(mesh.faces, corners).any(1))
    with caplog.at_level(logging.WARNING):
        read = read_mesh(saved(tmp_path, mesh, "worn.ply"))
    assert read.is_watertight
    assert read.volume == pytest.approx(volume, rel=0.002)
    assert f"worn.ply is not closed: {holes} hole(s)" in caplog.text


def test_a_coloured_mesh_with_a_hole_keeps_its_colour(tmp_path: Path) -> None:
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=0.03)
    mesh.visual.vertex_colors = np.tile(np.array([200, 30, 40, 255], np.uint8), (len(mesh.vertices), 1))
    mesh = without(mesh, np.arange(len(mesh.faces)) == 5)
    obj = load_mesh(saved(tmp_path, mesh, "red.ply"), cache=tmp_path / "cache")
    np.testing.assert_allclose(obj.rgba, [200 / 255, 30 / 255, 40 / 255, 1.0], atol=0.01)


def test_an_open_surface_is_refused(tmp_path: Path) -> None:
    cup = trimesh.creation.cylinder(0.03, 0.08)
    path = saved(tmp_path, without(cup, cup.face_normals[:, 2] > 0.9), "cup.stl")
    with pytest.raises(InputError, match=r"cup\.stl is not closed: .*widest of 60 mm; close them"):
        read_mesh(path)


def test_sheets_are_refused(tmp_path: Path) -> None:
    corners = np.array([[0, 0, 0], [0.05, 0, 0], [0.05, 0.05, 0], [0, 0.05, 0]])
    single = trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], process=False)
    double = trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]], process=False)
    with pytest.raises(InputError, match=r"single\.obj is not closed"):
        read_mesh(saved(tmp_path, single, "single.obj"))
    with pytest.raises(InputError, match=r"double\.obj encloses no volume"):
        read_mesh(saved(tmp_path, double, "double.obj"))


def test_degenerate_and_double_faces_do_no_harm(tmp_path: Path) -> None:
    mesh = box()
    faces = np.vstack([mesh.faces, mesh.faces[:2], [[0, 0, 1], [3, 3, 3]]])
    read = read_mesh(saved(tmp_path, trimesh.Trimesh(mesh.vertices, faces, process=False)))
    assert read.is_watertight
    assert len(read.faces) == 12


def test_nothing_but_degenerate_faces(tmp_path: Path) -> None:
    path = tmp_path / "lines.obj"
    path.write_text("v 0 0 0\nv 0 0 0.1\nv 0 0.1 0\nf 1 1 2\nf 2 3 3\n")
    with pytest.raises(InputError, match=r"lines\.obj has only degenerate faces"):
        read_mesh(path)


@pytest.mark.parametrize("suffix", [".stl", ".ply"])
def test_files_cut_off_in_the_middle(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path, trimesh.creation.icosphere(radius=0.03), f"half{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=f"half{suffix}.*export it anew"):
        read_mesh(path)


def test_faces_of_vertices_that_do_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "short.obj"
    path.write_text("v 0 0 0\nv 0 0 0.1\nv 0 0.1 0\nf 1 2 3\nf 1 2 9\n")
    with pytest.raises(InputError, match=r"short\.obj.*export it anew"):
        read_mesh(path)


def test_too_many_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, trimesh.creation.icosphere(subdivisions=4, radius=0.03), "scan.ply")
    monkeypatch.setattr(mesh_files, "MAX_FACES", 5120)
    read_mesh(path)
    monkeypatch.setattr(mesh_files, "MAX_FACES", 5119)
    with pytest.raises(InputError, match=r"scan\.ply has 5120 faces, more than 5119: .*reduce it"):
        read_mesh(path)
