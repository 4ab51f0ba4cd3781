"""URDF files of single objects: mesh, scale, pose, mass, friction, and what is refused."""

import logging
from pathlib import Path

import numpy as np
import pytest
import trimesh

from grasp_core.errors import InputError
from grasp_sim.meshes import load_folder, load_urdf

VISUAL = (
    '<visual><origin xyz="0 0 0.01" rpy="0 0 1.5707963"/><geometry><mesh filename="{}" scale="{}"/></geometry></visual>'
)
COLLISION = '<collision><geometry><mesh filename="{}" scale="1 1 1"/></geometry></collision>'


def written(folder: Path, inside: str, name: str = "thing.urdf") -> Path:
    path = folder / name
    path.write_text(f'<?xml version="1.0"?><robot name="thing"><link name="base">{inside}</link></robot>')
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    trimesh.creation.box([0.08, 0.10, 0.12]).export(tmp_path / "big.obj")
    trimesh.creation.box([40, 50, 60]).export(tmp_path / "millimetres.stl")
    cup = trimesh.creation.cylinder(0.03, 0.08)
    cup.update_faces(cup.face_normals[:, 2] < 0.9)
    cup.export(tmp_path / "open.stl")
    return tmp_path


def test_scale_pose_mass_and_friction(folder: Path) -> None:
    contact = '<contact><lateral_friction value="0.9"/></contact>'
    inertial = '<inertial><origin xyz="0 0 0.01"/><mass value="0.25"/></inertial>'
    path = written(folder, contact + inertial + VISUAL.format("big.obj", "0.5 0.5 0.25"))
    obj = load_urdf(path, cache=folder / "cache")
    assert (obj.name, obj.mass, obj.friction) == ("thing", 0.25, 0.9)
    np.testing.assert_allclose(obj.extents, [0.05, 0.04, 0.03], atol=1e-6)  # a quarter turn swaps x and y
    given = load_urdf(path, mass=0.5, friction=0.3, scale=0.8, cache=folder / "cache")
    assert (given.mass, given.friction) == (0.5, 0.3)
    np.testing.assert_allclose(given.extents, [0.04, 0.032, 0.024], atol=1e-6)


def test_defaults_without_mass_friction_and_visual(folder: Path) -> None:
    obj = load_urdf(written(folder, COLLISION.format("big.obj")), cache=folder / "cache")
    assert obj.mass == pytest.approx(600 * 0.08 * 0.10 * 0.12)
    assert obj.friction == 0.6


def test_several_meshes_of_a_link_make_one_object(folder: Path) -> None:
    other = VISUAL.format("big.obj", "1 1 1").replace("0 0 0.01", "0 0 0.13")
    obj = load_urdf(written(folder, VISUAL.format("big.obj", "1 1 1") + other), cache=folder / "cache")
    np.testing.assert_allclose(obj.extents, [0.10, 0.08, 0.24], atol=1e-6)
    assert len(obj.parts) == 2


def test_the_collision_mesh_stands_in_for_a_bad_visual_one(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    inside = VISUAL.format("open.stl", "1 1 1") + COLLISION.format("big.obj")
    with caplog.at_level(logging.WARNING):
        obj = load_urdf(written(folder, inside), cache=folder / "cache")
    assert "open.stl is not closed" in caplog.text
    assert "collision mesh is used instead" in caplog.text
    np.testing.assert_allclose(obj.extents, [0.08, 0.10, 0.12], atol=1e-6)


def test_a_folder_with_urdfs_holds_what_they_describe(folder: Path) -> None:
    written(folder, VISUAL.format("big.obj", "1 1 1"), "b.urdf")
    written(folder, VISUAL.format("millimetres.stl", "0.001 0.001 0.001"), "a.urdf")
    assert [obj.name for obj in load_folder(folder, cache=folder / "cache")] == ["a", "b"]


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ("", "neither <visual> nor <collision>"),
        (VISUAL.format("gone.obj", "1 1 1"), r"gone\.obj does not exist"),
        (VISUAL.format("open.stl", "1 1 1"), r"open\.stl is not closed"),
        (VISUAL.format("millimetres.stl", "1 1 1"), r"millimetres; load it with scale=0\.001"),
        (VISUAL.format("big.obj", "1 1"), "scale must be three numbers"),
        (VISUAL.format("big.obj", "1 1 -1"), "scale must be positive"),
        (VISUAL.format("big.obj", "1 nan 1"), "scale must be finite"),
        (VISUAL.format("package://things/big.obj", "1 1 1"), "relative to the URDF"),
        ('<visual><geometry><box size="1 1 1"/></geometry></visual>', "has no <mesh>"),
        ('<inertial><mass value="heavy"/></inertial>' + VISUAL.format("big.obj", "1 1 1"), "number as value"),
        ('<inertial><mass value="0"/></inertial>' + VISUAL.format("big.obj", "1 1 1"), "mass must be a positive"),
        ('</link><link name="second">' + VISUAL.format("big.obj", "1 1 1"), "has 2 links"),
        ("<visual>", "cannot be read as a URDF"),
    ],
)
def test_bad_urdfs_name_themselves(folder: Path, inside: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_urdf(written(folder, inside), cache=folder / "cache")
    assert "thing.urdf" in str(caught.value)
