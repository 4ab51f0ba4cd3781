"""Depth images to clouds: right place, right colours, noise gone, nonsense refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core import se3
from grasp_core.camera import Camera
from grasp_core.cell import Box
from grasp_core.errors import InputError
from grasp_perception.ingest import Ingest, binned, flying_pixels

CAMERA = Camera(np.array([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]]), 320, 240, near=0.2, far=2.0)
DOWN = se3.make(np.diag([1.0, -1.0, -1.0]), [0.5, 0.0, 0.6])  # looks down from 0.6 m
WORKSPACE = Box([0.2, -0.3, -0.05], [0.8, 0.3, 0.3])


def ingest(**kwargs) -> Ingest:
    return Ingest(WORKSPACE, "base_link", **kwargs)


def plane(z=0.6) -> np.ndarray:
    return np.full((240, 320), z, np.float32)


def test_table_and_box_come_out_where_they_are():
    depth = plane()
    depth[100:140, 140:180] = 0.5
    color = np.zeros((240, 320, 3), np.uint8)
    color[100:140, 140:180] = (200, 100, 50)
    cloud, stats = ingest()(depth, color, CAMERA, DOWN, stamp=7)
    assert (cloud.frame, cloud.stamp, cloud.points.dtype) == ("base_link", 7, np.float32)
    assert stats.points == len(cloud) > 1000
    top = cloud.points[:, 2] > 0.05
    np.testing.assert_allclose(cloud.points[top, 2], 0.1, atol=1e-5)
    np.testing.assert_allclose(cloud.points[~top, 2], 0.0, atol=1e-5)
    np.testing.assert_array_equal(np.unique(cloud.colors[top], axis=0), [[200, 100, 50]])
    centre = cloud.points[top].mean(axis=0)
    np.testing.assert_allclose(centre[:2], [0.5, 0.0], atol=0.003)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_agrees_with_deprojection_crop_and_voxels_of_the_vocabulary(seed):
    rng = np.random.default_rng(seed)
    T = se3.make(se3.rpy_matrix(*rng.normal(0, 0.2, 3)) @ DOWN[:3, :3], DOWN[:3, 3] + rng.normal(0, 0.03, 3))
    depth = (0.55 + 0.03 * np.sin(np.arange(320) / 40.0))[None, :].repeat(240, 0).astype(np.float32)
    cloud, stats = ingest(min_neighbours=0)(depth, None, CAMERA, T)
    points = se3.transform(T, CAMERA.deproject(depth).reshape(-1, 3).astype(np.float64))
    inside = points[WORKSPACE.contains(points)]
    assert abs(stats.cropped - len(inside)) <= 0.002 * len(inside) + 5  # rounding at the faces, edges of the image
    cells = np.unique(np.floor((inside - WORKSPACE.min) / 0.005).astype(int), axis=0)
    assert abs(len(cloud) - len(cells)) <= 0.02 * len(cells) + 5
    assert WORKSPACE.contains(cloud.points).all()
    back = CAMERA.project(se3.transform(se3.inverse(T), cloud.points.astype(np.float64)))
    expected = np.interp(back[:, 0], np.arange(320), depth[0])
    measured = se3.transform(se3.inverse(T), cloud.points.astype(np.float64))[:, 2]
    np.testing.assert_allclose(measured, expected, atol=0.001)


def test_flying_pixels_between_foreground_and_background_go():
    depth = plane()
    depth[:, 160:] = 0.4
    depth[:, 160] = 0.5  # half way: belongs to neither
    flying = flying_pixels(depth, 0.012)
    assert flying[:, 160].all()
    assert flying.sum() == 240
    cloud, _ = ingest()(depth, None, CAMERA, DOWN)
    assert not ((cloud.points[:, 2] > 0.05) & (cloud.points[:, 2] < 0.15)).any()


def test_slopes_stay_and_isolated_pixels_go():
    slope = plane() - np.linspace(0, 0.2, 240, dtype=np.float32)[:, None]
    assert not flying_pixels(slope, 0.012).any()
    depth = np.zeros((240, 320), np.float32)
    depth[:, :160] = 0.6
    depth[50, 250] = 0.6
    assert flying_pixels(depth, 0.012)[50, 250]
    speck = np.zeros((240, 320), np.float32)
    speck[:, :160] = 0.6
    speck[50:52, 250:252] = 0.5  # two by two pixels in the air
    cloud, stats = ingest()(speck, None, CAMERA, DOWN)
    assert stats.points < stats.voxels
    assert cloud.points[:, 2].max() < 0.01


def test_binning_keeps_places_and_colours_and_never_mixes_surfaces():
    fine = Camera(np.array([[600.0, 0, 319.5], [0, 600.0, 239.5], [0, 0, 1]]), 640, 480, near=0.2, far=2.0)
    depth = np.full((480, 640), 0.6, np.float32)
    depth[201:281, 281:361] = 0.5
    keep = np.ones(depth.shape, bool)
    keep[::2, ::2] = False
    color = np.arange(480 * 640 * 3, dtype=np.uint32).reshape(480, 640, 3).astype(np.uint8)
    mean, kept, rgb, camera = binned(depth, keep, color, fine, 0.012)
    assert mean.shape == kept.shape == (camera.height, camera.width) == (240, 320)
    np.testing.assert_allclose(camera.project(fine.deproject(depth)[1, 1] + 0.0), [0.25, 0.25], atol=1e-3)
    np.testing.assert_allclose(np.unique(mean[kept]), [0.5, 0.6], atol=1e-6)
    assert not kept[100, 141:180].any()  # the box's edge
    expected = color.reshape(240, 2, 320, 2, 3).astype(float).mean(axis=(1, 3))
    np.testing.assert_allclose(rgb, expected, atol=0.51)
    cloud, stats = ingest()(depth, color, fine, DOWN)
    assert stats.cropped < 0.26 * stats.smooth
    top = cloud.points[:, 2] > 0.05
    np.testing.assert_allclose(cloud.points[top, 2], 0.1, atol=1e-5)
    low, high = cloud.points[top].min(axis=0), cloud.points[top].max(axis=0)
    np.testing.assert_allclose(high[:2] - low[:2], 80 / 600 * 0.5, atol=0.006)
    np.testing.assert_allclose((high + low)[:2] / 2, [0.501, -0.001], atol=0.002)


def test_state_does_not_leak_between_frames():
    worker = ingest()
    first, _ = worker(plane(), None, CAMERA, DOWN)
    worker(plane(0.5), None, CAMERA, DOWN)
    again, _ = worker(plane(), None, CAMERA, DOWN)
    np.testing.assert_array_equal(first.points, again.points)


def test_nothing_in_the_workspace_is_an_empty_cloud():
    far_away = DOWN.copy()
    far_away[0, 3] = 5.0
    cloud, stats = ingest()(plane(), np.zeros((240, 320, 3), np.uint8), CAMERA, far_away)
    assert len(cloud) == stats.cropped == 0
    assert cloud.colors.shape == (0, 3)


@pytest.mark.parametrize(
    ("depth", "words"),
    [
        (np.zeros((240, 320)), "100 % are 0"),
        (np.full((240, 320), np.nan), "100 % are NaN"),
        (np.full((240, 320), 65.535), "beyond 2.0 m .saturated"),
        (np.full((240, 320), 0.1), "nearer than 0.2 m"),
        (np.full((240, 320), 600.0), "another unit"),
        (np.full((120, 160), 0.6), r"\(160, 120\).*\(320, 240\)"),
    ],
)
def test_unusable_depth_says_what_it_is(depth, words):
    with pytest.raises(InputError, match=words):
        ingest()(depth.astype(np.float32), None, CAMERA, DOWN)


def test_partly_invalid_depth_is_used():
    depth = plane()
    depth[:100] = np.nan
    depth[100:110] = 65.535
    depth[110:120] = 0.0
    cloud, stats = ingest()(depth, None, CAMERA, DOWN)
    assert stats.valid == 120 * 320
    assert np.isfinite(cloud.points).all()
    np.testing.assert_allclose(cloud.points[:, 2], 0.0, atol=1e-5)


def test_colour_of_another_size_and_bad_settings():
    with pytest.raises(InputError, match=r"align_depth"):
        ingest()(plane(), np.zeros((480, 640, 3), np.uint8), CAMERA, DOWN)
    with pytest.raises(InputError, match=r"rigid|rotation"):
        ingest()(plane(), None, CAMERA, np.full((4, 4), np.nan))
    with pytest.raises(InputError, match="voxel size"):
        ingest(voxel=0.0)
    with pytest.raises(InputError, match="cells"):
        ingest(voxel=0.0001)
