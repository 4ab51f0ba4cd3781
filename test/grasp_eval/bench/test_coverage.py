"""Coverage of one look: which object a grasp belongs to, what it covers, and that frames do not matter."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core import se3
from grasp_core.errors import InputError
from grasp_core.grasps import Grasps
from grasp_eval.bench.coverage import contact_middles, coverage, owners

DOWN = np.diag([1.0, -1.0, -1.0])  # approach straight down, closing along x


def patch(x: float, y: float = 0.0, z: float = 0.05) -> np.ndarray:
    """A flat square of 7 x 7 points, 18 mm wide."""
    grid = np.linspace(-0.009, 0.009, 7)
    return np.stack([*(g.ravel() for g in np.meshgrid(x + grid, y + grid)), np.full(49, z)], axis=1)


def grasps(*positions: tuple[float, float, float], width: float = 0.04, depth: float = 0.02) -> Grasps:
    t = np.array(positions, dtype=float).reshape(-1, 3)
    n = len(t)
    return Grasps.create(np.broadcast_to(DOWN, (n, 3, 3)), t, np.full(n, width), depth)


def look(*patches: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    labels = np.repeat(np.arange(len(patches)), [len(p) for p in patches])
    return np.concatenate(patches), labels, [f"o{i}" for i in range(len(patches))]


def test_two_objects_one_covered():
    points, labels, names = look(patch(0.0), patch(0.2))
    found = coverage(grasps((0.0, 0.0, 0.03), (0.005, 0.0, 0.03)), points, labels, names)
    assert found == {
        **{"visible": 2, "covered": 1, "covered_objects": 0.5, "grasps_per_object": 1.0, "unassigned": 0},
        **{"per_object": {"o0": 2, "o1": 0}, "covered_surface": 0.5},
    }
    json.dumps(found, allow_nan=False)


def test_no_grasps_and_nothing_visible():
    points, labels, names = look(patch(0.0))
    none = coverage(Grasps.empty(), points, labels, names)
    assert (none["covered"], none["covered_objects"], none["covered_surface"]) == (0, 0.0, 0.0)
    blind = coverage(grasps((0, 0, 0)), np.zeros((0, 3)), np.zeros(0, dtype=int), names)
    assert (blind["visible"], blind["covered_objects"], blind["covered_surface"]) == (0, None, None)
    assert blind["unassigned"] == 1
    assert coverage(Grasps.empty(), np.zeros((0, 3)), np.zeros(0, dtype=int), [])["per_object"] == {}


def test_a_few_points_make_no_visible_object():
    points, labels, names = look(patch(0.0), patch(0.1)[:9])
    found = coverage(grasps((0.1, 0.0, 0.04)), points, labels, names)
    assert found["visible"] == 1
    assert found["per_object"] == {"o0": 0}
    assert found["unassigned"] == 1


def test_the_contact_middle_is_half_the_depth_behind_the_tips_at_most_half_a_pad():
    middles = contact_middles(Grasps.concatenate([grasps((0, 0, 0.03), depth=d) for d in (0.0, 0.01, 0.02, 0.5, -1.0)]))
    assert middles[:, 2] == pytest.approx([0.03, 0.035, 0.04, 0.041, 0.03])
    assert np.allclose(middles[:, :2], 0.0)


def test_covered_surface_ends_at_two_centimetres():
    line = np.array([[x, 0.0, 0.05] for x in np.arange(100) * 0.001])
    found = coverage(grasps((0, 0, 0.04)), line, np.zeros(100, dtype=int), ["o"])
    # contact middle at (0, 0, 0.05)
    assert found["covered_surface"] == pytest.approx(0.20, abs=0.011)


def test_a_neighbour_at_a_finger_does_not_own_the_grasp():
    """The pad closes 2 mm from the side of o1; between the pads, 10 mm above, lies o0."""
    side = np.stack([np.full(49, 0.022), *(patch(0.0)[:, :2].T)], axis=1) + np.array([0, 0, 0.04])
    points, labels, _ = look(patch(0.0), side)
    assert owners(grasps((0.0, 0.0, 0.03)), points, labels) == [0]


def test_a_wide_object_is_found_beside_the_middle():
    """A grasp over a hollow: nothing at the middle of the opening, o1 at a quarter of it."""
    points, labels, _ = look(patch(0.0, y=0.026), patch(0.029))
    assert owners(grasps((0.0, 0.0, 0.04), width=0.08), points, labels) == [1]


def test_grasps_in_the_air_belong_to_nothing():
    points, labels, names = look(patch(0.0))
    found = coverage(grasps((0, 0, 0.5), (0, 0, 0.04)), points, labels, names)
    assert found["per_object"] == {"o0": 1}
    assert found["unassigned"] == 1


def test_points_of_nothing_are_left_out():
    points, labels, names = look(patch(0.0), patch(0.2))
    labels[labels == 1] = -1
    found = coverage(grasps((0.2, 0.0, 0.03)), points, labels, names)
    assert found["visible"] == 1
    assert found["unassigned"] == 1
    assert found["covered_surface"] == 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_frames_order_and_swapped_fingers_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    points, labels, names = look(patch(0.0), patch(0.05), patch(0.0, 0.06))
    mine = grasps(*(rng.uniform(-0.05, 0.1, (20, 3)) + np.array([0, 0, 0.02])))
    expected = coverage(mine, points, labels, names)
    T = se3.make(se3.rpy_matrix(*rng.uniform(-3, 3, 3)), rng.uniform(-1, 1, 3))
    moved = coverage(mine.transformed(T), se3.transform(T, points), labels, names)
    order, shuffle = rng.permutation(20), rng.permutation(len(points))
    shuffled = coverage(mine[order], points[shuffle], labels[shuffle], names)
    swapped = Grasps.create(mine.R @ np.diag([-1.0, -1.0, 1.0]), mine.t, mine.width, mine.depth)
    assert shuffled == expected
    assert coverage(swapped, points, labels, names) == expected
    # float32 poses move by 1e-7 m: a tie or a limit may tip over
    assert abs(moved["unassigned"] - expected["unassigned"]) <= 1
    assert moved["covered_surface"] == pytest.approx(expected["covered_surface"], abs=0.02)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_agrees_with_all_distances(seed, n):
    rng = np.random.default_rng(seed)
    points, labels = rng.uniform(-0.1, 0.1, (200, 3)), rng.integers(0, 3, 200)
    mine = grasps(*rng.uniform(-0.1, 0.1, (n, 3)))
    found = coverage(mine, points, labels, ["a", "b", "c"])
    middles = contact_middles(mine)
    distances = np.linalg.norm(points[:, None] - middles[None], axis=2).min(axis=1, initial=np.inf)
    assert found["covered_surface"] == pytest.approx((distances < 0.02).mean())
    line = middles[:, None] + np.linspace(-0.01, 0.01, 5)[None, :, None] * mine.R[:, None, :, 0]
    near = np.linalg.norm(line[:, :, None] - points, axis=3).min(axis=1) if n else np.zeros((0, 200))
    expected = np.where(near.min(axis=1, initial=np.inf) <= 0.03, labels[near.argmin(axis=1)] if n else 0, -1)
    assert found["per_object"] == {name: int((expected == i).sum()) for i, name in enumerate("abc")}
    assert sum(found["per_object"].values()) + found["unassigned"] == n


@pytest.mark.parametrize(
    ("points", "labels", "message"),
    [
        (np.zeros((3, 2)), np.zeros(3, dtype=int), "expected points"),
        (np.zeros((3, 3)), np.zeros(2, dtype=int), "expected points"),
        (np.zeros((3, 3)), np.zeros(3), "integers"),
        (np.full((3, 3), np.nan), np.zeros(3, dtype=int), "NaN"),
        (np.zeros((3, 3)), np.full(3, 1), "no name"),
    ],
)
def test_bad_input_is_named(points, labels, message):
    with pytest.raises(InputError, match=message):
        coverage(Grasps.empty(), points, labels, ["only"])
