from __future__ import annotations

import numpy as np
import pytest

from grasp_learning.engine import hand_opening, label_object
from grasp_learning.object_labels import PER_POINT, SHAPE, ObjectLabels
from grasp_perception.dense.template import CLEARANCE, DEPTHS, rotations, views
from test.grasp_learning.things import GRIPPER, box, thing

BAR = (0.03, 0.03, 0.16)


@pytest.fixture(scope="module")
def bar() -> ObjectLabels:
    """An upright bar, with few points."""
    return label_object(thing(box(*BAR)), GRIPPER, spacing=0.04)


def test_shapes(bar: ObjectLabels) -> None:
    assert bar.friction().shape == (len(bar), *SHAPE)
    assert bar.width([0, 1]).shape == (2, *SHAPE)
    assert bar.collision().dtype == bool
    assert bar.stable(slice(0, 1)).shape == (1, *SHAPE[:2])
    assert PER_POINT == 300 * 12 * 5


def test_nothing_comes_from_inside(bar: ObjectLabels) -> None:
    inside = bar.normals @ views().T <= 0.0
    assert not np.isfinite(bar.friction()[inside]).any()
    assert not bar.width()[inside].any()


def test_grasps_across_the_bar(bar: ObjectLabels) -> None:
    """Friction is at least the tangent of the angle between closing direction and nearest axis."""
    friction, width = bar.friction(), bar.width()
    found = np.argwhere(np.isfinite(friction))
    assert len(found) > 100
    closing = np.abs(rotations()[found[:, 1], found[:, 2]][:, :, 0]).max(axis=1)  # to the nearest axis
    best = np.sqrt(1.0 - closing**2) / closing
    assert (friction[tuple(found.T)] >= best - 1e-3).all()
    square = friction < 0.05  # not across a corner
    assert square.any()
    assert (width[square] >= 0.03 - 1e-6).all()
    assert (width[tuple(found.T)] <= GRIPPER.max_width + 5e-4).all()


def test_along_the_bar_nothing_fits(bar: ObjectLabels) -> None:
    along = np.abs(rotations()[..., 2, 0]) > np.cos(np.deg2rad(10))
    assert along.any()
    assert not np.isfinite(bar.friction()[:, along]).any()


def test_fingers_collide_with_what_is_beside() -> None:
    """A block with a ridge on it: from above the ridge is held at 1 cm; 4 cm deep the fingers are in the block."""
    ridge = thing(box(0.1, 0.1, 0.05), box(0.02, 0.1, 0.03, at=(0.0, 0.0, 0.04)))
    labels = label_object(ridge, GRIPPER, spacing=0.03)
    on_top = np.flatnonzero((labels.normals[:, 2] > 0.9) & (labels.points[:, 2] > 0.05))
    above = np.flatnonzero(views()[:, 2] > 0.98)
    free = (np.isfinite(labels.friction()) & ~labels.collision())[np.ix_(on_top, above)]
    assert free[..., DEPTHS.index(0.01)].any()
    assert not free[..., DEPTHS.index(0.04)].any()


def test_stable_is_the_distance_of_the_closing_plane(bar: ObjectLabels) -> None:
    stable = bar.stable()
    assert stable.dtype == np.float16
    point, view, angle = 1, 40, 7
    arm = bar.points[point].astype(float) - bar.centre_of_mass
    farthest = np.linalg.norm(bar.points, axis=1).max()  # the centre of mass is the origin
    expected = abs(rotations()[view, angle][:, 1] @ arm) / farthest
    assert stable[point, view, angle] == pytest.approx(expected, abs=1e-3)
    assert stable.min() >= 0.0
    assert stable.max() <= 1.0


def test_best_grasps_hold_near_the_middle(bar: ObjectLabels) -> None:
    best = bar.best(5)
    assert 1 <= len(best) <= 5
    best.validate(GRIPPER.max_width)
    assert (np.diff(best.score) <= 1e-6).all()
    assert best.stability[0] > 0.8
    assert len(bar.best(5, max_friction=-1.0)) == 0


def test_opening() -> None:
    opening = hand_opening(np.array([0.0, 0.03, 0.084]), GRIPPER)
    assert np.allclose(opening, [2 * CLEARANCE, 0.03 + 2 * CLEARANCE, GRIPPER.max_width])


def test_the_same_object_gives_the_same_labels(bar: ObjectLabels) -> None:
    again = label_object(thing(box(*BAR)), GRIPPER, spacing=0.04)
    assert again.digest == bar.digest
    assert np.array_equal(again.friction_code, bar.friction_code)
    assert np.array_equal(again.collision_bits, bar.collision_bits)
