"""What a batch says of its seeds: against the labels in the objects' own frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grasp_learning.object_labels import FRICTION_STEP, NO_GRASP, WIDTH_STEP
from grasp_learning.training.augmentation import Motion, augment, unchanged
from grasp_learning.training.batches import Batch, augmented_batch, draw_seeds, facing, make_batch, nearest_labels
from grasp_learning.training.label_table import LabelTable
from grasp_learning.training.mapping import template_maps
from grasp_perception.dense.template import ANGLES, DEPTHS, VIEWS, rotations, views
from test.grasp_learning.training.training_scenes import RECIPE, SIZE, sample

MIRROR = np.diag([1.0, -1.0, 1.0])


@pytest.fixture(scope="module")
def batch() -> Batch:
    return augmented_batch([(sample(0), 1), (sample(1), 2)], RECIPE, np.random.default_rng(3))


def test_labels_of_a_turned_and_mirrored_scene() -> None:
    scene = sample(5)
    labels, A = scene.labels, _turn(0.7) @ MIRROR
    table = LabelTable.build([(labels, Motion(A, np.array([0.1, -0.2, 0.0])))])
    near, angle = template_maps(A @ labels.rotation)
    rng = np.random.default_rng(0)
    known = np.flatnonzero((labels.row >= 0).any(1))
    points, seen = rng.choice(known, 200), rng.choice(np.flatnonzero(views()[:, 2] > 0.6), 200)
    friction = table.friction(torch.tensor(points), torch.tensor(seen)).numpy()
    width = table.width(torch.tensor(points), torch.tensor(seen)).numpy()
    hits = 0
    for i, (p, v) in enumerate(zip(points, seen, strict=True)):
        row = labels.row[p, near[labels.owner[p], v]]
        for a in range(ANGLES):
            place = slice(angle[labels.owner[p], v, a] * len(DEPTHS), None)
            codes = labels.friction_code[row][place][: len(DEPTHS)] if row >= 0 else np.full(len(DEPTHS), NO_GRASP)
            widths = labels.width_code[row][place][: len(DEPTHS)] if row >= 0 else np.zeros(len(DEPTHS))
            np.testing.assert_allclose(friction[i, a], codes * FRICTION_STEP, rtol=1e-6)
            np.testing.assert_allclose(width[i, a], widths * WIDTH_STEP, rtol=1e-6)
            hits += int((codes != NO_GRASP).sum())
    assert hits > 100


@pytest.mark.parametrize("mirrored", [False, True])
def test_best_grasps_close_across_the_short_side_of_the_box_that_is_there(mirrored: bool) -> None:
    """Friction is known at every pose here: the sine of the angle between closing direction and short side."""
    scene, A = sample(2), _turn(2.1) @ (MIRROR if mirrored else np.eye(3))
    table = LabelTable.build([(scene.labels, Motion(A, np.zeros(3)))])
    labels = torch.from_numpy(np.flatnonzero((scene.labels.row >= 0).any(1)))
    share = table.views(labels)
    assert share.shape == (len(labels), VIEWS)
    best = share.argmax(1)
    assert (views()[best, 2] > np.cos(np.deg2rad(36))).all()
    friction = table.friction(labels, best)[..., 0].numpy()
    closing = rotations()[best, :, :, 0]
    short = (A @ scene.labels.rotation)[scene.labels.owner[labels], :, 0]
    sine = np.linalg.norm(np.cross(closing, short[:, None]), axis=-1)
    grasp = friction < 1.25
    assert grasp.sum() > 100
    assert np.abs(friction[grasp] - sine[grasp]).max() < np.sin(np.deg2rad(7.5 + 8.0))  # half a bin, and half a view
    assert (sine[~grasp] > 0.3).all()


def test_score_and_views() -> None:
    scene = sample(0)
    table = LabelTable.build([(scene.labels, Motion(np.eye(3), np.zeros(3)))])
    labels = torch.arange(len(scene.labels.points))
    best = torch.full((len(labels),), VIEWS - 1)
    score = table.score(labels, best)
    assert ((score >= 0) & (score <= 1)).all()
    known = torch.from_numpy((scene.labels.row >= 0).any(1))
    assert not score[~known].any()
    assert not table.views(labels)[~known].any()
    assert (score[known].amax((1, 2)) > 0.75).all()
    assert (table.width(labels, best)[score > 0] - SIZE[0]).abs().max() < WIDTH_STEP


def test_stability_is_one_where_the_closing_plane_holds_the_centre_of_mass() -> None:
    scene, A = sample(3), _turn(1.0)
    motion = Motion(A, np.array([0.1, 0.0, 0.0]))
    table = LabelTable.build([(scene.labels, motion)])
    down = torch.full((2,), VIEWS - 1)
    labels = torch.tensor([0, len(scene.labels.points) - 1])  # one of either box
    above = torch.from_numpy(motion(scene.labels.centre_of_mass)).float() + torch.tensor([0.0, 0.0, 0.02])
    approach = torch.from_numpy(rotations()[VIEWS - 1, 0, :, 2].copy()).float()
    above = table.centre - 0.03 * approach
    np.testing.assert_allclose(table.stability(labels, down, above), 1.0, atol=1e-5)
    aside = above + 0.01 * torch.from_numpy(rotations()[VIEWS - 1, 4, :, 1].copy()).float()
    stable = table.stability(labels, down, aside)
    np.testing.assert_allclose(stable[:, 4], 1 - 0.01 / table.radius, atol=1e-5)
    np.testing.assert_allclose(stable[:, 10], 1.0, atol=1e-5)  # a quarter turn further


def test_targets_of_voxels_and_seeds(batch: Batch) -> None:
    scenes = batch.scenes
    high = scenes.features[:, 1] * 0.1 > 0.012
    assert batch.on_object[high].mean() > 0.99
    assert batch.on_object[scenes.features[:, 1] * 0.1 < 0.003].mean() < 0.05
    assert 0 < batch.graspness.max() <= 0.5
    assert not batch.graspness[batch.on_object == 0].any()
    assert (batch.label[batch.seeds] >= 0).all()
    assert len(set(batch.seeds.tolist())) == len(batch.seeds) == 2 * RECIPE.seeds
    owners = batch.table.owner[batch.label[batch.seeds]]
    first = batch.seeds < scenes.starts[1]
    assert (owners[first] < 2).all()
    assert (owners[~first] >= 2).all()


def test_labels_lie_near_their_voxels() -> None:
    scene = sample(4)
    look = augment(scene.views[0], scene.labels.support, RECIPE.augmentation, np.random.default_rng(1))
    made = make_batch([(scene, 0)], [look], RECIPE, np.random.default_rng(2))
    known = made.label >= 0
    moved = look.motion(scene.labels.points)[made.label[known]]
    off = np.linalg.norm(moved - made.scenes.points[known].numpy(), axis=1)
    assert off.max() <= RECIPE.match
    assert known.sum() > 200


def test_labels_of_another_object_are_not_taken() -> None:
    scene = sample(0)
    points = scene.labels.points[:50]
    look = unchanged(scene.views[0], 0.0)
    every = np.ones(len(scene.labels.points), dtype=bool)
    near, distance = nearest_labels(points, np.zeros(50, np.int16), scene.labels, every, look, 0.006)
    assert (near == np.arange(50)).all()
    np.testing.assert_allclose(distance, 0, atol=1e-6)
    other, far = nearest_labels(points, np.ones(50, np.int16), scene.labels, every, look, 0.006)
    assert (other == -1).all()
    assert np.isinf(far).all()


def test_labels_behind_a_thin_wall_are_not_taken() -> None:
    scene = sample(0)
    points, normals = scene.labels.points, scene.labels.normals
    seen = facing(scene.labels, points[0] + 0.5 * normals[0])
    assert seen[0]
    assert not facing(scene.labels, points[0] - 0.5 * normals[0])[0]
    owner = np.full(1, scene.labels.owner[0])
    look = unchanged(scene.views[0], 0.0)
    near, _ = nearest_labels(points[:1], owner, scene.labels, seen, look, 0.006)
    assert near[0] == 0
    near, _ = nearest_labels(points[:1], owner, scene.labels, ~seen, look, 0.05)
    assert near[0] != 0


def test_seeds_are_the_nearest_voxels_and_mostly_good() -> None:
    near = np.repeat(np.arange(100), 3)
    distance = np.tile([0.003, 0.001, 0.002], 100)
    good = np.arange(100) < 60
    recipe = RECIPE.model_copy(update={"seeds": 30})
    seeds = draw_seeds(near, distance, good, recipe, np.random.default_rng(0))
    assert (seeds % 3 == 1).all()
    assert good[near[seeds]].sum() == 20
    everything = draw_seeds(near, distance, good, RECIPE.model_copy(update={"seeds": 500}), np.random.default_rng(0))
    assert len(everything) == 100
    none = draw_seeds(np.full(5, -1), np.full(5, np.inf), good, recipe, np.random.default_rng(0))
    assert len(none) == 0


def test_a_view_without_objects_is_a_batch() -> None:
    scene = sample(0)
    view = scene.views[0]
    view.owner[:] = -1
    view.graspness[:] = 0
    made = augmented_batch([(scene, 0)], RECIPE, np.random.default_rng(0))
    assert len(made.seeds) == 0
    assert not made.on_object.any()


def _turn(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
