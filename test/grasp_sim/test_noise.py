"""The door to all depth noise: modes, units, what is refused; and the noise of the GIGA protocol."""

import numpy as np
import pytest

from grasp_core.camera import CameraProfile
from grasp_core.errors import InputError
from grasp_sim.noise import MODES, DepthNoise, GammaGpModel
from grasp_sim.noise.gamma_gp import GammaGp

SHAPE = (480, 640)


def noise_of(mode: str, camera: str = "d435") -> DepthNoise:
    return DepthNoise.from_profile(CameraProfile.load(camera), mode)


def plane(z: float) -> np.ndarray:
    return np.full(SHAPE, z, np.float32)


def test_every_shipped_camera_has_its_mode() -> None:
    modes = {name: DepthNoise.from_profile(CameraProfile.load(name)).mode for name in ("d435", "d415", "sr300", "vgn")}
    assert modes == {"d435": "stereo", "d415": "stereo", "sr300": "structured_light", "vgn": "gamma_gp"}


def test_unknown_mode_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="none, stereo, gamma_gp, structured_light"):
        noise_of("kinect")


@pytest.mark.parametrize("mode", MODES)
def test_wrong_shapes_are_refused(mode: str) -> None:
    rng = np.random.default_rng(0)
    for call in (noise_of(mode), noise_of(mode).metres):
        with pytest.raises(InputError, match="depth noise needs"):
            call(np.ones((4, 4, 1), np.float32), rng)
        with pytest.raises(InputError, match="depth noise needs"):
            call(plane(1.0), rng, np.zeros((10, 10, 3), np.uint8))


@pytest.mark.parametrize("mode", MODES)
def test_metres_and_units_tell_the_same(mode: str) -> None:
    noise = noise_of(mode)
    depth = plane(0.6004)
    depth[100:200, 200:300] = 0.4503
    metres = noise.metres(depth, np.random.default_rng(7))
    units = noise(depth, np.random.default_rng(7))
    assert metres.dtype == np.float32
    assert units.dtype == np.uint16
    assert np.abs(metres - units * 0.001).max() < 0.000501
    assert (mode in ("stereo", "structured_light")) == np.allclose(metres * 1000, np.rint(metres * 1000), atol=1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_stays_nothing_and_the_input_stays_as_it_was(mode: str) -> None:
    depth = plane(0.6004)
    depth[:10], depth[10:20], depth[20:30], depth[30:40] = np.nan, np.inf, 0.0, -1.0
    before = depth.copy()
    measured = noise_of(mode).metres(depth, np.random.default_rng(0))
    assert not measured[:40].any()
    assert np.isfinite(measured).all()
    assert (measured[60:, 40:] > 0).mean() > 0.99
    assert np.array_equal(depth, before, equal_nan=True)


@pytest.mark.parametrize("mode", MODES)
def test_the_generator_alone_decides(mode: str) -> None:
    one, two = (noise_of(mode).metres(plane(0.6), np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, two)
    other = noise_of(mode).metres(plane(0.6), np.random.default_rng(6))
    assert np.array_equal(one, other) == (mode == "none")


def test_switched_off_is_exact() -> None:
    off = noise_of("none")
    depth = np.random.default_rng(0).uniform(0.05, 6.0, SHAPE).astype(np.float32)
    depth[0, :4] = [np.nan, np.inf, -1.0, 70.0]
    measured = off(depth, np.random.default_rng(0))
    assert measured.dtype == np.uint16
    assert not measured[0, :4].any()
    assert np.abs(measured[1:] * 0.001 - depth[1:]).max() <= 0.000501
    metres = off.metres(depth, np.random.default_rng(0))
    assert np.array_equal(metres[1:], depth[1:])
    assert metres[0, 3] == 70.0


def test_gamma_gp_has_the_published_deviations() -> None:
    """Scale of each image: mean 1, deviation 1 / sqrt(1000); process: 5 mm at its own points, 4.1 mm over all."""
    noise, rng = noise_of("gamma_gp", "vgn"), np.random.default_rng(0)
    small = np.full((48, 64), 0.6, np.float32)
    scales = np.array([noise.metres(small, rng).mean() for _ in range(2000)]) / 0.6
    assert scales.mean() == pytest.approx(1.0, abs=0.003)
    assert scales.std() == pytest.approx(1000**-0.5, rel=0.08)
    bumps = np.stack([(image := noise.metres(plane(0.6), rng)) - image.mean() for _ in range(5)])
    assert bumps.std() == pytest.approx(0.0041, rel=0.03)
    assert np.abs(bumps.mean()) < 1e-4


def test_gamma_gp_is_correlated_over_its_grid() -> None:
    bumps = noise_of("gamma_gp", "vgn").metres(plane(0.6), np.random.default_rng(1))
    bumps = bumps - bumps.mean()

    def correlation(shift: int) -> float:
        return float((bumps[:, :-shift] * bumps[:, shift:]).mean() / bumps.var())

    assert correlation(1) > 0.85
    assert 0.4 < correlation(2) < 0.8
    assert abs(correlation(12)) < 0.05


def test_gamma_gp_in_a_share_of_the_images() -> None:
    rng, half = np.random.default_rng(2), GammaGp(GammaGpModel(rate=0.5))
    flat = np.full((48, 64), 0.6, np.float32)
    bumpy = [bool(half(flat, rng).std() > 1e-6) for _ in range(400)]
    assert 0.4 < np.mean(bumpy) < 0.6


def test_gamma_gp_takes_images_of_any_size() -> None:
    noise = noise_of("gamma_gp")
    for shape in ((1, 1), (5, 7), (479, 641)):
        assert noise.metres(np.full(shape, 0.6, np.float32), np.random.default_rng(0)).shape == shape
