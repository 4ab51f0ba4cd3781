"""What a look gives: poses on the protocol's sphere, a cloud where the surfaces are, the truth with labels; targets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core import se3
from grasp_core.camera import CameraProfile
from grasp_core.cell import Cell
from grasp_core.cloud import Cloud
from grasp_core.errors import InputError
from grasp_core.gripper import Gripper
from grasp_eval.bench.looking import Looker, look_at, merged, sample_views, thinned
from grasp_eval.bench.protocol import Protocol, Views
from grasp_eval.bench.stage import stage_cell
from grasp_eval.bench.targets import choose_target, occlusions, target_region
from grasp_sim.hand_world import HandWorld
from grasp_sim.noise import DepthNoise
from grasp_sim.objects import ObjectSpec, Part

PROTOCOL = Protocol.load("seegrasp")
PROFILE = CameraProfile.load("d435")
CELL = stage_cell(PROTOCOL, "pile")


def box(name: str, size: tuple[float, float, float], rgba: tuple = (0.8, 0.3, 0.2, 1.0)) -> ObjectSpec:
    part = Part("box", tuple(s / 2 for s in size))
    return ObjectSpec(name, "box", (part,), 0.2, 0.5, rgba, min(size))


def world_of(objects: dict[ObjectSpec, tuple[float, float, float]], cell: Cell = CELL) -> HandWorld:
    """Objects with their middles at given places."""
    poses = np.stack([se3.make(np.eye(3), list(place)) for place in objects.values()])
    return HandWorld(Gripper.load("robotiq_2f85"), list(objects), poses, cell, with_bin=False)


def two_boxes() -> HandWorld:
    return world_of(
        {box("low", (0.06, 0.04, 0.03)): (0.1, 0.0, 0.015), box("tall", (0.05, 0.05, 0.1)): (-0.08, 0.0, 0.05)}
    )


def covered() -> HandWorld:
    """From straight above, half of `under` is hidden by a plate that floats over it; `aside` is free."""
    return world_of(
        {
            box("under", (0.08, 0.08, 0.02)): (0.0, 0.0, 0.01),
            box("plate", (0.08, 0.08, 0.004)): (0.04, 0.0, 0.03),
            box("aside", (0.04, 0.04, 0.02)): (-0.12, 0.1, 0.01),
        }
    )


@given(st.floats(0.3, 2.0), st.floats(0.0, 1.5), st.floats(-7.0, 7.0), st.floats(-0.1, 0.3))
def test_a_view_looks_at_its_point_with_the_horizon_level(
    r: float, polar: float, azimuth: float, height: float
) -> None:
    T = look_at(r, polar, azimuth, height)
    assert se3.is_rotation(T[:3, :3])
    np.testing.assert_allclose(se3.transform(T, np.array([[0.0, 0.0, r]]))[0], [0.0, 0.0, height], atol=1e-9)
    assert T[2, 3] == pytest.approx(height + r * np.cos(polar))
    assert T[2, 0] == pytest.approx(0.0, abs=1e-12)  # the image's rows are horizontal
    assert T[2, 1] <= 1e-12  # and its lower edge is down


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(["seegrasp", "vgn", "giga", "edge"]))
def test_views_lie_on_the_sphere_of_the_protocol(seed: int, name: str) -> None:
    protocol = Protocol.load(name)
    views = protocol.views
    poses = sample_views(protocol, np.random.default_rng(seed))
    assert poses.shape == (views.count, 4, 4)
    arm = poses[:, :3, 3] - [0.0, 0.0, views.height * protocol.workspace]
    distance = np.linalg.norm(arm, axis=1)
    polar = np.degrees(np.arccos(arm[:, 2] / distance))
    azimuth = np.degrees(np.arctan2(arm[:, 1], arm[:, 0])) % 360.0
    slack = 1e-6
    assert (distance / protocol.workspace >= views.radius[0] - slack).all()
    assert (distance / protocol.workspace <= views.radius[1] + slack).all()
    assert (polar >= views.polar[0] - slack).all()
    assert (polar <= views.polar[1] + slack).all()
    if views.count == 1:
        assert (azimuth[0] - views.azimuth[0] + slack) % 360 <= views.azimuth[1] - views.azimuth[0] + 2 * slack
    else:
        np.testing.assert_allclose(np.diff(np.sort(azimuth)), 360 / views.count)


@pytest.mark.parametrize("polar", [0.1, 1.05], ids=["from above", "from the side"])
def test_cloud_and_truth_lie_on_the_surfaces(polar: float) -> None:
    with Looker(two_boxes(), CELL, PROTOCOL, PROFILE, DepthNoise.from_profile(PROFILE, "none")) as looker:
        look = looker.look(look_at(0.6, polar, 0.7)[None], np.random.default_rng(0))
    observation = look.observation
    assert observation.cloud.frame == CELL.base_frame
    assert observation.depth.dtype == np.float32
    assert observation.color.shape == (*observation.depth.shape, 3)
    box_ = CELL.workspace_box()
    assert box_.contains(observation.cloud.points).all()
    low = (np.abs(look.points - [0.1, 0, 0.015]) <= np.array([0.03, 0.02, 0.015]) + 5e-4).all(axis=1)
    tall = (np.abs(look.points - [-0.08, 0, 0.05]) <= np.array([0.025, 0.025, 0.05]) + 5e-4).all(axis=1)
    assert (low == (look.labels == look.names.index("low"))).all()
    assert (tall == (look.labels == look.names.index("tall"))).all()
    assert (low | tall).all()
    for name, top in (("low", 0.03), ("tall", 0.1)):
        assert look.points[look.labels == look.names.index(name), 2].max() == pytest.approx(top, abs=5e-4)
        assert np.sum(look.labels == look.names.index(name)) > 100
    cloud = observation.cloud.points
    table = cloud[(np.abs(cloud[:, :2] - [0.1, 0.0]).max(axis=1) > 0.05) & (np.abs(cloud[:, 0] + 0.08) > 0.05)]
    assert len(table) > 2000
    assert np.abs(table[:, 2]).max() < 0.006
    assert np.abs(np.median(table[:, 2])) < 0.0006


def test_noise_touches_what_the_detector_gets_and_not_the_truth() -> None:
    views = look_at(0.7, 0.5, 0.0)[None]
    with (
        Looker(two_boxes(), CELL, PROTOCOL, PROFILE, DepthNoise.from_profile(PROFILE, "none")) as clean,
        Looker(two_boxes(), CELL, PROTOCOL, PROFILE, DepthNoise.from_profile(PROFILE, "stereo")) as noisy,
    ):
        a, b, c, d = (
            looker.look(views, np.random.default_rng(seed))
            for looker, seed in ((clean, 0), (noisy, 0), (noisy, 0), (noisy, 1))
        )
    np.testing.assert_array_equal(a.points, b.points)
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(b.observation.depth, c.observation.depth)
    np.testing.assert_array_equal(b.observation.cloud.points, c.observation.cloud.points)
    assert (b.observation.depth != d.observation.depth).mean() > 0.2
    measured = b.observation.depth > 0
    assert measured.mean() > 0.9  # neither too dark nor too bright for the camera
    assert np.abs(b.observation.depth - a.observation.depth)[measured].mean() > 0.0003


def test_several_views_make_one_cloud() -> None:
    protocol = PROTOCOL.model_copy(update={"views": Views(count=4, radius=(1.5, 1.5), polar=(45.0, 45.0))})
    views = sample_views(protocol, np.random.default_rng(3))
    with Looker(two_boxes(), CELL, protocol, PROFILE, DepthNoise.from_profile(PROFILE, "none")) as looker:
        one, all_ = (looker.look(v, np.random.default_rng(0)) for v in (views[:1], views))
        with pytest.raises(InputError, match="at least one pose"):
            looker.look(views[:0], np.random.default_rng(0))
    observation = all_.observation
    assert observation.depth is observation.color is observation.camera is None
    np.testing.assert_array_equal(observation.T_base_cam, views[0])

    def sides(points: np.ndarray) -> int:
        """How many of the four walls of the tall box are seen."""
        local = points - np.array([-0.08, 0.0, 0.05])
        wall = (local[:, 2] > -0.03) & (local[:, 2] < 0.035)
        inside = np.abs(local[:, :2]).max(axis=1) < 0.028
        return sum(int((sign * local[wall & inside, axis] > 0.023).sum() > 20) for axis in (0, 1) for sign in (-1, 1))

    assert sides(one.observation.cloud.points) <= 2
    assert sides(observation.cloud.points) == 4
    assert sides(all_.points) == 4
    assert len(all_.points) > 1.5 * len(one.points)


def test_what_was_taken_out_is_no_longer_seen() -> None:
    world = two_boxes()
    world.remove(["tall"])
    with Looker(world, CELL, PROTOCOL, PROFILE, DepthNoise.from_profile(PROFILE, "none")) as looker:
        look = looker.look(look_at(0.6, 0.3, 0.0)[None], np.random.default_rng(0))
        world.remove(["low"])
        empty = looker.look(look_at(0.6, 0.3, 0.0)[None], np.random.default_rng(0))
    assert look.names == ["low"]
    assert look.observation.cloud.points[:, 2].max() < 0.032
    assert empty.names == []
    assert len(empty.points) == len(empty.labels) == 0
    assert len(empty.observation.cloud) > 1000


def test_thinning_leaves_one_point_per_voxel_and_not_too_many() -> None:
    points = np.random.default_rng(0).uniform(0, 0.1, (5000, 3)).astype(np.float32)
    rows = thinned(points, 0.02, 10_000)
    cells = np.floor((points - points.min(axis=0)) / np.float32(0.02)).astype(int)
    assert len(rows) == len(np.unique(cells, axis=0)) == len(np.unique(cells[rows], axis=0))
    assert len(thinned(points, 0.001, 300)) == 300
    assert len(thinned(points[:0], 0.001, 300)) == 0


def test_merging_keeps_colours_only_where_all_have_them() -> None:
    points = np.random.default_rng(0).uniform(0, 0.05, (400, 3)).astype(np.float32)
    plain, colored = Cloud(points, None, "base_link"), Cloud(points, np.full((400, 3), 7, np.uint8), "base_link")
    assert merged([plain, colored]).colors is None
    both = merged([colored, colored])
    assert (both.colors == 7).all()
    assert len(both) < 400


def test_occlusion_is_the_hidden_share_of_the_pixels() -> None:
    with Looker(covered(), CELL, PROTOCOL, PROFILE, DepthNoise.from_profile(PROFILE, "none")) as looker:
        degrees = occlusions(looker.world, looker.renderer, look_at(0.7, 0.0, 0.0)[None], looker.camera)
        look = looker.look(look_at(0.7, 0.0, 0.0)[None], np.random.default_rng(0))
    assert degrees["under"] == pytest.approx(0.5, abs=0.02)
    assert degrees["plate"] == degrees["aside"] == 0.0
    region = target_region(look, "under")
    np.testing.assert_allclose(region.min, [-0.045, -0.045, 0.015], atol=0.002)
    np.testing.assert_allclose(region.max, [0.005, 0.045, 0.025], atol=0.002)
    with pytest.raises(InputError, match="no object 'over'"):
        target_region(look, "over")


def test_targets_go_through_the_degrees_of_occlusion() -> None:
    world = covered()
    with Looker(world, CELL, PROTOCOL, PROFILE, DepthNoise.from_profile(PROFILE, "none")) as looker:
        found = [choose_target(world, looker.renderer, PROTOCOL, PROFILE, 5, index) for index in (0, 4, 5, 9, 0)]
        assert 0.0 <= found[0].occlusion <= 0.11
        for target, low in ((found[1], 0.4), (found[2], 0.5)):
            assert target.name == "under"
            assert low - 0.01 <= target.occlusion <= low + 0.11
        assert found[3].occlusion <= 0.11  # index 9 begins anew
        assert found[0].name == found[4].name
        np.testing.assert_array_equal(found[0].T_base_cams, found[4].T_base_cams)
        only = occlusions(world, looker.renderer, found[1].T_base_cams, looker.camera, [found[1].name])
        assert only == {found[1].name: found[1].occlusion}


def test_a_target_that_is_out_of_sight_has_no_region() -> None:
    hidden = {box("inside", (0.02, 0.02, 0.02)): (0.0, 0.0, 0.02), box("around", (0.08, 0.08, 0.08)): (0.0, 0.0, 0.04)}
    world = world_of(hidden)
    with Looker(world, CELL, PROTOCOL, PROFILE, DepthNoise.from_profile(PROFILE, "none")) as looker:
        look = looker.look(look_at(0.6, 0.3, 0.0)[None], np.random.default_rng(0))
        assert target_region(look, "inside") is None
        assert choose_target(world, looker.renderer, PROTOCOL, PROFILE, 0, 8).name == "around"
        world.remove(["inside", "around"])
        with pytest.raises(InputError, match="no object is visible"):
            choose_target(world, looker.renderer, PROTOCOL, PROFILE, 0, 8)
