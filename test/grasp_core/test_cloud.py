import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.errors import InputError
from test.grasp_core.strategies import seeds


@given(seeds, st.floats(0.004, 0.1))
def test_voxels_keep_every_point_near_and_thin_the_rest(seed, size):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-0.2, 0.2, (500, 3)).astype(np.float32)
    colors = np.tile(np.array([[10, 200, 30]], np.uint8), (500, 1))
    out = Cloud(points, colors).voxel_downsample(size)
    distance = np.linalg.norm(points[:, None] - out.points[None], axis=2).min(axis=1)
    assert distance.max() <= size * np.sqrt(3) + 1e-6
    cells = np.floor((out.points - points.min(axis=0)) / np.float32(size) + 1e-3)
    assert len(out) <= 500
    assert len(np.unique(cells, axis=0)) >= 0.9 * len(out)
    assert (out.colors == [10, 200, 30]).all()


def test_crop_outliers_and_empty():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 0.005, (200, 3)), [[0.5, 0.5, 0.5]]])
    cloud = Cloud(points, stamp=3, frame="base")
    assert len(cloud.without_outliers(0.02, 3)) == 200
    assert len(cloud.crop(Box([0.4, 0.4, 0.4], [1, 1, 1]))) == 1
    empty = cloud.crop(Box([2, 2, 2], [3, 3, 3]))
    assert len(empty) == len(empty.voxel_downsample(0.005)) == len(empty.without_outliers(0.01, 2)) == 0
    assert empty.stamp == 3
    assert empty.frame == "base"


def test_nan_points_are_dropped_on_request():
    assert len(Cloud(np.array([[0, 0, np.nan], [1, 2, 3]])).finite()) == 1


def test_wrong_shapes_and_boxes_are_refused():
    with pytest.raises(InputError, match="points"):
        Cloud(np.zeros((3, 4)))
    with pytest.raises(InputError, match="colours"):
        Cloud(np.zeros((3, 3)), np.zeros((2, 3)))
    with pytest.raises(InputError, match="min < max"):
        Box([0, 0, 0], [1, 0, 1])
