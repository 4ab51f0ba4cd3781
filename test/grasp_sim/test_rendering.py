"""Rendered depth and colour are where the camera model says they are."""

import numpy as np
import pytest

from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.camera import Camera
from grasp_core.cell import Cell
from grasp_core.gripper import Gripper
from grasp_sim.objects import Part
from grasp_sim.rendering import CellRenderer, Frame
from grasp_sim.work_cell import WorkCell
from test.grasp_sim.robot import box, make_object

BALL = 0.03


def scene(cell: Cell) -> WorkCell:
    """A box and a ball lying still in the bin, the arm at the observe pose."""
    objects = [box((0.08, 0.05, 0.06)), make_object("ball", (Part("sphere", (BALL,)),))]
    turn = se3.rpy_matrix(0.0, 0.0, 0.5)
    floor = cell.support_height()
    poses = [se3.make(turn, [0.44, 0.05, floor + 0.03]), se3.make(np.eye(3), [0.60, -0.06, floor + BALL])]
    work_cell = WorkCell(cell, ArmProfile.load("ur5e"), Gripper.load("robotiq_2f85"), objects, np.stack(poses))
    work_cell.place_arm(np.array(cell.poses["observe"]))
    return work_cell


def look(work_cell: WorkCell, index: int) -> tuple[Frame, Camera, np.ndarray]:
    """A picture, its camera, and the points (H, W, 3) in the base frame that its depth says."""
    mounted = work_cell.cell.cameras[index]
    camera = mounted.camera_profile.camera(mounted.frame)
    with CellRenderer(work_cell.cell_model) as renderer:
        frame = renderer.render(work_cell.snapshot(), index)
    parent = work_cell.body_pose(work_cell.model.body(mounted.parent).id)
    return frame, camera, se3.transform(parent @ mounted.T_parent_optical, camera.deproject(frame.depth))


def shifted(cell: Cell) -> Cell:
    """The cell with a principal point far from the middle and unequal focal lengths in its cameras."""
    cameras = []
    for mounted in cell.cameras:
        profile = mounted.camera_profile.model_copy(update={"cx": 342.25, "cy": 221.5, "fx": 590.0, "fy": 600.0})
        moved = mounted.model_copy()
        moved.__dict__["camera_profile"] = profile
        cameras.append(moved)
    return cell.model_copy(update={"cameras": tuple(cameras)})


@pytest.mark.parametrize("index", [0, 1], ids=["wrist", "overhead"])
@pytest.mark.parametrize("off_centre", [False, True], ids=["centred", "off centre"])
def test_depth_is_where_the_surfaces_are(index: int, off_centre: bool) -> None:
    cell = shifted(Cell.load("bin_picking")) if off_centre else Cell.load("bin_picking")
    work_cell = scene(cell)
    frame, _, points = look(work_cell, index)
    assert frame.depth.dtype == np.float32
    assert frame.depth.shape == (480, 640)
    flat = points.reshape(-1, 3)
    in_bin = (np.abs(flat[:, 0] - 0.5) < 0.19) & (np.abs(flat[:, 1]) < 0.14) & (flat[:, 2] < 0.1)
    floor = cell.support_height()
    ball = flat[in_bin & (np.linalg.norm(flat - [0.60, -0.06, floor + BALL], axis=1) < BALL + 0.004)]
    local = se3.transform(se3.inverse(work_cell.object_poses()["box"]), flat)
    top = flat[in_bin & (np.abs(local[:, :2]) < [0.038, 0.023]).all(axis=1) & (local[:, 2] > 0.02)]
    away = (np.linalg.norm(flat[:, :2] - [0.60, -0.06], axis=1) > 0.04) & (np.linalg.norm(local[:, :2], axis=1) > 0.06)
    lowest = flat[in_bin & away]
    assert len(top) > 300
    assert len(lowest) > 3000
    assert np.abs(lowest[:, 2] - floor).max() < 0.001
    assert np.abs(top[:, 2] - (floor + 0.06)).max() < 0.001
    curved = ball[ball[:, 2] > floor + BALL + 0.012]
    if index == 0:  # the arm hides the ball from above
        assert len(curved) > 300
        assert np.abs(np.linalg.norm(curved - [0.60, -0.06, floor + BALL], axis=1) - BALL).max() < 0.001


@pytest.mark.parametrize("off_centre", [False, True], ids=["centred", "off centre"])
def test_pixels_are_where_the_camera_projects(off_centre: bool) -> None:
    cell = shifted(Cell.load("bin_picking")) if off_centre else Cell.load("bin_picking")
    work_cell = scene(cell)
    frame, camera, points = look(work_cell, 0)
    local = se3.transform(se3.inverse(work_cell.object_poses()["box"]), points.reshape(-1, 3)).reshape(480, 640, 3)
    inside = (np.abs(local[..., :2]) < [0.04, 0.025]).all(axis=-1) & (np.abs(local[..., 2] - 0.03) < 0.002)
    rows, columns = np.nonzero(inside)
    mounted = cell.cameras[0]
    T_cam = se3.inverse(work_cell.body_pose(work_cell.model.body("tool0").id) @ mounted.T_parent_optical)
    corners = np.array([[x, y, 0.03] for x in (-0.04, 0.04) for y in (-0.025, 0.025)])
    pixels = camera.project(se3.transform(T_cam @ work_cell.object_poses()["box"], corners))
    found = np.array([[columns.min(), rows.min()], [columns.max(), rows.max()]])
    np.testing.assert_allclose(found, [pixels.min(axis=0), pixels.max(axis=0)], atol=1.2)
    centre = pixels.mean(axis=0).round().astype(int)
    red, green, blue = frame.color[centre[1], centre[0]].astype(int)
    assert red > 1.5 * green
    assert red > 1.5 * blue


def test_colour_and_depth_show_the_same_edges() -> None:
    work_cell = scene(Cell.load("bin_picking"))
    frame, _, points = look(work_cell, 0)
    table = (points[..., 2] < 0.001) & (frame.depth > 0)
    brown = frame.color[..., 0].astype(int) - frame.color[..., 2].astype(int) > 20
    assert (brown == table)[:, :30].mean() > 0.98


def test_two_models_in_turn_render_alike() -> None:
    first = scene(Cell.load("bin_picking"))
    a, _, _ = look(first, 0)
    b, _, _ = look(scene(Cell.load("bin_picking")), 0)
    np.testing.assert_array_equal(a.depth, b.depth)
    np.testing.assert_array_equal(a.color, b.color)
