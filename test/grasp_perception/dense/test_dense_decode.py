"""From hand-set numbers to poses, and what of them can be carried out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.cell import Box
from grasp_core.gripper import Gripper
from grasp_learning.engine import hand_opening
from grasp_perception.dense import post, template
from grasp_perception.dense.buckets import Buckets
from grasp_perception.dense.decode import Candidates, decode, distinct_views, lowest, steadied
from grasp_perception.dense.heads import best_views
from grasp_perception.detectors import collision

GRIPPER = Gripper.load("robotiq_2f85")
SHAPE = (template.ANGLES, len(template.DEPTHS))
DOWN = np.diag([1.0, -1.0, -1.0])
angle_index = st.integers(0, template.ANGLES - 1)
depth_index = st.integers(0, len(template.DEPTHS) - 1)


def grasps(R: np.ndarray, t: np.ndarray, width: float = 0.06) -> Candidates:
    n = len(t)
    ones = torch.ones(n)
    R = torch.tensor(np.broadcast_to(R, (n, 3, 3)), dtype=torch.float32)
    t = torch.tensor(t, dtype=torch.float32)
    return Candidates(R, t, ones * width, ones * 0.02, ones, ones, torch.arange(n), torch.zeros(n).long())


def random_grasps(count: int, seed: int = 0) -> Candidates:
    rng = np.random.default_rng(seed)
    R = template.rotations()[rng.integers(0, template.VIEWS, count), rng.integers(0, template.ANGLES, count)]
    found = grasps(R, rng.uniform(-0.1, 0.1, (count, 3)))
    width = torch.tensor(rng.uniform(0.01, 0.085, count), dtype=torch.float32)
    return replace(found, width=width)


def block(size: tuple[float, float, float], step: float = 0.004) -> torch.Tensor:
    """A solid block of points around the origin."""
    axes = [torch.linspace(-s / 2, s / 2, round(s / step) + 1) for s in size]
    return torch.cartesian_prod(*axes)


def one_view(seeds: torch.Tensor, view: list[int], score: torch.Tensor, width: torch.Tensor) -> tuple:
    """Arguments of ``decode`` with one view for each seed."""
    return seeds, torch.tensor(view)[:, None], score[:, None], width[:, None]


@given(
    st.tuples(*[st.floats(-1, 1)] * 3), st.integers(0, template.VIEWS - 1), angle_index, depth_index,
    st.floats(0.005, 0.085), st.floats(0.2, 1.0), st.floats(0.1, 1.0),
)  # fmt: skip
@settings(max_examples=60)
def test_the_best_cell_becomes_its_pose(
    seed: tuple[float, float, float], view: int, angle: int, depth: int, width: float, score: float, steady: float
) -> None:
    scores = torch.full((1, *SHAPE), 0.001)
    scores[0, angle, depth] = score
    stability = torch.full((1, 1, SHAPE[0]), 0.1)
    stability[0, 0, angle] = steady
    given = one_view(torch.tensor([seed]), [view], scores, torch.full((1, *SHAPE), width))
    found = decode(*given, stability, GRIPPER, stability_weight=1.0).to_grasps("test")
    R = template.rotations()[view, angle]
    np.testing.assert_allclose(found.R[0], R, atol=1e-6)
    np.testing.assert_allclose(found.t[0], np.array(seed) + template.DEPTHS[depth] * R[:, 2], atol=1e-6)
    assert found.depth[0] == pytest.approx(template.DEPTHS[depth])
    assert found.width[0] == pytest.approx(min(width + 0.01, GRIPPER.max_width), rel=1e-5)
    odds = score / max(1.0 - score, 1e-6) * steady
    assert found.score[0] == pytest.approx(odds / (1.0 + odds), rel=1e-3)
    assert found.stability[0] == pytest.approx(steady)
    found.validate(GRIPPER.max_width)


def test_the_opening_is_that_of_the_labels() -> None:
    width = np.linspace(0.0, GRIPPER.max_width, 20, dtype=np.float32)
    given = one_view(torch.zeros(20, 3), [280] * 20, torch.ones(20, *SHAPE), torch.ones(20, *SHAPE))
    found = decode(*given[:3], torch.tensor(width)[:, None, None, None] * given[3], torch.ones(20, 1, 12), GRIPPER)
    np.testing.assert_allclose(found.width.numpy(), hand_opening(width, GRIPPER), rtol=1e-5)


def test_what_is_too_wide_is_left_to_the_next_best() -> None:
    scores, width = torch.full((2, *SHAPE), 0.1), torch.full((2, *SHAPE), 0.03)
    scores[:, 3, 2], scores[:, 8, 1] = 0.9, 0.5
    width[:, 3, 2] = 0.09
    width[1] = 0.09
    found = decode(*one_view(torch.zeros(2, 3), [280, 280], scores, width), torch.ones(2, 1, SHAPE[0]), GRIPPER)
    assert found.seed.tolist() == [0]
    np.testing.assert_allclose(found.R[0], template.rotations()[280, 8], atol=1e-6)


def test_stability_decides_between_equal_scores() -> None:
    stability = torch.full((1, 1, SHAPE[0]), 0.5)
    stability[..., 7] = 0.9
    given = one_view(torch.zeros(1, 3), [280], torch.full((1, *SHAPE), 0.8), torch.full((1, *SHAPE), 0.03))
    steady = decode(*given, stability, GRIPPER)
    np.testing.assert_allclose(steady.R[0], template.rotations()[280, 7], atol=1e-6)
    assert float(steady.score[0]) == pytest.approx(3.6 / 4.6)  # odds 4 x 0.9
    without = decode(*given, stability, GRIPPER, stability_weight=0.0)
    assert float(without.score[0]) == pytest.approx(0.8)


def test_several_per_seed_and_the_least_score() -> None:
    scores = torch.zeros(2, *SHAPE)
    scores[0, 0, 0], scores[0, 5, 0], scores[0, 6, 0], scores[1, 2, 4] = 0.9, 0.7, 0.2, 0.6
    given = (*one_view(torch.zeros(2, 3), [280, 290], scores, torch.full_like(scores, 0.03)), torch.ones(2, 1, 12))
    found = decode(*given, GRIPPER, count=3, min_score=0.5)
    torch.testing.assert_close(found.score, torch.tensor([0.9, 0.7, 0.6]))
    assert found.seed.tolist() == [0, 0, 1]
    assert found.rank.tolist() == [0, 1, 0]
    assert len(decode(*given, GRIPPER, count=60)) == 120


def test_views_of_a_seed_compete() -> None:
    scores = torch.zeros(1, 2, *SHAPE)
    scores[0, 0, 3, 1], scores[0, 1, 4, 2], scores[0, 1, 5, 2] = 0.6, 0.9, 0.5
    found = decode(
        torch.zeros(1, 3), torch.tensor([[250, 280]]), scores, torch.full_like(scores, 0.03), torch.ones(1, 2, 12),
        GRIPPER, count=3, min_score=0.1,
    )  # fmt: skip
    R = template.rotations()
    np.testing.assert_allclose(found.R, np.stack([R[280, 4], R[250, 3], R[280, 5]]), atol=1e-6)
    assert found.rank.tolist() == [0, 1, 2]


def test_what_would_come_too_low_is_left_to_the_next_best() -> None:
    scores, width = torch.full((1, *SHAPE), 0.2), torch.full((1, *SHAPE), 0.03)
    scores[0, 4, 4], scores[0, 4, 1] = 0.9, 0.8
    view = int(template.nearest_view([0.0, 0.0, 1.0]))
    given = one_view(torch.tensor([[0.0, 0.0, 0.03]]), [view], scores, width)
    assert float(decode(*given, torch.ones(1, 1, 12), GRIPPER).score) == pytest.approx(0.9)
    found = decode(*given, torch.ones(1, 1, 12), GRIPPER, floor=0.004)
    assert float(found.score) == pytest.approx(0.8)
    assert float(found.depth) == pytest.approx(0.01)


def test_decoding_nothing() -> None:
    none = torch.zeros(0, 2, *SHAPE)
    found = decode(torch.zeros(0, 3), torch.zeros(0, 2).long(), none, none, torch.zeros(0, 2, SHAPE[0]), GRIPPER)
    assert len(found) == len(found.to_grasps("test")) == 0


@given(st.integers(0, 2**31), st.sampled_from([10.0, 45.0, 90.0]))
@settings(max_examples=30)
def test_views_of_a_seed_are_good_and_apart(seed: int, tilt: float) -> None:
    scores = torch.tensor(np.random.default_rng(seed).uniform(0, 1, (5, template.VIEWS)))
    allowed = torch.tensor(template.views_within(np.deg2rad(tilt)))
    views = distinct_views(scores, 4, allowed)
    assert torch.equal(views[:, 0], best_views(scores, allowed))
    assert allowed[views].all()
    for row, chosen in zip(scores, views.tolist(), strict=True):
        distinct = list(dict.fromkeys(chosen))
        assert chosen == distinct + [chosen[0]] * (4 - len(distinct))
        directions = template.views()[distinct]
        assert np.sort((directions @ directions.T).ravel())[: -len(distinct)].max(initial=-1.0) < np.cos(0.44)
        assert (np.diff(row[distinct].numpy()) <= 0).all()
        if len(distinct) < 4:
            apart = (template.views() @ directions.T <= np.cos(0.45)).all(axis=1)
            assert not (apart & allowed.numpy()).any()


def test_region_limits_the_floor_plan() -> None:
    t = torch.tensor([[0.0, 0, 0.05], [0.0, 0, -9], [0.2, 0, 0.05], [0, -0.2, 0.05]])
    assert post.within_region(t, Box([-0.1] * 3, [0.1] * 3)).tolist() == [True, True, False, False]
    assert post.within_region(t, None).all()


def test_lowest_corner_is_that_of_the_boxes() -> None:
    found = random_grasps(300)
    R = torch.cat([found.R, -found.R[:, :, [0, 2, 1]]])  # approaches from below, too
    t, width = found.t.repeat(2, 1), found.width.repeat(2)
    centres, sizes = GRIPPER.boxes(width.numpy())
    up = R[:, 2, None].numpy()
    corners = (centres * up).sum(axis=2) - (sizes / 2 * np.abs(up)).sum(axis=2)
    low = lowest(R[:, 2], t[:, 2:], width[:, None], GRIPPER)[:, 0]
    np.testing.assert_allclose(low.numpy(), t[:, 2].numpy() + corners.min(axis=1), atol=1e-6)


@given(st.floats(-0.012, 0.012), st.floats(0.0, np.pi))
@settings(max_examples=30)
def test_centring_makes_both_gaps_equal(offset: float, turn: float) -> None:
    R = template.rotation([0.0, 0.0, -1.0], turn)
    points = block((0.03, 0.03, 0.03)) @ torch.tensor(R.T, dtype=torch.float32)
    start = grasps(R, (offset * R[:, 0])[None], width=0.07)
    found, inner = post.centred(start, Buckets.build(points, post.CELL), GRIPPER, 0.02)
    assert inner[0] > 50
    moved, before = found.t[0].numpy() @ R, start.t[0].numpy() @ R
    np.testing.assert_allclose(moved, [0.0, before[1], before[2]], atol=1e-5)


def test_centring_has_a_limit_and_counts_what_is_between() -> None:
    R = np.stack([DOWN] * 3)
    t = np.array([[0.03, 0, 0.0], [0.5, 0, 0], [-0.03, 0, 0]])
    found, inner = post.centred(grasps(R, t, 0.08), Buckets.build(block((0.02, 0.02, 0.02)), 0.02), GRIPPER, 0.015)
    np.testing.assert_allclose(found.t[:, 0], [0.015, 0.5, -0.015], atol=1e-6)
    assert inner[1] == 0
    assert inner[0] > 0


def test_collisions_equal_those_of_the_plain_check() -> None:
    found = random_grasps(200)
    points = torch.tensor(np.random.default_rng(1).uniform(-0.15, 0.15, (40, 3)), dtype=torch.float32)
    expected = collision.against_points(points, found.R, found.t, found.width, GRIPPER)
    assert 0.1 < expected.float().mean() < 0.9
    assert torch.equal(post.free(found, Buckets.build(points, post.CELL), GRIPPER, 0.0), expected)


def test_some_points_may_lie_inside() -> None:
    found = random_grasps(200)
    points = torch.tensor(np.random.default_rng(1).normal(0.0, 0.1, (400, 3)), dtype=torch.float32)
    one_by_one = [collision.against_points(p[None], found.R, found.t, found.width, GRIPPER) for p in points]
    inside = (~torch.stack(one_by_one)).sum(0)
    cloud = Buckets.build(points, post.CELL)
    for most in (0, 3, 8):
        assert 0.02 < (inside <= most).float().mean() < 0.98
        assert torch.equal(post.free(found, cloud, GRIPPER, 0.0, most), inside <= most)


def test_the_sweep_looks_behind() -> None:
    found = grasps(DOWN[None], np.zeros((1, 3)))
    back = GRIPPER.finger.length + GRIPPER.knuckles.size[2] + GRIPPER.palm.size[2]
    cloud = Buckets.build(torch.tensor([[0.0, 0.0, back + 0.03]]), post.CELL)
    assert post.free(found, cloud, GRIPPER, 0.02).tolist() == [True]
    assert post.free(found, cloud, GRIPPER, 0.05).tolist() == [False]


def test_a_block_between_the_fingers_is_no_collision_and_a_wider_one_is() -> None:
    found = grasps(DOWN[None], np.zeros((1, 3)), width=0.06)
    for size, free in ((0.05, True), (0.07, False)):
        cloud = Buckets.build(block((size, 0.03, 0.03)), post.CELL)
        assert post.free(found, cloud, GRIPPER, 0.05).item() is free


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_collide_with(count: int) -> None:
    cloud = Buckets.build(torch.zeros(0, 3), post.CELL)
    found = random_grasps(count)
    assert post.free(found, cloud, GRIPPER, 0.05).all()
    same, inner = post.centred(found, cloud, GRIPPER, 0.02)
    assert torch.equal(same.t, found.t)
    assert not inner.any()


def test_scores_are_averaged_over_the_next_angles_and_depths():
    score = torch.zeros(1, 1, *SHAPE)
    score[0, 0, 0, 2] = 1.0
    steady = steadied(score, 1.0)[0, 0]
    assert steady[[-1, 0, 1], 1:4].flatten().tolist() == pytest.approx([1 / 9] * 9)
    assert float(steady.sum()) == pytest.approx(1.0)
    assert torch.equal(steadied(score, 0.0), score)


def test_the_shallowest_grasp_loses_and_the_deepest_does_not():
    steady = steadied(torch.ones(1, 1, *SHAPE), 1.0)[0, 0]
    assert steady[:, 0].tolist() == pytest.approx([2 / 3] * template.ANGLES)
    assert steady[:, 1:].flatten().tolist() == pytest.approx([1.0] * template.ANGLES * (len(template.DEPTHS) - 1))
