"""Pictures with grasps: the outlines are where the camera sees the gripper."""

import numpy as np
import pytest

from grasp_core import se3
from grasp_core.camera import Camera
from grasp_core.cloud import Cloud
from grasp_core.errors import InputError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_perception import drawing

GRIPPER = Gripper.load("robotiq_2f85")
CAMERA = Camera(np.array([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]]), 320, 240)
SIDE = se3.look_at([0.5, 0.0, 0.05], [0.0, 0.0, 0.05])
DOWN = np.diag([1.0, -1.0, -1.0])


def _grasp(score: float = 0.9, t: tuple = (0.0, 0.0, 0.05), yaw: float = np.pi / 2) -> Grasps:
    R = se3.rpy_matrix(0, 0, yaw) @ DOWN
    return Grasps.create(R[None], np.array([t]), np.array([0.06]), score=score)


def test_outline_has_the_fingertips_at_the_opening() -> None:
    line = drawing.outlines(_grasp(), GRIPPER)[0]
    assert np.linalg.norm(line[0] - line[-1]) == pytest.approx(0.06)
    assert np.allclose((line[0] + line[-1]) / 2, [0, 0, 0.05])
    assert line[1][2] == pytest.approx(0.05 + GRIPPER.finger.length)


def test_fingertips_are_drawn_where_they_project_in_the_colour_of_the_score() -> None:
    black = np.zeros((240, 320, 3), dtype=np.uint8)
    picture = drawing.draw_grasps(black, _grasp(), GRIPPER, CAMERA, SIDE, highlight=None)
    line = se3.transform(se3.inverse(SIDE), drawing.outlines(_grasp(), GRIPPER)[0])
    for u, v in np.round(CAMERA.project((line[0] + line[1]) / 2))[None].astype(int):
        patch = picture[v - 2 : v + 3, u - 2 : u + 3].reshape(-1, 3)
        assert (patch == drawing.score_color(_grasp().score[0])).all(axis=1).any()
    assert not black.any()  # the input stays as it was


def test_the_best_grasp_is_on_top_and_top_limits_the_number() -> None:
    black = np.zeros((240, 320, 3), dtype=np.uint8)
    both = Grasps.concatenate([_grasp(0.2), _grasp(0.8)])
    picture = drawing.draw_grasps(black, both, GRIPPER, CAMERA, SIDE, highlight=None)[:180]
    assert (picture == drawing.score_color(_grasp(0.8).score[0])).all(axis=2).any()
    assert not (picture == drawing.score_color(_grasp(0.2).score[0])).all(axis=2).any()
    apart = Grasps.concatenate([_grasp(0.8, (0, 0.1, 0.05)), _grasp(0.2, (0, -0.1, 0.05))])
    one = drawing.draw_grasps(black, apart, GRIPPER, CAMERA, SIDE, top=1, highlight=None)[:180]
    assert not (one == drawing.score_color(_grasp(0.2).score[0])).all(axis=2).any()


def test_grasps_behind_the_camera_and_none_at_all_are_fine() -> None:
    black = np.zeros((240, 320, 3), dtype=np.uint8)
    empty = drawing.draw_grasps(black, Grasps.empty(), GRIPPER, CAMERA, SIDE)
    behind = drawing.draw_grasps(black, _grasp(t=(2.0, 0.0, 0.0)), GRIPPER, CAMERA, SIDE)
    assert not empty[:180].any()
    assert not behind[:180].any()
    assert empty[180:].any()  # the legend


def test_picture_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="320x240"):
        drawing.draw_grasps(np.zeros((10, 10, 3), np.uint8), _grasp(), GRIPPER, CAMERA, SIDE)


def test_score_colours_go_from_red_to_green() -> None:
    low, high = drawing.score_color(-1.0), drawing.score_color(2.0)
    assert low[0] > low[1]
    assert high[1] > high[0]


def test_rendered_cloud_shows_the_nearest_point() -> None:
    points = np.array([[0.0, 0.0, 0.05], [-0.3, 0.0, 0.05]], dtype=np.float32)
    colors = np.array([[255, 0, 0], [0, 255, 0]], dtype=np.uint8)
    picture = drawing.render_cloud(Cloud(points, colors), CAMERA, SIDE)
    assert tuple(picture[120, 160]) == (255, 0, 0)
    assert drawing.render_cloud(Cloud(points), CAMERA, SIDE).shape == (240, 320, 3)
