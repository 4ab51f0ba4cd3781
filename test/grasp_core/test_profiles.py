"""The shipped profiles load, and wrong ones are refused by file and key."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from grasp_core import config
from grasp_core.arm import ArmProfile
from grasp_core.camera import Camera, CameraProfile
from grasp_core.cell import Box, Cell
from grasp_core.errors import ConfigError, InputError
from grasp_core.gripper import Gripper

MODELS = {"arms": ArmProfile, "grippers": Gripper, "cameras": CameraProfile, "cells": Cell}
SHIPPED = [(kind, p.stem) for kind in MODELS for p in sorted((config.config_dir() / kind).glob("*.yaml"))]


def changed(tmp_path: Path, kind: str, name: str, edit) -> str:
    data = yaml.safe_load(config.find(kind, name).read_text())
    edit(data)
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(data))
    return str(path)


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_shipped_profiles_load(kind, name):
    assert MODELS[kind].load(name).name == name


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda d: d.update(colour="red"), "colour"),
        (lambda d: d.pop("max_width"), "max_width"),
        (lambda d: d.update(max_width="wide"), "max_width"),
        (lambda d: d.update(max_width=float("nan")), "max_width"),
        (lambda d: d["finger"].update(length=-1), "finger.length"),
        (lambda d: d["driver"].update(type="magnet"), "driver.type"),
        (lambda d: d["joint"].update(width=[0.085, 0.0]), "joint"),
        (lambda d: d.update(min_width=0.2), "min_width"),
    ],
)
def test_wrong_gripper_is_refused_by_file_and_key(tmp_path, edit, expected):
    path = changed(tmp_path, "grippers", "robotiq_2f85", edit)
    with pytest.raises(ConfigError) as error:
        Gripper.load(path)
    assert path in str(error.value)
    assert expected in str(error.value)


def test_arm_pose_of_wrong_length_and_missing_urdf(tmp_path):
    with pytest.raises(ConfigError, match=r"poses\.home has 2 entries, expected 6"):
        ArmProfile.load(changed(tmp_path, "arms", "ur5e", lambda d: d["poses"].update(home=[0, 0])))
    arm = ArmProfile.load(changed(tmp_path, "arms", "ur5e", lambda d: d.update(urdf="none.urdf")))
    with pytest.raises(ConfigError, match=r"none\.urdf"):
        _ = arm.urdf_path


def test_unreadable_files_are_named(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [1")
    (tmp_path / "b.yaml").write_text("- 1")
    for name, expected in (("a", "not valid YAML"), ("b", "expected a mapping")):
        with pytest.raises(ConfigError, match=expected):
            Gripper.load(str(tmp_path / f"{name}.yaml"))
    with pytest.raises(ConfigError, match=r"there are: .*robotiq_2f85"):
        Gripper.load("robotic_2f85")
    with pytest.raises(ConfigError, match=r"no file .*nowhere\.yaml"):
        Gripper.load("nowhere.yaml")


def test_gripper_joint_map_and_boxes():
    gripper = Gripper.load("robotiq_2f85")
    for width in np.linspace(0, 0.085, 7):
        assert abs(gripper.width_from_joint(gripper.joint_from_width(width)) - width) < 1e-9
    for bad in (-0.01, 0.2, np.nan):
        with pytest.raises(InputError, match="robotiq_2f85"):
            gripper.joint_from_width(bad)
    centres, sizes = gripper.boxes(0.05)
    inner = centres[1, 0] - sizes[1, 0] / 2
    assert np.isclose(inner, 0.025)
    assert np.isclose(centres[0, 0], -centres[1, 0])
    assert np.isclose(centres[1, 2] + sizes[1, 2] / 2, 0.0)  # the fingers end at the origin's plane
    assert gripper.boxes(np.full((4, 2), 0.03))[0].shape == (4, 2, 4, 3)


def test_cell_geometry_is_consistent():
    cell = Cell.load("bin_picking")
    region, workspace = cell.pick_region(), cell.workspace_box()
    assert workspace.contains(region.min)
    assert workspace.contains(region.max)
    for obstacle in cell.obstacle_boxes():
        solid = Box(obstacle.centre - obstacle.size / 2, obstacle.centre + obstacle.size / 2)
        assert not np.all((solid.min < region.max) & (solid.max > region.min)), obstacle.name
    assert cell.cameras[0].frame == "camera_color_optical_frame"
    assert cell.cameras[0].topic("depth") == "/camera/camera/aligned_depth_to_color/image_raw"
    overhead = cell.cameras[1].T_parent_optical
    np.testing.assert_allclose(overhead[:3, 2], [0, 0, -1], atol=1e-6)  # it looks straight down


def test_camera_projects_what_it_deprojects():
    camera = CameraProfile.load("d435").camera("camera_color_optical_frame")
    depth = np.random.default_rng(0).uniform(0.2, 2.0, (480, 640)).astype(np.float32)
    pixels = camera.project(camera.deproject(depth))
    u, v = np.meshgrid(np.arange(640), np.arange(480))
    np.testing.assert_allclose(pixels[..., 0], u, atol=1e-3)
    np.testing.assert_allclose(pixels[..., 1], v, atol=1e-3)
    assert np.isnan(camera.project([[0, 0, -1.0]])).all()


@pytest.mark.parametrize(
    ("K", "message"),
    [
        (np.zeros((3, 3)), "focal"),
        (np.full((3, 3), np.nan), "finite"),
        (np.array([[600, 0, 1900], [0, 600, 500], [0, 0, 1.0]]), "principal point"),
    ],
)
def test_wrong_intrinsics_are_refused(K, message):
    with pytest.raises(InputError, match=message):
        Camera(K, 640, 480)


def test_nobody_moves_a_camera_by_accident():
    K = np.array([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]])
    camera = Camera(K, 640, 480)
    for array in (camera.K, camera.rays()):
        with pytest.raises(ValueError, match="read-only"):
            array *= 2.0
    K *= 2.0
    assert camera.K[0, 0] == 500.0


def test_depth_of_another_size_is_refused():
    with pytest.raises(InputError, match=r"\(1280, 720\)"):
        CameraProfile.load("d435").camera("c").deproject(np.zeros((720, 1280)))
