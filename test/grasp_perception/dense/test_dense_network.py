"""The network as a whole: what must not change its result, and that it learns."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from grasp_core.errors import ConfigError, InputError
from grasp_perception.dense import template
from grasp_perception.dense.config import DenseConfig
from grasp_perception.dense.heads import best_views, drawn_views
from grasp_perception.dense.inputs import MAX_POINTS, SceneCloud, encode
from grasp_perception.dense.model import DenseModel, DenseOutput
from grasp_perception.dense.sparse import fuse
from test.grasp_perception.dense.dense_scenes import CAMERA, SMALL, encoded, random_model, table_with_box


def assert_same(a: DenseOutput, b: DenseOutput, tolerance: float = 1e-4) -> None:
    for f in fields(a):
        torch.testing.assert_close(getattr(a, f.name), getattr(b, f.name), atol=tolerance, rtol=tolerance)


@pytest.fixture(scope="module")
def model() -> DenseModel:
    return random_model()


@torch.no_grad()
def test_shapes_and_ranges(model: DenseModel) -> None:
    scenes = encoded(table_with_box())
    out = model(scenes)
    m = SMALL.seeds
    assert out.objectness.shape == out.graspness.shape == (len(scenes.points),)
    assert out.view_scores.shape == (m, template.VIEWS)
    assert out.score.shape == out.width.shape == (m, template.ANGLES, len(template.DEPTHS))
    assert out.stability.shape == (m, template.ANGLES)
    assert ((out.width > 0) & (out.width < SMALL.max_width)).all()
    assert len(set(out.seeds.tolist())) == m


@torch.no_grad()
def test_order_of_the_points_does_not_matter(model: DenseModel) -> None:
    points = table_with_box()
    shuffled = points[np.random.default_rng(1).permutation(len(points))]
    assert_same(model(encoded(points)), model(encoded(shuffled)))


@torch.no_grad()
def test_moving_by_whole_voxels_moves_the_result(model: DenseModel) -> None:
    points, shift = table_with_box(), np.array([40, -64, 24]) * SMALL.voxel
    still = encoded(points)
    moved = encode([SceneCloud((points + shift).astype(np.float32), shift[2], CAMERA + shift)], SMALL.voxel, 3)
    step = moved.levels[0].coords[:, 1:3] - still.levels[0].coords[:, 1:3]
    assert (step == torch.tensor([40, -64])).all()
    torch.testing.assert_close(moved.points, still.points + torch.tensor(shift).float(), atol=1e-6, rtol=0)
    assert_same(model(moved), model(still), tolerance=2e-3)


@torch.no_grad()
def test_fused_equals_unfused() -> None:
    model, scenes = random_model(), encoded(table_with_box())
    before = model(scenes)
    assert_same(fuse(model)(scenes), before)


@torch.no_grad()
def test_scenes_of_a_batch_do_not_touch(model: DenseModel) -> None:
    a, b = table_with_box(), table_with_box(1, (0.06, 0.03, 0.03))
    both, out = encoded(a, b), model(encoded(a, b))
    first, second = model(encoded(a)), model(encoded(b))
    split = both.starts[1]
    torch.testing.assert_close(out.graspness[:split], first.graspness, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(out.graspness[split:], second.graspness, atol=1e-4, rtol=1e-4)
    assert torch.equal(out.seeds, torch.cat([first.seeds, second.seeds + split]))
    torch.testing.assert_close(out.score, torch.cat([first.score, second.score]), atol=1e-4, rtol=1e-4)
    assert torch.equal(both.scenes()[1].start + torch.arange(3), torch.arange(split, split + 3))


@torch.no_grad()
def test_bfloat16_backbone_is_near() -> None:
    model, scenes = fuse(random_model()), encoded(table_with_box())
    exact = model.look(model.backbone(scenes), scenes)
    rough = model.look(model.lowered(torch.bfloat16).backbone(scenes), scenes)
    assert rough.features.dtype == torch.float32
    scale = exact.features.abs().max()
    assert (rough.features - exact.features).abs().max() < 0.05 * scale


def test_features_say_what_they_promise() -> None:
    points = np.array([[0.0013, 0.0026, 0.05], [0.0013, 0.0026, 0.051], [0.2, 0.1, 0.3]], np.float32)
    scenes = encode([SceneCloud(points, 0.02, np.array([0.0013, 0.0026, 1.0]))], 0.005, 2)
    assert len(scenes.points) == 2
    assert scenes.inverse.tolist() == [0, 0, 1]
    torch.testing.assert_close(scenes.points, torch.tensor([[0.0013, 0.0026, 0.0505], [0.2, 0.1, 0.3]]))
    first = scenes.features[0]
    expected = [1.0, 0.305, 0.26 - 0.5, 0.52 - 0.5, 0.1, 0.0, 0.0, 1.0]  # z: 6.1 + 0.5 voxels above the lowest edge
    torch.testing.assert_close(first, torch.tensor(expected), atol=1e-4, rtol=0)
    assert not encode([SceneCloud(points, 0.02)], 0.005, 2).features[:, 5:].any()


@pytest.mark.parametrize("count", [0, 1])
def test_no_point_and_one_point(model: DenseModel, count: int) -> None:
    with torch.no_grad():
        out = model(encoded(np.full((count, 3), 0.1, np.float32)))
    assert len(out.graspness) == len(out.seeds) == len(out.score) == count
    assert out.score.isfinite().all()


def test_an_empty_scene_within_a_batch(model: DenseModel) -> None:
    with torch.no_grad():
        out = model(encoded(np.zeros((0, 3), np.float32), table_with_box()))
    assert len(out.seeds) == SMALL.seeds


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.array([[np.nan, 0, 0]], np.float32), "1 of 1 points are NaN"),
        (np.zeros((MAX_POINTS + 1, 3), np.float32), "at most 400000"),
        (np.zeros((3, 2), np.float32), r"expected points \(N, 3\)"),
        (np.array([[1e9, 0, 0]], np.float32), "crop the cloud"),
        (np.array([[0, 0, 0], [1e4, 0, 0]], np.float32), "spans"),
    ],
)
def test_bad_clouds_are_refused(points: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encoded(points)


def test_bad_support_is_refused() -> None:
    with pytest.raises(InputError, match="must be finite"):
        SceneCloud(np.zeros((1, 3), np.float32), float("nan"))


def test_no_seeds_where_nothing_is_graspable() -> None:
    model, scenes = random_model(graspable=False), encoded(table_with_box())
    torch.nn.init.constant_(model.point_head.layers[-1].bias, -10.0)
    out = model.train()(scenes)
    assert len(out.seeds) == len(out.views) == len(out.score) == 0


def test_given_seeds_and_views_are_used(model: DenseModel) -> None:
    scenes = encoded(table_with_box())
    seeds, views = torch.tensor([3, 50, 700]), torch.tensor([250, 299, 180])
    with torch.no_grad():
        out = model(scenes, seeds, views)
    assert torch.equal(out.seeds, seeds)
    assert torch.equal(out.views, views)
    assert len(out.score) == 3


def test_only_allowed_voxels_become_seeds(model: DenseModel) -> None:
    scenes = encoded(table_with_box())
    with torch.no_grad():
        points = model.look(model.backbone(scenes), scenes)
        seeds = model.choose(points, scenes, scenes.points[:, 2] > 0.02)
    assert len(seeds) == SMALL.seeds
    assert (scenes.points[seeds, 2] > 0.02).all()


def test_everything_learns() -> None:
    """One step of training changes every parameter, and a few lower the loss."""
    model = random_model(graspable=False).train()
    scenes = encoded(table_with_box(), table_with_box(1))
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    seeds = torch.arange(0, len(scenes.points), 40)
    views = torch.arange(len(seeds)) % template.VIEWS
    losses = []
    for _ in range(20):
        out = model(scenes, seeds, views)
        target = (scenes.points[:, 2] > 0.02).float()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(out.objectness, target)
        loss = loss + (out.graspness - target).square().mean() + (out.view_scores - 0.3).square().mean()
        loss = loss + (out.score - 1).square().mean() + 10 * (out.width - 0.03).square().mean()
        loss = loss + (out.stability + 1).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if len(losses) == 1:
            still = [name for name, value in model.named_parameters() if torch.equal(value, before[name])]
            assert not still
    assert losses[-1] < 0.75 * losses[0]


def test_best_views_respect_what_is_allowed() -> None:
    scores = torch.eye(template.VIEWS)[:5]
    assert best_views(scores).tolist() == [0, 1, 2, 3, 4]
    allowed = torch.zeros(template.VIEWS, dtype=torch.bool)
    allowed[[2, 7]] = True
    assert best_views(scores + 0.01 * torch.arange(template.VIEWS), allowed).tolist() == [7, 7, 2, 7, 7]


def test_views_are_drawn_by_their_score() -> None:
    scores = torch.full((20_000, template.VIEWS), -3.0)
    scores[:, 10], scores[:, 20] = 1.0, -1.0  # after scaling 1 and 0.5
    drawn = drawn_views(scores, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, drawn_views(scores, torch.Generator().manual_seed(0)))
    counts = torch.bincount(drawn, minlength=template.VIEWS)
    assert counts[10] + counts[20] > 19_900
    assert counts[10] / counts[20] == pytest.approx(2.0, abs=0.1)
    assert len(drawn_views(scores[:0])) == 0
    assert len(set(drawn_views(torch.zeros(500, template.VIEWS)).tolist())) > 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"widths": [32]}', "at least 2 levels"),
        ('{"encoder_blocks": [1]}', "one entry fewer"),
        ('{"below": 0.01}', "below < 0 < above"),
        ('{"wings": 2}', "wings"),
        ('{"seeds": 0}', "seeds"),
        ("{", "Invalid JSON"),
    ],
)
def test_bad_configurations_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        DenseConfig.from_json(text, "some.file")
    assert "some.file" in str(error.value)


def test_default_network_has_its_size() -> None:
    parameters = sum(p.numel() for p in DenseModel().parameters())
    assert parameters < 7_500_000  # float32 in at most 30 MB


@torch.no_grad()
def test_some_rows_read_what_all_rows_read(model: DenseModel) -> None:
    scenes = encoded(table_with_box())
    levels, rows = model.backbone(scenes), torch.tensor([900, 3, 77, 77])
    everywhere = model.point_readout(levels, scenes)
    torch.testing.assert_close(model.point_readout(levels, scenes, rows), everywhere[rows], atol=1e-5, rtol=1e-5)
