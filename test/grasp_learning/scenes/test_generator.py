from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.spatial import cKDTree

from grasp_core.errors import InputError
from grasp_learning.object_labels import NO_GRASP
from grasp_learning.scenes import generator as module
from grasp_learning.scenes.arrangement import COUNTS, DISTRACTOR, KINDS, Arrangement
from grasp_learning.scenes.best import Candidates, best
from grasp_learning.scenes.generator import Generator
from grasp_learning.scenes.labelling import GRASPNESS_WITHIN, HORIZON, SEEN_WITHIN, graspness
from grasp_learning.scenes.physics import execute, summary
from grasp_learning.scenes.picture import SIZE, picture
from grasp_learning.scenes.scene_files import SceneSample
from grasp_perception.dense.template import rotations
from test.grasp_learning.scenes.small_library import NAMES, library
from test.grasp_learning.things import GRIPPER


@cache
def maker(seed: int = 3) -> Generator:
    return Generator(library(), GRIPPER, seed)


@cache
def sample(kind: str) -> SceneSample:
    """A small scene of that kind; where the recipe changes, look for the numbers anew."""
    scene = maker().make({"bin": 33, "packed": 19, "pile": 27}[kind])
    assert scene.about["kind"] == kind
    return scene


@pytest.fixture(params=["bin", "packed"])
def scene(request: pytest.FixtureRequest) -> SceneSample:
    return sample(request.param)


def arrangement(scene: SceneSample) -> Arrangement:
    return maker().arrangement(scene.about["index"], scene.about["attempt"])


def test_shares() -> None:
    assert sum(KINDS.values()) == pytest.approx(1.0)
    assert set(KINDS) == set(COUNTS)


def test_the_same_scene_again(scene: SceneSample) -> None:
    again = Generator(library(), GRIPPER, 3).make(scene.about["index"])
    assert again.about == scene.about
    for one, other in zip(again.views, scene.views, strict=True):
        assert np.array_equal(one.points, other.points)
        assert np.array_equal(one.colors, other.colors)
        assert np.array_equal(one.owner, other.owner)
        assert np.array_equal(one.graspness, other.graspness)
    for name in ("points", "row", "friction_code", "width_code", "rotation"):
        assert np.array_equal(getattr(again.labels, name), getattr(scene.labels, name))


def test_the_recipe() -> None:
    fewer = type(library())(library().folder, library().objects, {NAMES[0]: library().digests[NAMES[0]]})
    makers = (
        maker(),
        Generator(library(), GRIPPER, 4),
        Generator(fewer, GRIPPER, 3),
        Generator(library(), GRIPPER.model_copy(update={"max_width": 0.09}), 3),
    )
    assert len({one.digest for one in makers}) == 4


def test_what_the_labels_say_of_the_objects(scene: SceneSample) -> None:
    labels, made = scene.labels, arrangement(scene)
    index = [i for i, shape in enumerate(made.shapes) if shape]
    assert labels.names == [made.shapes[i] for i in index]
    assert np.allclose(labels.rotation, made.scene.poses[index, :3, :3], atol=1e-6)
    assert np.allclose(labels.position, made.scene.poses[index, :3, 3], atol=1e-6)
    assert labels.support == pytest.approx(made.scene.area.min[2])
    below = labels.points[:, 2] - labels.support
    assert below.min() > -0.003


def test_grasps_are_free(scene: SceneSample) -> None:
    """Against the boxes of the hand themselves and points on everything in the scene."""
    labels, made = scene.labels, arrangement(scene)
    candidates = Candidates.of(labels)
    assert len(candidates) == np.count_nonzero(labels.friction_code != NO_GRASP)
    candidates = candidates[:: max(1, len(candidates) // 300)]
    grasps = candidates.grasps(labels)
    opening = np.clip(candidates.width + 0.01, 0.0, GRIPPER.max_width)
    centres, sizes = GRIPPER.boxes(opening)
    for obj, pose in zip(made.scene.objects, made.scene.poses, strict=True):
        mesh = obj.mesh()
        points = mesh.triangles_center @ pose[:3, :3].T + pose[:3, 3]
        local = np.einsum("ksi,kij->ksj", points - grasps.t[:, None], grasps.R)
        depth = (sizes[:, :, None] / 2.0 - np.abs(local[:, None] - centres[:, :, None])).min(axis=-1)
        assert depth.max() < 0.003  # m, in the corners of the hand's blocks
    signs = np.stack(np.meshgrid(*[[-0.5, 0.5]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    corners = centres[:, :, None] + signs * sizes[:, :, None]
    heights = np.einsum("kbci,ki->kbc", corners, grasps.R[:, 2]) + grasps.t[:, 2, None, None]
    assert heights.min() > labels.support


def test_nothing_comes_from_below(scene: SceneSample) -> None:
    candidates = Candidates.of(scene.labels)
    assert (-candidates.grasps(scene.labels).R[:, 2, 2]).min() >= HORIZON - 1e-5


def test_codes_are_those_of_the_object() -> None:
    labels = sample("packed").labels
    candidates = Candidates.of(labels)[::50]
    index = library().labelled
    for i in range(0, len(candidates), max(1, len(candidates) // 40)):
        one = candidates[np.array([i])]
        owner = labels.owner[one.point[0]]
        thing = index(labels.names[owner])
        local = (labels.points[one.point[0]] - labels.position[owner]) @ labels.rotation[owner]
        point = int(np.argmin(np.linalg.norm(thing.points - local, axis=1)))
        code = (one.view[0] * 12 + one.angle[0]) * 5 + one.depth[0]
        mine = np.arange(thing.start[point], thing.start[point + 1])
        (row,) = mine[thing.candidate[mine] == code]
        assert one.friction[0] == pytest.approx(0.005 * thing.friction_code[row])
        assert one.width[0] == pytest.approx(0.0005 * thing.width_code[row])
        assert np.allclose(one.grasps(labels).R[0], labels.rotation[owner] @ rotations()[one.view[0], one.angle[0]])


def test_views(scene: SceneSample) -> None:
    labels = scene.labels
    assert len(scene.views) == 4
    seen = np.zeros(len(labels.points), dtype=bool)
    for view in scene.views:
        assert np.all(view.graspness[view.owner < 0] == 0.0)
        assert (view.graspness >= 0.0).all()
        assert (view.graspness <= 1.0).all()
        assert view.owner.max() < len(labels.names)
        for number in range(len(labels.names)):
            mine, points = view.points[view.owner == number], labels.owner == number
            if len(mine) and points.any():
                distance = cKDTree(mine).query(labels.points[points])[0]
                seen[np.flatnonzero(points)[distance <= SEEN_WITHIN + 1e-4]] = True
    assert seen.all()
    assert any((view.graspness > 0.0).any() for view in scene.views)


def test_graspness_is_that_of_the_label_point() -> None:
    scene = sample("packed")
    labels = scene.labels
    good = labels.friction_code <= 120
    share = np.zeros(len(labels.points))
    point, view = np.nonzero(labels.row >= 0)
    np.add.at(share, point, good[labels.row[point, view]].sum(axis=1))
    above = (-(labels.rotation @ rotations()[:, 0, :, 2].T)[:, 2] >= HORIZON).sum(axis=1)
    share /= above[labels.owner] * 60
    look = scene.views[0]
    for i in np.flatnonzero(look.owner >= 0)[::40]:
        mine = np.flatnonzero(labels.owner == look.owner[i])
        near = mine[np.linalg.norm(labels.points[mine] - look.points[i], axis=1) <= GRASPNESS_WITHIN]
        assert look.graspness[i] == 0.0 or np.isclose(graspness(share[near]), look.graspness[i], atol=1e-4).any()


def test_graspness_rises() -> None:
    share = np.linspace(0.0, 1.0, 101)
    found = graspness(share)
    assert (np.diff(found) >= 0).all()
    assert (found[0], found[-1]) == (0.0, 1.0)


def test_distractors_are_background() -> None:
    scene = sample("pile")
    made = arrangement(scene)
    assert scene.about["distractors"] == 1
    assert sum(obj.family == DISTRACTOR for obj in made.scene.objects) == scene.about["distractors"]
    assert len(scene.labels.names) == len(made.shapes) - scene.about["distractors"]
    for obj, pose in zip(made.scene.objects, made.scene.poses, strict=True):
        if obj.family == DISTRACTOR:
            for view in scene.views:
                near = np.linalg.norm(view.points - pose[:3, 3], axis=1) < 0.04  # well inside of its hull
                assert np.all(view.owner[near] < 0)


def test_best_are_apart_and_ranked(scene: SceneSample) -> None:
    found = best(scene, 5)
    assert 0 < len(found) <= 5
    assert np.all(np.diff(found.score) <= 0)
    found.validate(GRIPPER.max_width)


def test_picture(scene: SceneSample) -> None:
    drawn = picture(scene, GRIPPER)
    assert drawn.shape == (2 * SIZE[1], 2 * SIZE[0], 3)
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20


def test_good_grasps_hold() -> None:
    done = execute(maker(), sample("packed"), 6, np.random.default_rng(0))
    assert sum(one.held for one in done) >= 5
    assert summary(done)[0].startswith("all          6 grasps   held ")


def test_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise InputError("nothing stays on the table")

    monkeypatch.setattr(module, "arrange", fail)
    with pytest.raises(InputError, match="no scene 7 of seed 3 in 8 tries: nothing stays on the table"):
        maker().make(7)
