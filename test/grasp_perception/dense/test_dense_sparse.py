"""Sparse convolutions against dense ones, forwards and backwards."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grasp_core.errors import InputError
from grasp_perception.dense import sparse, voxels
from grasp_perception.dense.sparse import ConvNorm, DownConv, LinearNorm, SubMConv3d, UpConv, fuse
from grasp_perception.dense.voxels import Level, build_pyramid, neighbour_map, unique_voxels

SIDE = 8


def random_voxels(count: int = 120, scenes: int = 2, low: int = 0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randint(low, low + SIDE, (count, 3), generator=generator)
    scene = torch.randint(0, scenes, (count, 1), generator=generator)
    return unique_voxels(torch.cat([scene, cells], dim=1).int())[0]


def to_grid(x: torch.Tensor, coords: torch.Tensor, side: int, scenes: int = 2) -> torch.Tensor:
    grid = x.new_zeros(scenes, x.shape[1], side, side, side)
    b, i, j, k = coords.long().T
    grid[b, :, i, j, k] = x
    return grid


def at(grid: torch.Tensor, coords: torch.Tensor) -> torch.Tensor:
    b, i, j, k = coords.long().T
    return grid[b, :, i, j, k]


def dense_weight(weight: torch.Tensor, side: int) -> torch.Tensor:
    """(offsets, in, out) as conv3d's (out, in, side, side, side)."""
    return weight.permute(2, 1, 0).reshape(weight.shape[2], weight.shape[1], side, side, side)


@pytest.fixture(scope="module")
def levels() -> list[Level]:
    return build_pyramid(random_voxels(), 3)


@pytest.mark.parametrize("channels", [5, 40])  # by table and by pairs
def test_submanifold_convolution_equals_a_dense_one(levels: list[Level], channels: int) -> None:
    conv, coords = SubMConv3d(channels, 7, bias=True), levels[0].coords
    nn.init.normal_(conv.bias)
    x = torch.randn(len(coords), channels)
    grid = F.conv3d(to_grid(x, coords, SIDE), dense_weight(conv.weight, 3), conv.bias, padding=1)
    torch.testing.assert_close(conv(x, levels[0]), at(grid, coords), atol=1e-5, rtol=1e-5)


def test_down_and_up_convolutions_equal_dense_ones(levels: list[Level]) -> None:
    fine, coarse = levels[0].coords, levels[1].coords
    down, up = DownConv(4, 6), UpConv(6, 3)
    x = torch.randn(len(fine), 4)
    y = down(x, levels[0])
    grid = F.conv3d(to_grid(x, fine, SIDE), dense_weight(down.weight, 2), stride=2)
    torch.testing.assert_close(y, at(grid, coarse), atol=1e-5, rtol=1e-5)
    weight = dense_weight(up.weight, 2).transpose(0, 1)
    grid = F.conv_transpose3d(to_grid(y, coarse, SIDE // 2), weight, stride=2)
    torch.testing.assert_close(up(y, levels[0]), at(grid, fine), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("channels", [5, 40])
def test_gradients_equal_those_of_a_dense_convolution(levels: list[Level], channels: int) -> None:
    conv, coords = SubMConv3d(channels, 7), levels[0].coords
    x = torch.randn(len(coords), channels, requires_grad=True)
    direction = torch.randn(len(coords), 7)
    grid = F.conv3d(to_grid(x, coords, SIDE), dense_weight(conv.weight, 3), padding=1)
    expected = torch.autograd.grad((at(grid, coords) * direction).sum(), [x, conv.weight])
    found = torch.autograd.grad((conv(x, levels[0]) * direction).sum(), [x, conv.weight])
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [SubMConv3d, DownConv, UpConv])
def test_gradcheck(kind: type) -> None:
    level = build_pyramid(random_voxels(14), 2)[0]
    conv = kind(2, 3, bias=True).double()
    rows = level.down.n_target if kind is UpConv else len(level)
    x = torch.randn(rows, 2, dtype=torch.float64, requires_grad=True)

    def run(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(conv, {"weight": weight, "bias": bias}, (x, level))

    assert torch.autograd.gradcheck(run, (x, conv.weight, conv.bias))


def test_bfloat16_is_near_and_has_gradients(levels: list[Level]) -> None:
    conv = SubMConv3d(16, 16)
    x = torch.randn(len(levels[0]), 16)
    half = x.bfloat16().requires_grad_()
    out = conv(half, levels[0])
    assert out.dtype == torch.bfloat16
    exact = conv(x, levels[0])
    assert (out.float() - exact).abs().max() < 0.03 * exact.abs().max()
    out.float().sum().backward()
    assert half.grad.dtype == torch.bfloat16
    assert conv.weight.grad.dtype == torch.float32


@pytest.mark.parametrize(("kind", "source", "target"), [(SubMConv3d, 0, 0), (DownConv, 0, 1), (UpConv, 1, 0)])
def test_autocast_computes_the_same_roughly(levels: list[Level], kind: type, source: int, target: int) -> None:
    """By table and by choice, several blocks of them, against pairs."""
    conv = kind(64, 48)
    x = torch.randn(len(levels[source].coords), 64, requires_grad=True)
    direction = torch.randn(len(levels[target].coords), 48)
    exact = conv(x, levels[0])
    with torch.autocast("cpu", torch.bfloat16):
        rough = conv(x, levels[0])
    assert rough.dtype == torch.bfloat16
    pairs = [torch.autograd.grad((y.float() * direction).sum(), [x, conv.weight]) for y in (exact, rough)]
    for a, b in [(exact, rough.float()), *zip(*pairs, strict=True)]:
        assert b.dtype == torch.float32
        assert (a - b).abs().max() < 0.03 * a.abs().max()


def test_rows_are_taken_in_blocks(monkeypatch: pytest.MonkeyPatch, levels: list[Level]) -> None:
    conv, x = SubMConv3d(8, 8), torch.randn(len(levels[0]), 8)
    whole = conv(x, levels[0])
    monkeypatch.setattr(sparse, "_BLOCK", 1)
    monkeypatch.setattr(sparse, "_LEAST_ROWS", 7)
    torch.testing.assert_close(conv(x, levels[0]), whole, atol=1e-5, rtol=1e-5)


def test_repeated_runs_are_equal_bit_by_bit(levels: list[Level]) -> None:
    conv, x = SubMConv3d(8, 8), torch.randn(len(levels[0]), 8)
    assert torch.equal(conv(x, levels[0]), conv(x, levels[0]))


@pytest.mark.parametrize("low", [0, -37, 100_000])
def test_both_ways_to_find_neighbours_agree(low: int) -> None:
    coords = random_voxels(300, low=low)
    grid, search = neighbour_map(coords), neighbour_map(coords, grid_cells=0)
    assert grid.bounds == search.bounds
    assert torch.equal(grid.source, search.source)
    assert torch.equal(grid.target, search.target)


def test_neighbours_are_the_27_around_a_voxel() -> None:
    block = torch.cartesian_prod(torch.arange(1), *[torch.arange(3)] * 3).int()
    kmap = neighbour_map(block)
    assert sorted(kmap.source[kmap.target == 13].tolist()) == [i for i in range(27) if i != 13]
    lonely = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 2], [1, 0, 0, 1]]).int()
    assert len(neighbour_map(lonely).source) == 0


def test_scenes_do_not_touch() -> None:
    """Two scenes at once give what each gives alone."""
    conv = SubMConv3d(3, 3)
    both = random_voxels(100)
    x = torch.randn(len(both), 3)
    out = conv(x, build_pyramid(both, 1)[0])
    for scene in (0, 1):
        mine = both[:, 0] == scene
        alone = conv(x[mine], build_pyramid(both[mine], 1)[0])
        torch.testing.assert_close(out[mine], alone)


def test_unique_voxels() -> None:
    coords = torch.tensor([[1, 5, -2, 0], [0, 7, 7, 7], [1, 5, -2, 0], [0, -9, 3, 1]]).int()
    found, row, count = unique_voxels(coords)
    assert found.tolist() == [[0, -9, 3, 1], [0, 7, 7, 7], [1, 5, -2, 0]]
    assert torch.equal(found[row], coords)
    assert count.tolist() == [1, 1, 2]


def test_far_apart_voxels_are_refused() -> None:
    with pytest.raises(InputError, match="spans 1000001 voxels"):
        unique_voxels(torch.tensor([[0, 0, 0, 0], [0, 10**6, 0, 0]]).int())


@pytest.mark.parametrize("count", [0, 1])
def test_none_and_one(count: int) -> None:
    levels = build_pyramid(torch.zeros(count, 4).int(), 3)
    assert [len(level) for level in levels] == [count] * 3
    x = SubMConv3d(2, 3)(torch.ones(count, 2), levels[0])
    assert UpConv(4, 2)(DownConv(3, 4)(x, levels[0]), levels[0]).shape == (count, 2)


def test_parents_hold_their_children(levels: list[Level]) -> None:
    for fine, coarse in pairwise(levels):
        halves = torch.div(fine.coords[:, 1:], 2, rounding_mode="floor")
        assert torch.equal(coarse.coords[fine.parent][:, 1:], halves.int())
    with pytest.raises(ValueError, match="coarsest"):
        DownConv(1, 1)(torch.ones(len(levels[-1]), 1), levels[-1])


def test_fused_layers_equal_unfused_ones(levels: list[Level]) -> None:
    conv, linear = ConvNorm(SubMConv3d(4, 6, bias=True)), LinearNorm(6, 5)
    for norm in (conv.norm, linear.norm):
        for value in (norm.running_mean, norm.bias, norm.weight):
            nn.init.normal_(value)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
    nn.init.normal_(conv.conv.bias)
    x = torch.randn(len(levels[0]), 4)
    both = nn.ModuleList([conv, linear]).eval()
    before = linear(conv(x, levels[0]))
    fuse(fuse(both))
    assert not any(isinstance(part, nn.BatchNorm1d) for part in both.modules())
    torch.testing.assert_close(linear(conv(x, levels[0])), before, atol=1e-5, rtol=1e-5)


def test_limit_of_the_dense_table_is_in_use() -> None:
    """A few voxels in a large space must not cost a large table."""
    coords = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [0, 90_000, 90_000, 90_000]]).int()
    kmap = neighbour_map(coords)
    assert list(zip(kmap.source.tolist(), kmap.target.tolist(), strict=True)) == [(0, 1), (1, 0)]
    assert voxels._GRID_CELLS < 90_000**3
