"""Ray casting and sampling of posed surfaces, against shapes whose surface is known in closed form."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from grasp_core import se3
from grasp_core.errors import InputError
from grasp_eval.bench.surfaces import Surfaces, keep_first
from grasp_sim.objects import FAMILIES, sample_object

EXACT = 5e-5  # m: what the bed's contacts are promised to be right to


def random_pose(seed: int, reach: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return se3.make(
        Rotation.random(random_state=np.random.RandomState(seed)).as_matrix(), rng.uniform(-reach, reach, 3)
    )


def box_distance(origin: np.ndarray, direction: np.ndarray, half: np.ndarray) -> float:
    """Distance along a ray from outside to a box around the origin of its frame (slabs), inf where it misses."""
    with np.errstate(divide="ignore"):
        one, two = (-half - origin) / direction, (half - origin) / direction
    near, far = np.minimum(one, two).max(), np.maximum(one, two).min()
    return near if far >= max(near, 0.0) else np.inf


def test_the_rays_are_embrees():
    import embreex.rtcore_scene

    rays = Surfaces([trimesh.creation.box()], np.eye(4)[None])._rays
    assert isinstance(rays._scene.scene, embreex.rtcore_scene.EmbreeScene)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31))
def test_distances_at_a_metre_are_right_to_a_twentieth_of_a_millimetre(seed):
    rng = np.random.default_rng(seed)
    half, pose = rng.uniform(0.002, 0.06, 3), random_pose(seed)
    surfaces = Surfaces([trimesh.creation.box(extents=2 * half)], pose[None])
    targets = rng.uniform(-1.1, 1.1, (50, 3)) * half
    origins = targets + 1.0 * (d := rng.normal(size=(50, 3))) / np.linalg.norm(d, axis=1)[:, None]
    directions = targets - origins
    hits = surfaces.first_hits(se3.transform(pose, origins), directions @ pose[:3, :3].T)
    for k in range(50):
        unit = directions[k] / np.linalg.norm(directions[k])
        expected = box_distance(origins[k], unit, half)
        grown, shrunk = (box_distance(origins[k], unit, half + s) for s in (1e-6, -1e-6))
        if np.isfinite(grown) != np.isfinite(shrunk):
            continue  # along the very edge: a miss is as right as a hit
        assert hits.distance[k] == pytest.approx(expected, abs=EXACT)
        assert hits.body[k] == (0 if np.isfinite(expected) else -1)


def test_rays_through_edges_between_triangles_meet_the_surface():
    half, misses = 0.025, 0
    for seed in range(40):
        pose = random_pose(seed)
        surfaces = Surfaces([trimesh.creation.box(extents=[2 * half] * 3)], pose[None])
        s = np.linspace(-0.024, 0.024, 49)
        for sign in (1.0, -1.0):  # both diagonals of the top face; one of them is an edge
            origins = se3.transform(pose, np.c_[s, sign * s, np.full(49, 0.4)])
            hits = surfaces.first_hits(origins, np.tile(-pose[:3, 2], (49, 1)))
            misses += int((np.abs(hits.distance - 0.375) > EXACT).sum())
    assert misses == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_grazing_rays_stay_within_the_face(seed):
    rng = np.random.default_rng(seed)
    pose = random_pose(seed)
    surfaces = Surfaces([trimesh.creation.box(extents=[0.1, 0.1, 0.02])], pose[None])
    height = 10.0 ** rng.uniform(-9, -4, 100)  # above the top face, over 0.5 m; some rays pass it or meet a side
    y = rng.uniform(-0.04, 0.04, 100)
    origins = np.c_[np.full(100, -0.55), y, 0.01 + height]
    targets = np.c_[rng.uniform(-0.08, 0.08, 100), y, np.full(100, 0.01)]
    hits = surfaces.first_hits(se3.transform(pose, origins), (targets - origins) @ pose[:3, :3].T)
    met = se3.transform(se3.inverse(pose), hits.point[hits.body == 0])
    assert len(met) > 10
    assert np.abs(met[:, 2] - 0.01).max() < EXACT
    assert np.abs(met[:, 0]).max() < 0.05 + EXACT


def test_normals_and_bodies():
    box, ball = trimesh.creation.box(extents=[0.04] * 3), trimesh.creation.icosphere(subdivisions=4, radius=0.03)
    surfaces = Surfaces([box, ball], se3.make(np.eye(3), [[0.0, 0.0, 0.02], [0.2, 0.0, 0.03]]))
    hits = surfaces.first_hits([[0, 0, 1], [0.2, 0, 1], [0.1, 0, 1], [-1, 0, 0.02]], [[0, 0, -2]] * 3 + [[3, 0, 0]])
    np.testing.assert_array_equal(hits.body, [0, 1, -1, 0])
    np.testing.assert_allclose(hits.distance[[0, 3]], [0.96, 0.98], atol=1e-9)
    np.testing.assert_allclose(hits.normal[[0, 2, 3]], [[0, 0, 1], [0, 0, 0], [-1, 0, 0]], atol=1e-12)
    assert hits.normal[1, 2] > 0.99
    assert np.isinf(hits.distance[2])
    assert np.isnan(hits.point[2]).all()


def test_from_inside_the_normal_points_along_the_ray():
    surfaces = Surfaces([trimesh.creation.box(extents=[0.04] * 3)], np.eye(4)[None])
    hits = surfaces.first_hits([[0.0, 0.001, 0.002]], [[1.0, 0.0, 0.0]])
    np.testing.assert_allclose(hits.normal, [[1, 0, 0]])


def test_closing_fingers_meet_the_outside_of_a_union():
    parts = [trimesh.creation.box(extents=[0.04, 0.02, 0.02]), trimesh.creation.box(extents=[0.02, 0.06, 0.02])]
    pose = random_pose(3)
    surfaces = Surfaces([trimesh.util.concatenate(parts)], pose[None])
    centres = se3.transform(pose, np.array([[0.005, 0.0, 0.0], [0.0, 0.02, 0.0]]))
    low, high = surfaces.close(centres, np.tile(pose[:3, 0], (2, 1)), np.array([0.08, 0.05]))
    np.testing.assert_allclose(low.distance, [0.015, 0.015], atol=1e-6)
    np.testing.assert_allclose(high.distance, [0.025, 0.015], atol=1e-6)
    np.testing.assert_allclose(low.normal, -high.normal, atol=1e-9)
    np.testing.assert_allclose(high.normal, np.tile(pose[:3, 0], (2, 1)), atol=1e-9)


@pytest.mark.parametrize("spacing", [0.003, 0.006])
def test_samples_are_even_and_on_the_surface(spacing):
    radius, pose = 0.04, random_pose(7)
    surfaces = Surfaces([trimesh.creation.icosphere(subdivisions=5, radius=radius)], pose[None])
    points, normals, body = surfaces.sample(spacing)
    local = se3.transform(se3.inverse(pose), points)
    np.testing.assert_allclose(np.linalg.norm(local, axis=1), radius, atol=1e-4)
    outward = np.einsum("ki,ki->k", local / radius, normals @ pose[:3, :3])
    assert outward.min() > 0.99
    gaps, _ = cKDTree(points).query(points, k=2)
    assert gaps[:, 1].min() > spacing
    anywhere = trimesh.sample.sample_surface(trimesh.creation.icosphere(5, radius), 4000, seed=1)[0]
    assert cKDTree(local).query(anywhere)[0].max() < 1.5 * spacing
    assert (body == 0).all()


def test_both_sides_of_a_thin_plate_are_sampled():
    _, normals, _ = Surfaces([trimesh.creation.box(extents=[0.1, 0.1, 0.002])], np.eye(4)[None]).sample(0.006)
    up, down = (normals[:, 2] > 0.9).sum(), (normals[:, 2] < -0.9).sum()
    assert min(up, down) > 0.8 * max(up, down) > 100


def test_buried_points_are_left_out():
    small, large = trimesh.creation.box(extents=[0.02, 0.02, 0.1]), trimesh.creation.box(extents=[0.06, 0.06, 0.03])
    top = trimesh.creation.box(extents=[0.06, 0.06, 0.01])
    top.apply_translation([0, 0, 0.02])  # lies face to face on the large one
    pose = random_pose(11)
    points, _, _ = Surfaces([trimesh.util.concatenate([small, large, top])], pose[None]).sample(0.003)
    local = np.abs(se3.transform(se3.inverse(pose), points) - [0, 0, 0.005])
    inside = (local < np.array([0.03, 0.03, 0.02]) - 1e-6).all(axis=1)
    assert not inside.any()
    assert (local[:, 2] > 0.04).any()  # the ends of the small one stick out


def test_another_bodys_inside_is_no_reason_to_leave_a_point_out():
    boxes = [trimesh.creation.box(extents=[0.02] * 3), trimesh.creation.box(extents=[0.06] * 3)]
    _, _, body = Surfaces(boxes, np.stack([np.eye(4)] * 2)).sample(0.004)
    assert set(body) == {0, 1}


@pytest.mark.parametrize("family", list(FAMILIES))
def test_samples_of_every_family_are_seen_from_outside(family):
    spec = sample_object(np.random.default_rng(5), [family])
    surfaces = Surfaces([spec.mesh()], np.eye(4)[None])
    points, normals, _ = surfaces.sample(0.006)
    assert len(points) > 30
    back = surfaces.first_hits(points + 1e-4 * normals, -normals)
    assert np.median(np.abs(back.distance - 1e-4)) < 1e-6
    away = surfaces.first_hits(points + 1e-4 * normals, normals)
    behind = np.einsum("ki,ki->k", away.normal, normals) > 1e-9  # a way out: the point was inside after all
    assert behind.mean() < 0.02


def test_sampling_is_the_same_every_time():
    mesh = sample_object(np.random.default_rng(2), ["mug"]).mesh()
    one, two = (Surfaces([mesh], np.eye(4)[None]).sample(0.005)[0] for _ in range(2))
    np.testing.assert_array_equal(one, two)


@given(st.integers(0, 40), st.integers(0, 2**31))
def test_keeping_the_first_is_going_through_the_list(count, seed):
    excludes = np.triu(np.random.default_rng(seed).random((count, count)) < 0.15, 1)
    kept: list[int] = []
    for i in range(count):
        if not excludes[kept, i].any():
            kept.append(i)
    assert np.flatnonzero(keep_first(*np.nonzero(excludes), count)).tolist() == kept


def test_nothing_in_nothing_out():
    surfaces = Surfaces([], np.zeros((0, 4, 4)))
    assert np.isinf(surfaces.first_hits([[0, 0, 1]], [[0, 0, -1]]).distance).all()
    assert len(surfaces.sample(0.01)[0]) == 0
    box = Surfaces([trimesh.creation.box()], np.eye(4)[None])
    assert len(box.first_hits(np.zeros((0, 3)), np.zeros((0, 3))).distance) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: Surfaces([trimesh.creation.box()], np.zeros((0, 4, 4))), "1 meshes but 0 poses"),
        (lambda s: Surfaces([trimesh.creation.box()], np.zeros((1, 4, 4))), "rotation"),
        (lambda s: s.first_hits([[0, 0, np.nan]], [[0, 0, 1]]), "not finite"),
        (lambda s: s.first_hits([[0, 0, 1]], [[0, 0, 0]]), "zero"),
        (lambda s: s.sample(0.0), "spacing"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call(Surfaces([trimesh.creation.box()], np.eye(4)[None]))
