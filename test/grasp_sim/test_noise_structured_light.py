"""Structured-light depth noise against the Kinect's published figures, and geometry of the holes."""

import numpy as np
import pytest

from grasp_core.camera import CameraProfile
from grasp_sim.noise import DepthNoise, StructuredLightModel
from grasp_sim.noise.structured_light import StructuredLight

SHAPE = (480, 640)
FOCAL, BASELINE = 580.0, 0.075  # the Kinect's


@pytest.fixture(scope="module")
def kinect() -> StructuredLight:
    return StructuredLight(StructuredLightModel(FOCAL, BASELINE, near=0.4, far=4.5))


def plane(z: float) -> np.ndarray:
    return np.full(SHAPE, z, np.float32)


def slanted(degrees: float, z: float = 1.0) -> np.ndarray:
    """A plane turned about the image's horizontal axis, at z in the middle row."""
    v = (np.arange(SHAPE[0], dtype=np.float32)[:, None] - 240.0) / FOCAL
    depth = z / np.maximum(1.0 - v * np.tan(np.deg2rad(degrees)), 0.01)
    return np.broadcast_to(depth, SHAPE).astype(np.float32)


def with_step(near: float = 0.6, far: float = 1.0) -> np.ndarray:
    depth = plane(far)
    depth[100:380, 200:400] = near
    return depth


@pytest.mark.parametrize("z", [0.5, 0.75, 1.0, 1.5, 2.0, 3.0])
def test_plane_error_is_the_published_one(kinect: StructuredLight, z: float) -> None:
    """0.0012 + 0.0019 (z - 0.4)^2 m, quantisation included (Nguyen et al. 2012): 1.9 mm at 1 m, 14 mm at 3 m."""
    measured = kinect(plane(z), np.random.default_rng(0))
    assert (measured > 0).mean() > 0.999
    expected = 0.0012 + 0.0019 * (z - 0.4) ** 2
    assert (measured - z).std() == pytest.approx(expected, rel=0.06)
    assert abs((measured - z).mean()) < 0.1 * expected


@pytest.mark.parametrize(("z", "step"), [(0.7, 0.0014), (1.0, 0.00285), (2.0, 0.0114)])
def test_quantisation_is_the_published_one(kinect: StructuredLight, z: float, step: float) -> None:
    """2.85 z^2 mm (Khoshelham and Elberink 2012)."""
    levels = np.unique(kinect(plane(z), np.random.default_rng(0)))
    nearest = np.abs(levels - z).argmin()
    assert np.diff(levels)[nearest - 1 : nearest + 2] == pytest.approx(step, rel=0.05)


@pytest.mark.parametrize("degrees", [0.0, 45.0, 70.0, 78.0])
def test_noise_grows_towards_grazing_angles(kinect: StructuredLight, degrees: float) -> None:
    depth, rows = slanted(degrees), slice(238, 243)
    errors = [(kinect(depth, np.random.default_rng(seed)) - depth)[rows] for seed in range(8)]
    errors = np.stack(errors)[np.stack(errors) > -0.5]
    angle = np.deg2rad(degrees)
    expected = 0.0012 + 0.0019 * 0.6**2 + 0.0001 * angle**2 / (np.pi / 2 - angle) ** 2
    assert errors.std() == pytest.approx(expected, rel=0.12)


def test_nothing_comes_back_from_grazing_surfaces(kinect: StructuredLight) -> None:
    middle = (slice(230, 250), slice(100, 540))
    for degrees, low, high in ((60.0, 0.999, 1.0), (70.0, 0.99, 1.0), (86.0, 0.0, 0.05)):
        share = (kinect(slanted(degrees), np.random.default_rng(0))[middle] > 0).mean()
        assert low <= share <= high, degrees


def test_shadow_of_the_projector_lies_left_of_nearer_things(kinect: StructuredLight) -> None:
    measured = kinect(with_step(), np.random.default_rng(0))
    width = FOCAL * BASELINE * (1 / 0.6 - 1 / 1.0)
    shadow = measured[150:330] == 0
    assert shadow[:, :200].sum(1).mean() == pytest.approx(width, abs=2.0)
    assert shadow[:, 200 - int(width) + 4 : 196].all()
    assert not shadow[:, 210:390].any()
    assert not shadow[:, 410:].any()


def test_edges_are_ragged_by_the_published_width(kinect: StructuredLight) -> None:
    """Pixels beside a straight right edge show the other side as often as a shift of 0.8 px makes them."""
    images = [kinect(with_step(), np.random.default_rng(seed))[150:330] for seed in range(10)]
    near = np.stack([(image > 0) & (image < 0.8) for image in images])
    assert near[..., 399].mean() == pytest.approx(0.73, abs=0.03)  # P(0.8 n < 0.5)
    assert near[..., 400].mean() == pytest.approx(0.27, abs=0.03)
    assert near[..., 401].mean() == pytest.approx(0.03, abs=0.02)
    assert not near[..., 402:].any()
    assert near[..., 210:390].all()


def test_dark_and_saturated_surfaces_have_holes(kinect: StructuredLight) -> None:
    color = np.full((*SHAPE, 3), 120, np.uint8)
    color[:, :200] = 3
    color[:, 440:] = 255
    filled = kinect(plane(0.6), np.random.default_rng(0), color) > 0
    assert filled[:, :200].mean() < 0.1
    assert filled[:, 200:440].mean() > 0.999
    assert 0.5 < filled[:, 440:].mean() < 0.9


def test_limits(kinect: StructuredLight) -> None:
    for z in (0.2, 5.0, 0.0):
        assert not kinect(plane(z), np.random.default_rng(0)).any(), z


def test_the_profile_sets_geometry_and_limits() -> None:
    profile = CameraProfile.load("sr300")
    model = StructuredLightModel.from_profile(profile)
    assert (model.focal, model.baseline, model.near, model.far) == (profile.fx, profile.baseline, 0.2, 1.5)
    noise = DepthNoise.from_profile(profile)
    measured = noise(plane(0.5), np.random.default_rng(0)) * 0.000125
    assert measured.std() == pytest.approx(0.00122, rel=0.06)
