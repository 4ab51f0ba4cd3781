"""Frames of a software camera through the real library: aligned, rectified, scaled and stamped."""

import cv2
import numpy as np
import pyrealsense2 as rs
import pytest

from grasp_core.errors import ConfigError
from grasp_perception.realsense.clock import HostClock
from grasp_perception.realsense.lens import distorted, grid
from test.grasp_perception.realsense.soft_camera import VGA, SoftCamera, intrinsics

CURVED = [0.1, -0.2, 0.001, 0.002, 0.05]


def test_a_frame_is_what_the_camera_saw(camera, frame_of):
    frame = frame_of(camera)
    assert (frame.depth.shape, frame.depth.dtype, frame.color.shape) == ((480, 640), np.uint16, (480, 640, 3))
    assert (frame.color == (10, 20, 30)).all()
    assert (frame.camera.frame, frame.camera.near, frame.camera.far) == ("camera_color_optical_frame", 0.2, 3.0)
    np.testing.assert_allclose(frame.camera.K, [[600, 0, 319.5], [0, 600, 239.5], [0, 0, 1]])
    assert frame.depth.flags.owndata or frame.depth.base is None
    assert (frame.depth[5:-5, 5:-5] == 600).all()


def test_depth_is_moved_to_where_colour_sees_it(frame_of):
    """The block's centre, 500 mm away, seen by a colour camera 30 mm to the left with another focal length."""
    camera = SoftCamera(baseline_m=0.03)
    camera.depth[200:240, 300:360] = 500
    frame = frame_of(camera)
    rows, columns = np.nonzero(frame.depth == 500)
    point = np.array([(329.5 - 319.5) / 400 * 0.5 + 0.03, (219.5 - 239.5) / 400 * 0.5, 0.5])
    u, v = 600 * point[:2] / point[2] + (319.5, 239.5)
    assert (columns.mean(), rows.mean()) == pytest.approx((u, v), abs=1.0)
    assert frame.camera.project(point) == pytest.approx((u, v))


def test_depth_scale_is_the_device_s(frame_of):
    frame = frame_of(SoftCamera(scale=0.0001))
    assert frame.camera.depth_scale == 0.0001
    assert frame_of(SoftCamera(scale=0.00025)).camera.depth_scale == 0.00025


@pytest.mark.parametrize("model", ["brown_conrady", "modified_brown_conrady", "inverse_brown_conrady"])
def test_a_curved_lens_is_straightened(model, frame_of, checkers):
    """A picture is bent as the lens does, and comes back straight; depth and colour still belong together."""
    lens = intrinsics(VGA, 600.0, getattr(rs.distortion, model), CURVED)
    assert np.linalg.norm(distorted(lens, grid(640, 480)) - grid(640, 480), axis=-1).max() > 3.0
    camera = SoftCamera(lens=lens, depth_f=600.0)
    ideal_of = inverse_map(lens)
    camera.color = cv2.remap(checkers, ideal_of[..., 0], ideal_of[..., 1], cv2.INTER_LINEAR)
    camera.depth[440:460, 20:40] = 500
    frame = frame_of(camera)
    inside = (slice(20, -20), slice(20, -20))
    off = np.abs(frame.color[inside].astype(int) - checkers[inside])[..., :2]
    assert off.max() <= 3  # of 255 over the picture: below 7 px at 0.4 levels a pixel, and in the mean far less
    assert off.mean() < 0.6
    rows, columns = np.nonzero(frame.depth == 500)
    assert (columns.mean(), rows.mean()) == pytest.approx((29.5, 449.5), abs=1.0)


def inverse_map(lens) -> np.ndarray:
    """For every pixel of the bent picture, where the straight one has it."""
    wanted = grid(640, 480)
    found = wanted.copy()
    for _ in range(30):
        found += wanted - distorted(lens, found)
    return found.astype(np.float32)


@pytest.mark.parametrize("model", ["ftheta", "kannala_brandt4"])
def test_a_fisheye_is_refused(model, started):
    lens = intrinsics(VGA, 300.0, getattr(rs.distortion, model), CURVED)
    with pytest.raises(ConfigError, match=f"{model}.*not handled.*brown_conrady"):
        started(SoftCamera(lens=lens))


def test_bad_lenses_are_refused(started, frame_of):
    with pytest.raises(ConfigError, match=r"coefficients are.*nan"):
        started(SoftCamera(lens=intrinsics(VGA, 600.0, rs.distortion.brown_conrady, [float("nan")] * 5)))
    camera = SoftCamera(depth_lens=intrinsics(VGA, 600.0, rs.distortion.brown_conrady, CURVED))
    with pytest.raises(ConfigError, match="the depth stream has distortion"):
        frame_of(camera)


def test_threshold_and_decimation(camera, frame_of):
    camera.depth[:, :320] = 3500
    frame = frame_of(camera, threshold=True, decimation=2)
    assert set(np.unique(frame.depth)) == {0, 600}
    assert frame.depth.shape == (480, 640)


@pytest.mark.parametrize("stereo", [False, True])
def test_smoothing_lessens_noise(stereo, frame_of):
    def noise(**settings) -> float:
        camera = SoftCamera()
        if stereo:
            camera.option("stereo_baseline", 0.0, 100.0, 50.0)
        camera.depth = (600 + np.random.default_rng(0).normal(0, 6, camera.depth.shape)).astype(np.uint16)
        depth = frame_of(camera, **settings).depth[100:-100, 100:-100]
        return float(depth[depth > 0].std())

    assert noise(spatial=True, temporal=True) < 0.8 * noise()


def test_stamps_of_the_host_s_clock_are_taken_as_they_are(camera, frame_of):
    assert frame_of(camera).stamp == pytest.approx(1e6 * (1e6 + 33.3), abs=1e6 * 70)


def test_a_device_s_own_clock_is_fitted_to_the_host_s():
    """A clock that began 5 s ago; frames take 20 ms or more: stamps are late by the least of it."""
    clock, hardware = HostClock(), rs.timestamp_domain.hardware_clock
    delays = [0.05, 0.02, 0.09, 0.03]
    stamps = [
        clock.stamp(1e3 * (5.0 + i / 30), hardware, round(1e9 * (100.0 + i / 30 + delay)))
        for i, delay in enumerate(delays)
    ]
    late = [s / 1e9 - (100.0 + i / 30) for i, s in enumerate(stamps)]
    assert late == pytest.approx([0.05, 0.02, 0.02, 0.02], abs=1e-6)


def test_the_fit_follows_a_drifting_clock():
    clock, hardware = HostClock(), rs.timestamp_domain.hardware_clock
    drift = 1.00005
    for i in range(60 * 30):
        stamp = clock.stamp(1e3 * i / 30, hardware, round(1e9 * i / 30 * drift))
    assert stamp / 1e9 == pytest.approx(1799 / 30 * drift, abs=6e-4)
