"""Stereo depth noise against published figures, and geometry of the holes."""

import numpy as np
import pytest

from grasp_core.camera import CameraProfile
from grasp_sim.noise import DepthNoise, occluded

SHAPE = (480, 640)


@pytest.fixture(scope="module")
def noise() -> DepthNoise:
    return DepthNoise.from_profile(CameraProfile.load("d435"), "stereo")


def plane(z: float) -> np.ndarray:
    return np.full(SHAPE, z, np.float32)


def with_step(left: int = 200, right: int = 400, near: float = 0.5, far: float = 0.8) -> np.ndarray:
    depth = plane(far)
    depth[100:380, left:right] = near
    return depth


@pytest.mark.parametrize(("camera", "focal", "baseline"), [("d435", 425.0, 0.05), ("d415", 665.0, 0.055)])
@pytest.mark.parametrize("z", [0.5, 0.75, 1.0, 1.5])
def test_plane_error_is_the_published_one(camera: str, focal: float, baseline: float, z: float) -> None:
    """RMS = z^2 * 0.08 px / (focal * baseline), joined by the steps of 1/32 px and of 1 mm."""
    noise = DepthNoise.from_profile(CameraProfile.load(camera), "stereo")
    measured = noise(plane(z), np.random.default_rng(0)) * 0.001
    assert (measured > 0).mean() > 0.995
    slope = z * z / (focal * baseline)
    expected = np.sqrt((0.08 * slope) ** 2 + (slope / 32) ** 2 / 12 + 0.001**2 / 12)
    error = measured[measured > 0] - z
    assert error.std() == pytest.approx(expected, rel=0.12)
    assert abs(error.mean()) < 0.3 * expected


def test_figures_for_the_d435(noise: DepthNoise) -> None:
    """About 1 mm at 0.5 m and 2..5 mm at 1 m."""
    at_half, at_one = (np.std(noise(plane(z), np.random.default_rng(1))) for z in (0.5, 1.0))
    assert 0.5 < at_half < 1.5
    assert 2.0 < at_one < 5.0


def test_error_is_correlated_between_neighbours(noise: DepthNoise) -> None:
    error = noise(plane(1.0), np.random.default_rng(0)).astype(float) - 1000.0
    near = np.corrcoef(error[:, :-1].ravel(), error[:, 1:].ravel())[0, 1]
    far = np.corrcoef(error[:, :-100].ravel(), error[:, 100:].ravel())[0, 1]
    assert near > 0.7
    assert abs(far) < 0.15


def test_frames_differ_and_repeat_with_the_generator(noise: DepthNoise) -> None:
    rng = np.random.default_rng(3)
    one, two = noise(with_step(), rng), noise(with_step(), rng)
    assert not np.array_equal(one, two)
    again = DepthNoise.from_profile(CameraProfile.load("d435"))(with_step(), np.random.default_rng(3))
    assert np.array_equal(one, again)


def test_depth_comes_in_disparity_steps(noise: DepthNoise) -> None:
    measured = np.unique(noise(plane(1.0), np.random.default_rng(0)))
    assert len(measured) < 40
    assert np.median(np.diff(measured)) == pytest.approx(1.5, abs=0.6)  # 1 m^2 / 21.25 px m / 32


def test_occlusion_lies_left_of_nearer_things() -> None:
    depth = with_step()
    disparity = (612.0 * 0.05 / depth).astype(np.float32)
    shadow = occluded(disparity)
    width = round(612.0 * 0.05 * (1 / 0.5 - 1 / 0.8))
    columns = np.flatnonzero(shadow[240])
    assert columns.min() == pytest.approx(200 - width, abs=1)
    assert columns.max() == 199
    assert not shadow[:100].any()
    assert not shadow[240, 200:].any()


def test_edges_have_holes_and_wide_surfaces_do_not(noise: DepthNoise) -> None:
    measured = noise(with_step(), np.random.default_rng(0))
    assert (measured[150:330, 398:402] == 0).mean() > 0.2
    assert (measured[150:330, 185:199] == 0).all()
    assert (measured[150:330, 210:390] > 0).all()


def test_grazing_surface_is_lost_and_slanted_one_is_not(noise: DepthNoise) -> None:
    v = np.arange(SHAPE[0], dtype=np.float32)[:, None] - 240.0

    def slanted(tangent: float) -> np.ndarray:
        depth = 0.8 / np.maximum(1.0 - v / 612.0 * tangent, 0.01)
        return np.broadcast_to(depth, SHAPE).astype(np.float32)

    middle = (slice(220, 260), slice(100, 540))
    assert (noise(slanted(1.7), np.random.default_rng(0))[middle] > 0).mean() > 0.99
    assert (noise(slanted(12.0), np.random.default_rng(0))[middle] > 0).mean() < 0.05


def test_dark_and_saturated_surfaces_have_holes(noise: DepthNoise) -> None:
    color = np.full((*SHAPE, 3), 120, np.uint8)
    color[:, :200] = 3
    color[:, 440:] = 255
    filled = noise(plane(0.6), np.random.default_rng(0), color) > 0
    assert filled[:, :200].mean() < 0.1
    assert filled[:, 200:440].mean() > 0.999
    assert 0.5 < filled[:, 440:].mean() < 0.9


def test_limits(noise: DepthNoise) -> None:
    rng = np.random.default_rng(0)
    for z in (0.1, 5.0, 0.0, -1.0, np.inf, np.nan):
        assert not noise(plane(z), rng).any(), z
