"""The calibration board in the simulated cell appears where it is; noise of colour pictures."""

import cv2
import numpy as np
import pytest

from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.board import Board
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError
from grasp_core.gripper import Gripper
from grasp_sim.calibration_board import BoardPlace
from grasp_sim.noise.grain import grain
from grasp_sim.rendering import CellRenderer
from grasp_sim.scenes import empty_scene
from grasp_sim.work_cell import WorkCell

CELL, ARM, GRIPPER, BOARD = (
    Cell.load("bin_picking"),
    ArmProfile.load("ur5e"),
    Gripper.load("robotiq_2f85"),
    Board.load("a4"),
)


def world_with(frame: str, T_frame_board: np.ndarray) -> WorkCell:
    world = WorkCell(CELL, ARM, GRIPPER, with_bin=False, board=BoardPlace(BOARD, frame, T_frame_board))
    world.place_arm(np.array(CELL.poses["observe"]))
    return world


def test_corners_appear_where_they_are():
    centre = se3.make(se3.rpy_matrix(np.pi, 0.1, 0.3), [0.5, 0.02, 0.1])
    T_base_board = centre @ se3.make(np.eye(3), -BOARD.centre)
    world = world_with("base_link", T_base_board)
    camera = CELL.cameras[0]
    T_base_camera = world.body_pose(world.model.body("tool0").id) @ camera.T_parent_optical
    with CellRenderer(world.cell_model) as renderer:
        frame = renderer.render(world.snapshot(), 0)
    pixels, ids, _, _ = cv2.aruco.CharucoDetector(BOARD.pattern()).detectBoard(
        cv2.cvtColor(frame.color, cv2.COLOR_RGB2GRAY)
    )
    points = se3.transform(se3.inverse(T_base_camera) @ T_base_board, BOARD.corners)
    should = camera.camera_profile.camera("c").project(points)[ids.ravel()]
    error = pixels.reshape(-1, 2) - should
    assert len(ids) == len(BOARD.corners)
    assert np.sqrt((error**2).mean()) < 0.15
    assert np.abs(error.mean(axis=0)).max() < 0.05
    u, v = np.rint(should.mean(axis=0)).astype(int)
    assert frame.depth[v, u] == pytest.approx(points[ids.ravel(), 2].mean(), abs=0.003), "depth sees the plate, too"


def test_a_board_on_the_flange_moves_with_the_arm():
    world = world_with("tool0", se3.make(np.eye(3), [-0.1, -0.3, 0.05]))
    body = world.model.body("calibration_board").id
    before = world.body_pose(body)
    world.place_arm(np.array(CELL.poses["observe"]) + 0.2)
    assert np.abs(world.body_pose(body)[:3, 3] - before[:3, 3]).max() > 0.05


def test_a_frame_that_the_arm_lacks_is_named():
    with pytest.raises(ConfigError, match="no frame 'hand'"):
        world_with("hand", np.eye(4))


def test_an_empty_scene_has_no_objects():
    scene = empty_scene("bin", 0, CELL)
    assert (len(scene.objects), scene.with_bin) == (0, True)
    assert not empty_scene("pile", 0, CELL).with_bin


def test_grain_is_as_strong_as_asked_for():
    grey = np.full((200, 200, 3), 120, np.uint8)
    noisy = grain(grey, 3.0, np.random.default_rng(0))
    assert noisy.astype(float).std() == pytest.approx(3.0, rel=0.05)
    assert noisy.dtype == np.uint8
    assert grain(grey, 0.0, np.random.default_rng(0)) is grey
    assert grain(np.full((9, 9, 3), 255, np.uint8), 9.0, np.random.default_rng(0)).max() == 255
