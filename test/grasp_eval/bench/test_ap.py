"""AP on scenes whose verdict is known by hand: bars on a table, grasped from above."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from grasp_core import se3
from grasp_core.errors import InputError
from grasp_core.grasps import Grasps
from grasp_eval.bench import ap
from grasp_eval.bench.force_closure import BAD
from grasp_sim.objects import ObjectSpec, Part
from test.grasp_eval.bench.bars import BAR, DEPTH, DOWN, bar, bars, changed, good


def mean_with_wrong(j: int) -> float:
    """AP of 50 right grasps of which the j-th (from 1) is wrong."""
    return sum(1.0 if k < j else (k - 1) / k for k in range(1, 51)) / 50


def test_a_perfect_dump_scores_exactly_one():
    objects, poses = bars(5)
    result = ap.scene_ap(good(poses), objects, poses)
    assert result == {
        "ap": 1.0,
        "ap_mu": {"0.2": 1.0, "0.4": 1.0, "0.6": 1.0, "0.8": 1.0, "1.0": 1.0, "1.2": 1.0},
        "considered": 50,
        "colliding": 0,
        "empty": 0,
    }


@pytest.mark.parametrize("n", [0, 5])
def test_an_empty_dump_scores_exactly_zero(n):
    objects, poses = bars(n)
    result = ap.scene_ap(Grasps.empty(), objects, poses)
    assert result["ap"] == 0.0
    assert set(result["ap_mu"].values()) == {0.0}
    assert result["considered"] == 0


@pytest.mark.parametrize("j", [1, 7, 31, 50])
def test_one_wrong_grasp_costs_what_its_rank_says(j):
    objects, poses = bars(5)
    grasps = good(poses)
    t = grasps.t.copy()
    t[j - 1, 2] += 0.045  # in the air above its bar
    result = ap.scene_ap(changed(grasps, t=t), objects, poses)
    assert result["ap"] == pytest.approx(mean_with_wrong(j), abs=1e-12)
    assert (result["empty"], result["colliding"], result["considered"]) == (1, 0, 50)


def test_order_matters_and_the_order_of_the_list_does_not():
    objects, poses = bars(5)
    grasps = good(poses)
    t = grasps.t.copy()
    t[:25, 2] += 0.045
    wrong_first = changed(grasps, t=t)
    wrong_last = changed(wrong_first, score=grasps.score[::-1])
    first, last = (ap.scene_ap(g, objects, poses)["ap"] for g in (wrong_first, wrong_last))
    by_hand = sum((k - 25) / k for k in range(26, 51)) / 50, sum(min(k, 25) / k for k in range(1, 51)) / 50
    assert (first, last) == pytest.approx(by_hand, abs=1e-12)
    mixed = np.random.default_rng(0).permutation(50)
    assert ap.scene_ap(wrong_first[mixed], objects, poses)["ap"] == pytest.approx(first, abs=1e-12)


def test_missing_grasps_are_wrong():
    objects, poses = bars(5)
    result = ap.scene_ap(good(poses)[np.arange(0, 50, 5)], objects, poses)
    assert result["ap"] == pytest.approx(sum(min(k, 10) / k for k in range(1, 51)) / 50)


@pytest.mark.parametrize(
    ("width", "lower"),
    [(0.05, 0.012), (0.03, 0.0)],  # tips in the table's grid; fingers on the bar's sides
)
def test_a_touching_hand_is_wrong(width, lower):
    objects, poses = bars(5)
    if lower:  # reach through to below the table's top
        objects, poses = [bar((BAR[0], BAR[1], 0.01))] * 5, se3.make(np.eye(3), [0.0, 0.0, -0.01]) @ poses
    grasps = good(poses, width=width)
    grasps = changed(grasps, t=grasps.t - [0, 0, lower])
    result = ap.scene_ap(grasps, objects, poses)
    assert (result["ap"], result["colliding"], result["empty"]) == (0.0, 50, 0)
    lifted = ap.scene_ap(grasps, objects, poses, table_height=-0.05)
    assert lifted["colliding"] == (0 if lower else 50)


def test_a_neighbour_in_the_way_is_a_collision():
    objects, poses = bars(5)
    wall = ObjectSpec("wall", "box", (Part("box", (0.18, 0.005, 0.03)),), 0.2, 0.6, (1, 1, 1, 1), 0.01)
    beside = se3.make(np.eye(3), poses[0, :3, 3] + [0.0, 0.03, 0.01])
    result = ap.scene_ap(good(poses), [*objects, wall], np.concatenate([poses, beside[None]]))
    assert result["colliding"] == 10
    assert result["ap"] == pytest.approx(sum(max(k - 10, 0) / k for k in range(1, 51)) / 50)


def test_an_object_lends_ten_grasps_at_most():
    long = bar((0.24, *BAR[1:]))
    pose = se3.make(np.eye(3), [0.0, 0.0, BAR[2]])[None]
    grasps = good(pose, per_bar=14)
    verdicts = ap.score_grasps(grasps, [ap.Model.of_mesh(long.mesh())], pose, ap.table_points())
    assert verdicts.index.tolist() == list(range(10))
    result = ap.scene_ap(grasps, [long], pose)
    assert result["considered"] == 10
    assert result["ap"] == pytest.approx(sum(min(k, 10) / k for k in range(1, 51)) / 50)


def test_the_scene_is_cut_at_the_fiftieth_score():
    objects, poses = bars(6)
    models = [ap.Model.of_mesh(o.mesh()) for o in objects]
    falling = good(poses)
    verdicts = ap.score_grasps(falling, models, poses, ap.table_points())
    assert verdicts.index.tolist() == list(range(50))
    level = changed(falling, score=np.r_[falling.score[:49], np.full(11, falling.score[49])])
    verdicts = ap.score_grasps(level, models, poses, ap.table_points())
    assert verdicts.index.tolist() == list(range(60))  # all that tie with the 50th
    assert ap.accuracies(verdicts.friction).shape == (50, 6)


def test_friction_columns():
    """Half of the bars lean so that their sides need tan(35 deg) = 0.70."""
    objects, poses = bars(5)
    lean = 0.02 * np.tan(np.deg2rad(35.0))
    corners = [
        (x, y + np.sign(y) * lean * s, 0.02 * s) for x in (-0.18, 0.18) for y in (-0.025, 0.025) for s in (-1, 1)
    ]
    prism = ObjectSpec("prism", "box", (Part("mesh", vertices=np.array(corners)),), 0.2, 0.6, (1, 1, 1, 1), 0.05)
    result = ap.scene_ap(good(poses, width=0.081), [prism] * 5, poses)
    assert result["colliding"] == result["empty"] == 0
    assert result["ap_mu"] == {"0.2": 0.0, "0.4": 0.0, "0.6": 0.0, "0.8": 1.0, "1.0": 1.0, "1.2": 1.0}
    assert result["ap"] == pytest.approx(0.5)
    assert ap.scene_ap(good(poses), objects, poses)["ap_mu"]["0.2"] == 1.0


def test_the_width_is_clipped():
    wide = [bar((0.18, 0.048, 0.02))]
    pose = se3.make(np.eye(3), [0.0, 0.0, 0.02])[None]
    grasps = good(pose, width=0.2)
    assert ap.scene_ap(grasps, wide, pose)["colliding"] == 0
    assert ap.scene_ap(grasps, wide, pose, max_width=0.085)["colliding"] == 10
    assert grasps.width.max() == np.float32(0.2)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_the_frame_does_not_matter(seed):
    objects, poses = bars(5)
    models = [ap.Model.of_mesh(objects[0].mesh())] * 5
    rng = np.random.default_rng(seed)
    grasps = good(poses)
    t = grasps.t + rng.uniform(-1, 1, (50, 3)) * [0.003, 0.006, 0.03]
    grasps = changed(grasps, t=t)
    T = se3.make(Rotation.random(random_state=np.random.RandomState(seed)).as_matrix(), rng.uniform(-1, 1, 3))
    here = ap.score_grasps(grasps, models, poses, ap.table_points())
    there = ap.score_grasps(grasps.transformed(T), models, T @ poses, se3.transform(T, ap.table_points()))
    assert sorted(here.index) == sorted(there.index)
    same = here.friction[np.argsort(here.index)] == there.friction[np.argsort(there.index)]
    assert same.mean() >= 0.96  # a point of a grid may lie on the very face of a finger


@pytest.mark.parametrize(
    ("point", "touching", "inner"),
    [  # closing, height, approach in the grasp frame, with the seed in the origin; width 0.06, depth 0.03
        ((0.0, 0.0, 0.0299), False, 1),
        ((0.0, 0.0, 0.0301), False, 0),
        ((0.0, 0.0099, -0.0199), False, 1),
        ((0.0, 0.0101, 0.0), False, 0),
        ((0.0299, 0.0, 0.0), False, 1),
        ((0.0301, 0.0, 0.0), True, 0),
        ((-0.0301, 0.0, 0.0299), True, 0),
        ((-0.0301, 0.0, 0.0301), False, 0),
        ((-0.0399, -0.0099, -0.0199), True, 0),
        ((0.0401, 0.0, 0.0), False, 0),
        ((0.0, 0.0, -0.0201), True, 0),
        ((0.0399, 0.0, -0.0299), True, 0),
        ((0.0, 0.0, -0.0301), False, 0),
        ((0.0, 0.0101, -0.025), False, 0),
    ],
)
def test_the_boxes_of_the_hand(point, touching, inner):
    T = se3.make(Rotation.random(random_state=np.random.RandomState(4)).as_matrix(), [0.3, -0.2, 0.1])
    world = se3.transform(T, np.array([point]))
    got = ap.hand_contents(world, T[None, :3, :3], T[None, :3, 3], np.array([0.06]), np.array([0.03]))
    assert (bool(got[0][0]), int(got[1][0])) == (touching, inner)


def test_fewer_than_ten_points_between_the_fingers_are_nothing():
    models = [ap.Model(np.array([[0.0, 0.001 * i, 0.01] for i in range(n)]), surfaces(0.02)) for n in (9, 10)]
    grasp = Grasps.create(DOWN[None], np.zeros((1, 3)), [0.06], DEPTH, 0.5)
    far = np.zeros((0, 3))
    nine, ten = (ap.score_grasps(grasp, [m], np.eye(4)[None], far) for m in models)
    assert (bool(nine.empty[0]), nine.friction[0]) == (True, BAD)
    assert (bool(ten.empty[0]), ten.friction[0]) == (False, 0.2)


def surfaces(half: float) -> ap.Surfaces:
    return ap.Surfaces([trimesh.creation.box(extents=[2 * half] * 3)], np.eye(4)[None])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**31))
def test_suppression_goes_through_the_list(n, seed):
    rng = np.random.default_rng(seed)
    turns = rng.normal(scale=0.4, size=(n, 3)) + np.array([np.pi * 0.7, 0.0, 0.0])
    R = Rotation.from_rotvec(turns).as_matrix()
    grasps = Grasps.create(
        R, rng.uniform(0, 0.08, (n, 3)), np.full(n, 0.05), rng.uniform(0, 0.04, n), rng.permutation(n)
    )
    seeds, kept = ap.seed_points(grasps), []
    for i in np.argsort(-grasps.score):
        near = [
            j
            for j in kept
            if np.linalg.norm(seeds[i] - seeds[j]) < 0.03
            and np.rad2deg(se3.rotation_angle(grasps.R[i], grasps.R[j])) < 30.0
        ]
        if not near:
            kept.append(i)
    assert ap.suppress(grasps).tolist() == kept
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ap, "BLOCK", 7)
        assert ap.suppress(grasps).tolist() == kept


def test_suppression_looks_at_seed_points_and_knows_no_half_turn():
    turned = DOWN @ np.diag([-1.0, -1.0, 1.0])
    pair = Grasps.create(np.stack([DOWN, turned]), np.zeros((2, 3)), [0.05] * 2, 0.02, [0.9, 0.8])
    assert len(ap.suppress(pair)) == 2
    assert len(pair.nms()) == 1
    deeper = Grasps.create(
        np.stack([DOWN] * 2), np.array([[0, 0, 0], [0, 0, 0.02]]), [0.05] * 2, [0.0, 0.04], [0.9, 0.8]
    )
    np.testing.assert_allclose(np.diff(ap.seed_points(deeper)[:, 2]), 0.06, atol=1e-6)
    assert len(ap.suppress(deeper)) == 2
    assert len(deeper.nms()) == 1


def test_grasps_belong_to_the_model_nearest_to_their_seed():
    """Hands that lie level between two bars 0.15 m apart: tips nearer to one bar, seed points nearer to the other."""
    objects, poses = bars(2)
    level = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]).T  # closing x, approach -y
    between = (poses[0, :3, 3] + poses[1, :3, 3]) / 2
    grasp = Grasps.create(level[None], between[None] - [0.0, 0.01, 0.0], [0.05], [0.03], [0.5])
    assert ap.seed_points(grasp)[0, 1] > between[1] > grasp.t[0, 1]
    verdicts = ap.score_grasps(grasp, [ap.Model.of_mesh(o.mesh()) for o in objects], poses, ap.table_points())
    assert verdicts.body.tolist() == [1]


def test_voxels():
    points = [[0.0, 0, 0], [0.003, 0, 0], [0.0041, 0, 0], [0.0119, 0, 0], [0.0121, 0, 0], [0.0121, 0.1, 0]]
    means = ap.voxel_means(points, 0.008)
    expected = [[0.0015, 0, 0], [0.008, 0, 0], [0.0121, 0, 0], [0.0121, 0.1, 0]]
    np.testing.assert_allclose(means[np.lexsort(means.T)], expected)


def test_models_of_meshes_are_covered_by_points():
    model = ap.Model.of_mesh(bar().mesh())
    assert np.abs(model.points).max(axis=0) == pytest.approx(BAR, abs=1e-3)
    outside = np.abs(np.abs(model.points) - BAR).min(axis=1)
    assert outside.max() < 0.005
    full = 2 * (4 * BAR[0] * BAR[1] + 4 * BAR[0] * BAR[2] + 4 * BAR[1] * BAR[2]) / ap.VOXEL**2
    assert 0.8 * full < len(model.points) < 1.5 * full


def test_the_table():
    points = ap.table_points(0.1)
    assert points.shape == (125 * 125 * 6, 3)
    np.testing.assert_allclose(points.max(axis=0), [0.5, 0.5, 0.1])
    np.testing.assert_allclose(points.min(axis=0), [-0.5, -0.5, 0.05])


def test_grasps_that_are_not_finite_are_refused():
    objects, poses = bars(5)
    grasps = good(poses)
    t = grasps.t.copy()
    t[3, 0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        ap.scene_ap(changed(grasps, t=t), objects, poses)
