"""The calibration's file, cells that name one, the frame that is hung onto the arm, and where a tour may go."""

from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import yaml

from grasp_core import se3
from grasp_core.board import Board
from grasp_core.calibration import Calibration, Error
from grasp_core.cell import Cell
from grasp_core.config import config_dir
from grasp_core.errors import ConfigError, FrameError, InputError, PlanningError
from grasp_core.gripper import Gripper
from hand_eye.camera_tree import StaticTree
from hand_eye.looks import Design
from hand_eye.tour import CLEARANCE, Fence, Mounting, Tour
from seegrasp.doctor import Status
from seegrasp.doctor_calibration import check_calibration
from test.hand_eye.synthetic import BOARD, SIZE, K

TURN = se3.exp_so3([0.1, -0.2, 0.3])


def calibration(**changes) -> Calibration:
    good = {
        "mode": "eye_in_hand",
        "parent_frame": "tool0",
        "child_frame": "camera_color_optical_frame",
        "translation": (0.01, -0.07, 0.04),
        "rotation": tuple(se3.quat_from_matrix(TURN).tolist()),
        "date": datetime(2026, 11, 21, 3, 49, 24, tzinfo=timezone.utc),
        "camera": "camera",
        "serial": "012345678901",
        "board": "a4",
        "square": 0.028,
        "views": 15,
        "rejected": 1,
        "residual": Error(mm=0.4, deg=0.05),
        "pixels": 0.2,
        "uncertainty": Error(mm=0.3, deg=0.03),
        "verdict": "trust",
    }
    return Calibration(**{**good, **changes})


# The file.


def test_the_file_survives_a_round(tmp_path: Path):
    kept = calibration(joint_offsets={"a": 0.001, "b": 0.0})
    kept.save(tmp_path / "deep" / "c.yaml")
    assert Calibration.load(tmp_path / "deep" / "c.yaml") == kept
    np.testing.assert_allclose(kept.T_parent_child, se3.make(TURN, [0.01, -0.07, 0.04]), atol=1e-9)


def test_the_files_keys_are_a_contract(tmp_path: Path):
    calibration().save(tmp_path / "c.yaml")
    data = yaml.safe_load((tmp_path / "c.yaml").read_text())
    assert list(data) == [
        *("mode", "parent_frame", "child_frame", "translation", "rotation", "date", "camera", "serial", "board"),
        *("square", "views", "rejected", "residual", "pixels", "uncertainty", "verdict"),
    ]
    assert data["date"] == "2026-11-21T03:49:24Z"
    assert data["residual"] == {"mm": 0.4, "deg": 0.05}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rotation", [0.0, 0.0, 0.0, 0.0]),
        ("rotation", [0.0, 0.0, 0.0, 2.0]),
        ("translation", [0.0, float("nan"), 0.0]),
        ("translation", [0.0, 0.0]),
        ("mode", "eye_on_base"),
        ("verdict", "wrong"),
        ("date", "2026-11-21T03:49:24"),
        ("views", 2),
        ("parent_frame", ""),
        ("scale", 1.0),
    ],
)
def test_a_bad_file_is_refused_by_file_and_key(tmp_path: Path, key: str, value: object):
    path = tmp_path / "c.yaml"
    calibration().save(path)
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), key: value}))
    with pytest.raises(ConfigError, match=rf"(?s)c\.yaml.*{key}"):
        Calibration.load(path)


# Cells.


def cell_with(tmp_path: Path, **changes) -> Path:
    """A cell beside a calibration of its first camera."""
    calibration(**changes).save(tmp_path / "wrist.yaml")
    data = yaml.safe_load((config_dir() / "cells" / "bin_picking.yaml").read_text())
    data["cameras"][0]["calibration"] = "wrist.yaml"
    path = tmp_path / "cell.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_a_cells_camera_is_where_its_calibration_says(tmp_path: Path):
    cell = Cell.load(str(cell_with(tmp_path)))
    np.testing.assert_allclose(cell.cameras[0].T_parent_optical, calibration().T_parent_child, atol=1e-9)
    assert cell.cameras[0].hand_eye.serial == "012345678901"
    assert cell.cameras[1].hand_eye is None


@pytest.mark.parametrize("change", [{"parent_frame": "base_link"}, {"child_frame": "camera_link"}])
def test_a_calibration_of_other_frames_is_refused(tmp_path: Path, change: dict):
    with pytest.raises(ConfigError, match=r"wrist\.yaml: calibrates .* but camera camera of the cell is"):
        Cell.load(str(cell_with(tmp_path, **change)))


def test_a_missing_calibration_is_refused_at_the_start(tmp_path: Path):
    path = cell_with(tmp_path)
    (tmp_path / "wrist.yaml").unlink()
    with pytest.raises(ConfigError, match=r"wrist\.yaml"):
        Cell.load(str(path))


def test_the_doctor_compares_file_and_transforms(tmp_path: Path):
    camera = Cell.load(str(cell_with(tmp_path))).cameras[0]
    assert check_calibration(camera, None).status is Status.OK
    assert check_calibration(camera, camera.T_parent_optical).status is Status.OK
    off = camera.T_parent_optical @ se3.make(np.eye(3), [0.002, 0.0, 0.0])
    found = check_calibration(camera, off)
    assert found.status is Status.PROBLEM
    assert "2.0 mm" in found.what
    poor = Cell.load(str(cell_with(tmp_path, verdict="collect_more"))).cameras[0]
    assert check_calibration(poor, None).status is Status.PROBLEM


# Which frame is hung onto the arm.

LINK = se3.make(se3.rpy_matrix(0.0, 0.1, 0.0), [0.0, 0.015, 0.0])
AXES = se3.make(se3.rpy_matrix(-np.pi / 2, 0.0, -np.pi / 2), [0.0, 0.0, 0.0])
X = se3.make(TURN, [0.01, -0.07, 0.04])


def test_without_a_tree_of_the_driver_the_optical_frame_is_hung():
    frame, T = StaticTree().hang("tool0", "optical", X)
    assert frame == "optical"
    np.testing.assert_allclose(T, X)


def test_the_root_of_the_drivers_tree_is_hung():
    tree = StaticTree()
    tree.add("camera_link", "color", LINK)
    tree.add("color", "optical", AXES)
    tree.add("flange", "tool0", np.eye(4))
    frame, T = tree.hang("tool0", "optical", X)
    assert frame == "camera_link"
    np.testing.assert_allclose(T @ LINK @ AXES, X, atol=1e-12)


@pytest.mark.parametrize("above", ["tool0", "flange", "wrist"])
def test_a_camera_that_hangs_on_the_arm_already_is_left_there(above: str):
    tree = StaticTree()
    tree.add("wrist", "flange", np.eye(4))
    tree.add("flange", "tool0", np.eye(4))
    tree.add(above, "camera_link", LINK)
    tree.add("camera_link", "optical", AXES)
    with pytest.raises(FrameError, match=f"camera_link is published as a child of {above} by somebody else"):
        tree.hang("tool0", "optical", X)


def test_a_loop_is_named():
    tree = StaticTree()
    tree.add("a", "optical", np.eye(4))
    tree.add("optical", "a", np.eye(4))
    with pytest.raises(FrameError, match="optical -> a -> optical is a loop"):
        tree.hang("tool0", "optical", X)


# Where a tour may go.

CELL, GRIPPER = Cell.load("bin_picking"), Gripper.load("robotiq_2f85")
CAMERA = CELL.cameras[0].T_parent_optical
LOW = CELL.table.height


def fence(start: np.ndarray, mode: str = "eye_in_hand", Y: np.ndarray | None = None) -> Fence:
    mounting = Mounting.of(mode, CAMERA, np.eye(4) if Y is None else Y, BOARD, GRIPPER.T_flange_tcp)
    return Fence(CELL, start, mounting)


def flange_at(x: float, y: float, z: float) -> np.ndarray:
    """Looking straight down."""
    return se3.make(se3.rpy_matrix(np.pi, 0.0, 0.0), [x, y, z])


def test_the_fence_keeps_off_table_bin_and_far_places():
    start = flange_at(0.5, -0.35, 0.6)
    tip = GRIPPER.T_flange_tcp[2, 3]
    assert fence(start).problem(start) == ""
    assert "above the table" in fence(start).problem(flange_at(0.5, -0.35, LOW + tip + CLEARANCE - 0.01))
    assert "too near to bin" in fence(start).problem(flange_at(0.5, -0.15, LOW + tip + CLEARANCE + 0.02))
    assert "from where the arm started" in fence(start).problem(flange_at(0.5, 0.2, 0.6))
    turned = start @ se3.make(se3.exp_so3([0.0, 0.0, 2.0]), [0, 0, 0])
    assert "115 deg" in fence(start).problem(turned)


def test_a_board_in_the_gripper_needs_room_too():
    start = flange_at(0.5, -0.35, 0.5)
    Y = se3.make(np.eye(3), [-0.1, -0.1, 0.30])  # below the fingertips
    lower = flange_at(0.5, -0.35, LOW + 0.30 + CLEARANCE - 0.01)
    assert fence(start, "eye_to_hand", Y).problem(lower)
    assert fence(start).problem(lower) == ""


def test_the_way_is_looked_at_as_well():
    start, beyond = flange_at(0.25, -0.42, 0.27), flange_at(0.65, -0.42, 0.27)
    fence(start).check_way(start, beyond)
    small = {**CELL.bin.model_dump(), "center": (0.45, -0.42), "size": (0.1, 0.1)}
    blocked = Fence(Cell.model_validate({**CELL.model_dump(), "bin": small}), start, fence(start).mounting)
    assert blocked.problem(start) == blocked.problem(beyond) == ""
    with pytest.raises(PlanningError, match="not clear: too near to bin"):
        blocked.check_way(start, beyond)


def first_look() -> np.ndarray:
    return se3.make(np.eye(3), np.array([0.0, 0.0, 0.45]) - BOARD.centre)


def test_a_tour_keeps_inside_the_fence_and_never_repeats():
    start = flange_at(0.5, -0.1, 0.7)
    Y = start @ CAMERA @ first_look()
    limits = fence(start)
    tour = Tour.plan(Design("eye_in_hand", CAMERA, Y), limits, BOARD, K, SIZE, first_look())
    at, seen = start, []
    for _ in range(8):
        at = tour.next(at)
        assert limits.problem(at) == ""
        assert all(np.abs(at - other).max() > 1e-6 for other in seen)
        seen.append(at)
    low, high = tour.box()
    assert (low < high).all()


def test_a_tour_ends_when_every_look_was_tried():
    start = flange_at(0.5, -0.1, 0.7)
    tour = Tour.plan(
        Design("eye_in_hand", CAMERA, start @ CAMERA @ first_look()), fence(start), BOARD, K, SIZE, first_look()
    )
    tour.tried = set(range(len(tour.poses)))
    assert tour.next(start) is None


def test_a_tour_without_room_is_refused():
    start = flange_at(0.5, -0.1, 0.7)
    high = Cell.model_validate({**CELL.model_dump(), "table": {**CELL.table.model_dump(), "height": 0.6}})
    limits, Y = Fence(high, start, fence(start).mounting), start @ CAMERA @ first_look()
    with pytest.raises(PlanningError, match="looks at the board are clear"):
        Tour.plan(Design("eye_in_hand", CAMERA, Y), limits, BOARD, K, SIZE, first_look())


def test_fingertips_need_a_direction():
    from hand_eye.check import touch_poses

    with pytest.raises(InputError, match="turn the gripper first"):
        touch_poses(np.eye(4), Board.load("a4").corners, 0.02, se3.make(se3.rpy_matrix(0, np.pi / 2, 0), [0, 0, 0]))
