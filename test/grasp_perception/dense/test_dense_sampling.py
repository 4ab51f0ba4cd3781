"""Spreading seeds, searching in buckets, grouping in cylinders."""

import numpy as np
import pytest
import torch

from grasp_core import se3
from grasp_perception.dense import template
from grasp_perception.dense.buckets import Buckets
from grasp_perception.dense.sampling import cylinder_groups, farthest_points, first_per_cell, spread


def surface(count: int = 3000, seed: int = 0) -> torch.Tensor:
    """Points of a wavy sheet of 0.4 by 0.3 m, about one per voxel."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 0.4, count), rng.uniform(0, 0.3, count)
    return torch.tensor(np.c_[x, y, 0.03 * np.sin(20 * x)], dtype=torch.float32)


def frames(count: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    views, turns = rng.integers(0, template.VIEWS, count), rng.integers(0, template.ANGLES, count)
    return torch.tensor(template.rotations()[views, turns], dtype=torch.float32)


def covering(points: torch.Tensor, chosen: torch.Tensor) -> float:
    return float(torch.cdist(points, points[chosen]).amin(1).max())


def test_farthest_points_takes_the_farthest() -> None:
    line = torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [1.0, 0, 0], [0.45, 0, 0]])
    valid = torch.tensor([[True] * 4, [True, True, False, True]])
    found = farthest_points(line.expand(2, 4, 3), valid, 3)
    assert found.tolist() == [[0, 2, 3], [0, 3, 1]]


@pytest.mark.parametrize(("count", "groups"), [(200, 1), (200, 16), (17, 16), (5, 16)])
def test_seeds_spread(count: int, groups: int) -> None:
    points = surface()
    chosen = spread(points, count, groups)
    assert len(set(chosen.tolist())) == count
    exact = covering(points, spread(points, count, 1))
    assert covering(points, chosen) <= (1.0 if groups == 1 else 2.0) * exact
    drawn = torch.randperm(len(points), generator=torch.Generator().manual_seed(1))[:count]
    assert covering(points, chosen) < covering(points, drawn)


@pytest.mark.parametrize("n", range(1, 70, 4))
def test_seeds_never_repeat(n: int) -> None:
    for count in (1, 16, 17, 40):
        chosen = spread(surface(n), count)
        assert len(set(chosen.tolist())) == len(chosen) == min(count, n)


def test_spread_does_not_depend_on_how_equal_points_are_stored() -> None:
    points = surface(500)
    assert torch.equal(spread(points, 64), spread(points.clone(), 64))
    same = torch.zeros(40, 3)
    assert len(spread(same, 20)) == 20


def test_first_per_cell() -> None:
    assert first_per_cell(torch.tensor([3, 1, 1, 3, 0]), 5).tolist() == [4, 1, 0]
    assert len(first_per_cell(torch.zeros(0, dtype=torch.int64), 2)) == 0


def test_search_equals_brute_force() -> None:
    points, R, t = surface(), frames(150), surface(150, seed=3)
    size = torch.linspace(0.01, 0.06, 150)

    def ball(x: torch.Tensor, y: torch.Tensor, z: torch.Tensor, size: torch.Tensor, grow: float) -> torch.Tensor:
        return x * x + y * y + z * z <= (size + grow) ** 2

    found = Buckets.build(points, 0.02).search(R, t, size, ball, ((-0.06, 0.06),) * 3)
    expected = torch.nonzero(torch.cdist(t, points) <= size[:, None])
    pairs = torch.stack([found.frame, found.point], dim=1)
    order = np.lexsort(pairs.T.flip(0).numpy())
    assert torch.equal(pairs[torch.from_numpy(order)], expected)
    local = torch.einsum("pi,pij->jp", points[found.point] - t[found.frame], R[found.frame])
    torch.testing.assert_close(found.local, local, atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [0, 1])
def test_search_without_points_or_frames(count: int) -> None:
    def all_of(x: torch.Tensor, *_: object) -> torch.Tensor:
        return torch.ones_like(x, dtype=torch.bool)

    buckets = Buckets.build(torch.zeros(count, 3), 0.02)
    found = buckets.search(frames(3), torch.zeros(3, 3), torch.zeros(3), all_of, ((-1.0, 1.0),) * 3)
    assert len(found.frame) == 3 * count
    assert len(buckets.search(frames(0), torch.zeros(0, 3), torch.zeros(0), all_of, ((-1.0, 1.0),) * 3).frame) == 0


def test_groups_hold_only_points_of_their_cylinder() -> None:
    points, seeds, R = surface(4000), surface(80, seed=5), frames(80)
    index, local = cylinder_groups(seeds, R, points, 0.05, -0.02, 0.04, 24)
    assert index.shape == (80, 24)
    expected = torch.einsum("mki,mij->mkj", points[index.clamp(min=0)] - seeds[:, None], R)
    filled = (index >= 0)[..., None]
    torch.testing.assert_close(local, torch.where(filled, expected, 0.0), atol=1e-6, rtol=0)
    assert (local[..., :2].norm(dim=-1) <= 0.05 + 1e-6).all()
    assert (local[..., 2] >= -0.02 - 1e-6).all()
    assert (local[..., 2] <= 0.04 + 1e-6).all()


def test_groups_take_all_where_there_are_few() -> None:
    points = torch.tensor([[0.0, 0, 0], [0.01, 0, 0], [0.2, 0, 0], [0.0, 0, 0.05]])
    R = torch.eye(3).expand(2, 3, 3)
    index, local = cylinder_groups(torch.tensor([[0.0, 0, 0], [5.0, 0, 0]]), R, points, 0.05, -0.02, 0.04, 4)
    assert sorted(index[0].tolist()) == [0, 0, 1, 1]
    assert index[1].tolist() == [-1] * 4
    assert not local[1].any()
    alone, _ = cylinder_groups(torch.tensor([[5.0, 0, 0]]), R[:1], points, 0.05, -0.02, 0.04, 4)
    assert alone.tolist() == [[-1] * 4]


def test_groups_are_spread_over_the_cylinder() -> None:
    points = torch.cartesian_prod(torch.arange(-10, 11), torch.arange(-10, 11), torch.arange(1)) * 0.005
    R = torch.as_tensor(se3.rpy_matrix(np.pi, 0, 0), dtype=torch.float32)[None]
    _, local = cylinder_groups(torch.zeros(1, 3), R, points, 0.05, -0.02, 0.04, 24)
    quadrants = {(x > 0, y > 0) for x, y, _ in local[0].tolist() if abs(x) > 0.01 and abs(y) > 0.01}
    assert len(quadrants) == 4
