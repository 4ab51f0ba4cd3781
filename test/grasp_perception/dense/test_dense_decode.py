"""From hand-set numbers to poses, and what of them can be carried out."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.cell import Box
from grasp_core.gripper import Gripper
from grasp_perception.dense import post, template
from grasp_perception.dense.buckets import Buckets
from grasp_perception.dense.decode import Candidates, decode
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
    return Candidates(R, t, ones * width, ones * 0.02, ones, ones, torch.arange(n))


def random_grasps(count: int, seed: int = 0) -> Candidates:
    rng = np.random.default_rng(seed)
    R = template.rotations()[rng.integers(0, template.VIEWS, count), rng.integers(0, template.ANGLES, count)]
    found = grasps(R, rng.uniform(-0.1, 0.1, (count, 3)))
    width = torch.tensor(rng.uniform(0.01, 0.085, count), dtype=torch.float32)
    return Candidates(found.R, found.t, width, found.depth, found.score, found.stability, found.seed)


def block(size: tuple[float, float, float], step: float = 0.004) -> torch.Tensor:
    """A solid block of points around the origin."""
    axes = [torch.linspace(-s / 2, s / 2, round(s / step) + 1) for s in size]
    return torch.cartesian_prod(*axes)


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
    stability = torch.full((1, SHAPE[0]), 0.1)
    stability[0, angle] = steady
    found = decode(
        torch.tensor([seed]), torch.tensor([view]), scores, torch.full((1, *SHAPE), width), stability, GRIPPER
    ).to_grasps("test")
    R = template.rotations()[view, angle]
    np.testing.assert_allclose(found.R[0], R, atol=1e-6)
    np.testing.assert_allclose(found.t[0], np.array(seed) + template.DEPTHS[depth] * R[:, 2], atol=1e-6)
    assert found.depth[0] == pytest.approx(template.DEPTHS[depth])
    assert found.width[0] == pytest.approx(min(1.2 * width, GRIPPER.max_width), rel=1e-5)
    assert found.score[0] == pytest.approx(score * steady, rel=1e-5)
    assert found.stability[0] == pytest.approx(steady)
    found.validate(GRIPPER.max_width)


def test_what_is_too_wide_is_left_to_the_next_best() -> None:
    scores, width = torch.full((2, *SHAPE), 0.1), torch.full((2, *SHAPE), 0.03)
    scores[:, 3, 2], scores[:, 8, 1] = 0.9, 0.5
    width[:, 3, 2] = 0.09
    width[1] = 0.09
    found = decode(torch.zeros(2, 3), torch.tensor([280, 280]), scores, width, torch.ones(2, SHAPE[0]), GRIPPER)
    assert found.seed.tolist() == [0]
    np.testing.assert_allclose(found.R[0], template.rotations()[280, 8], atol=1e-6)


def test_stability_decides_between_equal_scores() -> None:
    stability = torch.full((1, SHAPE[0]), 0.5)
    stability[0, 7] = 0.9
    arguments = (torch.zeros(1, 3), torch.tensor([280]), torch.full((1, *SHAPE), 0.8), torch.full((1, *SHAPE), 0.03))
    steady = decode(*arguments, stability, GRIPPER)
    np.testing.assert_allclose(steady.R[0], template.rotations()[280, 7], atol=1e-6)
    assert float(steady.score[0]) == pytest.approx(0.72)
    without = decode(*arguments, stability, GRIPPER, stability_weight=0.0)
    assert float(without.score[0]) == pytest.approx(0.8)


def test_several_per_seed_and_the_least_score() -> None:
    scores = torch.zeros(2, *SHAPE)
    scores[0, 0, 0], scores[0, 5, 0], scores[0, 6, 0], scores[1, 2, 4] = 0.9, 0.7, 0.2, 0.6
    arguments = (torch.zeros(2, 3), torch.tensor([280, 290]), scores, torch.full_like(scores, 0.03))
    found = decode(*arguments, torch.ones(2, SHAPE[0]), GRIPPER, per_seed=3, min_score=0.5)
    torch.testing.assert_close(found.score, torch.tensor([0.9, 0.7, 0.6]))
    assert found.seed.tolist() == [0, 0, 1]
    assert len(decode(*arguments, torch.ones(2, SHAPE[0]), GRIPPER, per_seed=60)) == 120


def test_decoding_nothing() -> None:
    none = torch.zeros(0, *SHAPE)
    found = decode(torch.zeros(0, 3), torch.zeros(0).long(), none, none, torch.zeros(0, SHAPE[0]), GRIPPER)
    assert len(found) == len(found.to_grasps("test")) == 0


def test_cone() -> None:
    tilted = [template.rotation([np.sin(a), 0.0, -np.cos(a)], 0.3) for a in np.deg2rad([0, 59, 61, 120, 180])]
    R = torch.tensor(np.stack(tilted), dtype=torch.float32)
    assert post.within_cone(R, np.deg2rad(60)).tolist() == [True, True, False, False, False]


def test_region_limits_the_floor_plan() -> None:
    t = torch.tensor([[0.0, 0, 0.05], [0.0, 0, -9], [0.2, 0, 0.05], [0, -0.2, 0.05]])
    assert post.within_region(t, Box([-0.1] * 3, [0.1] * 3)).tolist() == [True, True, False, False]
    assert post.within_region(t, None).all()


def test_lowest_corner_of_the_gripper() -> None:
    upright, level = DOWN, template.rotation([1.0, 0.0, 0.0], np.pi / 2)  # the level one closes vertically
    found = grasps(np.stack([upright, level]), np.array([[0, 0, 0.3], [0, 0, 0.3]]))
    low = post.lowest(found.R, found.t, found.width, GRIPPER)
    knuckles = max(0.06 / 2 + GRIPPER.finger.thickness, GRIPPER.knuckles.size[0] / 2, GRIPPER.palm.size[0] / 2)
    torch.testing.assert_close(low, torch.tensor([0.3, 0.3 - knuckles]))


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
    assert torch.equal(post.hits(found, Buckets.build(points, post.CELL), GRIPPER, 0.0) == 0, expected)


def test_the_sweep_looks_behind() -> None:
    found = grasps(DOWN[None], np.zeros((1, 3)))
    back = GRIPPER.finger.length + GRIPPER.knuckles.size[2] + GRIPPER.palm.size[2]
    cloud = Buckets.build(torch.tensor([[0.0, 0.0, back + 0.03]]), post.CELL)
    assert post.hits(found, cloud, GRIPPER, 0.02).tolist() == [0]
    assert post.hits(found, cloud, GRIPPER, 0.05).tolist() == [1]


def test_a_block_between_the_fingers_is_no_collision_and_a_wider_one_is() -> None:
    found = grasps(DOWN[None], np.zeros((1, 3)), width=0.06)
    for size, free in ((0.05, True), (0.07, False)):
        cloud = Buckets.build(block((size, 0.03, 0.03)), post.CELL)
        assert (post.hits(found, cloud, GRIPPER, 0.05) == 0).item() is free


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_collide_with(count: int) -> None:
    cloud = Buckets.build(torch.zeros(0, 3), post.CELL)
    found = random_grasps(count)
    assert not post.hits(found, cloud, GRIPPER, 0.05).any()
    same, inner = post.centred(found, cloud, GRIPPER, 0.02)
    assert torch.equal(same.t, found.t)
    assert not inner.any()
