"""The antipodal test against closed forms, and against a general test in the space of wrenches."""

import numpy as np
import pytest
import trimesh
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial.transform import Rotation

from grasp_core import se3
from grasp_eval.bench.force_closure import BAD, FRICTIONS, SLACK, antipodal_friction, friction_needed, least_listed
from grasp_eval.bench.surfaces import Hits, Surfaces

FACES = 8  # of a linearised cone
TORQUE_SCALE = 0.01
FINGER_RADIUS = 0.005  # m, of the soft contact
EYE = np.eye(4)[None]
X = np.array([[1.0, 0.0, 0.0]])


def pose(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=np.random.RandomState(seed)).as_matrix()
    return se3.make(turn, rng.uniform(-0.5, 0.5, 3))


def contact(point: np.ndarray, normal: np.ndarray) -> Hits:
    return Hits(np.zeros(1), np.atleast_2d(point), np.atleast_2d(normal), np.zeros(1, dtype=int))


def holds_by_wrenches(points: np.ndarray, normals: np.ndarray, friction: float) -> bool:
    """Whether the origin lies in the convex hull of all wrenches that the contacts can exert (linear program).

    Every edge of a cone comes with the most torsion that its normal force of 1 lets a soft finger exert, either way.
    """
    middle, columns = points.mean(axis=0), []
    for point, inward in zip(points, -normals, strict=True):
        one = np.cross(inward, np.eye(3)[np.abs(inward).argmin()])
        one /= np.linalg.norm(one)
        two = np.cross(inward, one)
        for angle in 2 * np.pi * np.arange(FACES) / FACES:
            force = inward + friction * (np.cos(angle) * one + np.sin(angle) * two)
            twist = np.pi * FINGER_RADIUS**2 * friction * inward
            torque = np.cross(point - middle, force)
            columns += [np.r_[force, TORQUE_SCALE * (torque + turn * twist)] for turn in (-1, 1)]
    wrenches = np.array(columns).T
    wrenches[3:] /= TORQUE_SCALE * np.linalg.norm(points[1] - points[0])  # so that the solver's tolerance means a force
    share = np.ones((1, wrenches.shape[1]))
    answer = linprog(
        share[0], A_eq=np.vstack([wrenches, share]), b_eq=np.r_[np.zeros(6), 1.0], bounds=(0, None), method="highs"
    )
    return answer.status == 0


def wedge(low: float, high: float, half: float = 0.02) -> trimesh.Trimesh:
    """A prism along y and z whose sides at x = -half and +half, at z = 0, lean by these angles, rad."""
    z = 0.02
    corners = [(-half - s * z * np.tan(low), y, s * z) for s in (-1, 1) for y in (-0.02, 0.02)]
    corners += [(half + s * z * np.tan(high), y, s * z) for s in (-1, 1) for y in (-0.02, 0.02)]
    return trimesh.convex.convex_hull(np.array(corners))


def test_parallel_plates_need_no_friction():
    box = Surfaces([trimesh.creation.box(extents=[0.04, 0.03, 0.02])], EYE)
    needed = friction_needed(box, [[0.0, 0.005, 0.004]], X, [0.06])
    assert needed[0] == pytest.approx(0.0, abs=1e-9)
    assert least_listed(needed)[0] == 0.2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.0, 1.0), st.floats(-1.0, 1.0))
def test_leaning_sides_need_the_tangent_of_the_steeper_one(seed, low, high):
    T = pose(seed)
    surfaces = Surfaces([wedge(low, high, half=0.035)], T[None])
    needed = friction_needed(surfaces, T[None, :3, 3], T[None, :3, 0], [0.08])
    assert needed[0] == pytest.approx(max(np.tan(low), abs(np.tan(high))), abs=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.6, 0.7])
def test_a_ball_off_its_middle_needs_the_tangent_of_the_latitude(share):
    radius, T = 0.03, pose(int(100 * share))
    ball = Surfaces([trimesh.creation.icosphere(subdivisions=6, radius=radius)], T[None])
    centre = se3.transform(T, np.array([[0.0, share * radius, 0.0]]))
    needed = friction_needed(ball, centre, T[None, :3, 0], [0.08])
    assert needed[0] == pytest.approx(np.tan(np.arcsin(share)), abs=0.03)


def test_beyond_the_largest_friction_of_the_list_it_is_bad():
    ball = Surfaces([trimesh.creation.icosphere(subdivisions=5, radius=0.03)], EYE)
    centres = [[0.0, y, 0.0] for y in (0.022, 0.0245)]  # tan(asin(y / r)): 1.08 and 1.41
    np.testing.assert_array_equal(
        least_listed(friction_needed(ball, centres, np.tile(X, (2, 1)), [0.07] * 2)), [1.2, BAD]
    )


@pytest.mark.parametrize(("needed", "listed"), [(0, 0.2), (0.2, 0.2), (0.21, 0.4), (1.0, 1.0), (1.2, 1.2), (1.21, -1)])
def test_the_list(needed, listed):
    assert least_listed([needed, np.inf]).tolist() == [listed, BAD]


def test_a_finger_goes_no_farther_than_the_middle():
    box = Surfaces([trimesh.creation.box(extents=[0.02, 0.04, 0.04])], EYE)
    for shift, holds in ((0.0095, True), (0.0115, False)):  # of the middle; SLACK lies between
        needed = friction_needed(box, [[shift, 0.001, 0.002], [-shift, 0.001, 0.002]], np.tile(X, (2, 1)), [0.08] * 2)
        assert (needed < 1e-6).tolist() == [holds] * 2
    assert 0.010 < 0.0115 - SLACK < 0.0115


def test_a_finger_may_stand_a_little_inside_but_not_more():
    box = Surfaces([trimesh.creation.box(extents=[0.04, 0.04, 0.04])], EYE)
    needed = friction_needed(box, np.tile([0.0, 0.001, 0.002], (3, 1)), np.tile(X, (3, 1)), [0.0401, 0.0385, 0.0375])
    assert (needed < 1e-6).tolist() == [True, True, False]


def test_nothing_between_the_fingers():
    box = Surfaces([trimesh.creation.box(extents=[0.02] * 3)], EYE)
    assert least_listed(friction_needed(box, [[0.0, 0.05, 0.0]], X, [0.08])).tolist() == [BAD]


def test_no_grasps():
    box = Surfaces([trimesh.creation.box()], EYE)
    assert least_listed(friction_needed(box, np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))).shape == (0,)


def test_contacts_in_one_point_or_facing_away_hold_at_no_friction():
    point, other = np.zeros(3), np.array([0.03, 0.0, 0.0])
    assert np.isinf(antipodal_friction(contact(point, -X[0]), contact(point, X[0])))
    assert np.isinf(antipodal_friction(contact(point, X[0]), contact(other, X[0])))
    assert np.isinf(antipodal_friction(contact(point, -X[0]), contact(other, -X[0])))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(FRICTIONS))
def test_agrees_with_the_wrench_space(seed, friction):
    """Apart from what cones of 8 faces and torsion may make of it: 8 % and 0.02 of the coefficient."""
    rng = np.random.default_rng(seed)
    points = np.array([[0.0, 0.0, 0.0], [rng.uniform(0.02, 0.08), 0.0, 0.0]])
    normals = np.array([-X[0], X[0]]) + rng.normal(scale=rng.choice([0.1, 0.3, 1.0]), size=(2, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    T = pose(seed)
    points, normals = se3.transform(T, points), normals @ T[:3, :3].T
    needed = antipodal_friction(contact(points[0], normals[0]), contact(points[1], normals[1]))[0]
    face = 1.0 / np.cos(np.pi / FACES)  # a cone's faces lie this much inside it
    assume(not needed - 0.02 < friction < needed * face + 0.02)
    assert holds_by_wrenches(points, normals, friction) == (friction > needed)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_agrees_with_the_wrench_space_on_meshes(seed):
    rng = np.random.default_rng(seed)
    mesh = trimesh.convex.convex_hull(rng.normal(size=(12, 3)) * [0.02, 0.012, 0.012])
    surfaces = Surfaces([mesh], EYE)
    centres = np.c_[np.zeros(8), rng.uniform(-0.005, 0.005, (8, 2))]
    needed = friction_needed(surfaces, centres, np.tile(X, (8, 1)), np.full(8, 0.2))
    low, high = surfaces.close(centres, np.tile(X, (8, 1)), 0.2)
    for k in np.flatnonzero(np.isfinite(needed)):
        points, normals = np.stack([low.point[k], high.point[k]]), np.stack([low.normal[k], high.normal[k]])
        if np.linalg.norm(points[1] - points[0]) < 0.01:
            continue  # where torsion is no longer small
        for friction in FRICTIONS:
            if not needed[k] - 0.04 < friction < needed[k] * 1.083 + 0.04:
                assert holds_by_wrenches(points, normals, friction) == (friction > needed[k])
