from __future__ import annotations

import numpy as np
import pytest

from grasp_core import se3
from grasp_eval.bench.surfaces import Surfaces
from grasp_learning.hand_collision import DistanceField, HandCells
from grasp_sim.objects.spec import Part
from test.grasp_learning.things import DOWN, GRIPPER, box, thing

CELLS = HandCells(GRIPPER)


def field(*parts: Part) -> DistanceField:
    return DistanceField(Surfaces([thing(*parts).mesh()], np.eye(4)[None]))


POST = field(box(0.02, 0.02, 0.20))


def hits(where: DistanceField, height: float, opening: float, aside: float = 0.0) -> bool:
    """Whether the hand from above, tips at that height, meets the object."""
    t = np.array([[aside, 0.0, height]])
    return bool(CELLS.hits(where, DOWN[None], t, np.array([opening]))[0])


def test_distances() -> None:
    points = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.09], [0.016, 0.0, 0.0], [1.0, 0.0, 0.0]])
    expected = [True, True, False, False]
    assert POST.below(points, np.full(4, 0.001)).tolist() == expected
    assert POST.below(points[2:3], np.array([0.0065])).all()  # 6 mm off the face
    assert not POST.below(points[2:3], np.array([0.0055])).any()


def test_the_palm_meets_what_is_grasped_too_deep() -> None:
    assert not hits(POST, 0.10 - 0.04, 0.04)  # 40 mm deep: 20 mm before the knuckles
    assert hits(POST, 0.10 - 0.07, 0.04)


@pytest.mark.parametrize(("opening", "collides"), [(0.018, True), (0.030, False), (0.085, False)])
def test_fingers(opening: float, collides: bool) -> None:
    assert hits(POST, 0.08, opening) == collides


def test_a_finger_wholly_inside() -> None:
    assert hits(field(box(0.2, 0.2, 0.2)), -0.02, 0.02)


def test_off_the_middle_a_finger_hits() -> None:
    assert hits(POST, 0.08, 0.04, aside=0.012)
    assert not hits(POST, 0.08, 0.04, aside=0.005)


def test_thin_walls_are_seen() -> None:
    wall = field(box(0.1, 0.001, 0.1))
    assert hits(wall, 0.03, 0.04)
    across = se3.rpy_matrix(0.0, 0.0, np.pi / 2) @ DOWN
    assert not CELLS.hits(wall, across[None], np.array([[0.0, 0.0, 0.03]]), np.array([0.02]))[0]


def test_the_balls_lie_in_the_boxes() -> None:
    centres, sizes = GRIPPER.boxes(0.0)
    boxed = np.abs(CELLS.centres[:, None] - centres) + CELLS.radii[:, None, None] <= sizes / 2 + 1e-6
    assert boxed.all(axis=2).any(axis=1).all()
    assert set(CELLS.side.tolist()) == {-1.0, 0.0, 1.0}
