from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_learning.scenes.obstacles import FAR, STEP, Obstacles
from test.grasp_learning.scenes.shapes import ball

EXACT = np.sqrt(3.0) * STEP / 2.0 + 0.0016  # m: off the grid point, and between surface points


LEFT, RIGHT = ((0.0, 0.0, 0.03), 0.03), ((0.07, 0.0, 0.02), 0.02)
WALL = (np.array([0.03, 0.06, 0.03]), np.array([0.10, 0.01, 0.06]))
SCENE = Obstacles([ball(*LEFT), ball(*RIGHT)], [WALL])
WITHOUT = [SCENE.without(0), SCENE.without(1)]


@settings(max_examples=100)
@given(
    st.integers(0, 1),
    st.tuples(st.floats(-0.1, 0.15), st.floats(-0.1, 0.15), st.floats(-0.1, 0.15)),
)
def test_distances(left_out: int, point: tuple[float, float, float]) -> None:
    centre, radius = (RIGHT, LEFT)[left_out]
    to_ball = abs(np.linalg.norm(np.subtract(point, centre)) - radius)
    to_wall = np.linalg.norm(np.maximum(np.abs(point - WALL[0]) - WALL[1] / 2.0, 0.0))
    wanted = min(to_ball, to_wall, FAR)
    found = SCENE.distance(WITHOUT[left_out], np.array([point], dtype=np.float32))[0]
    assert found == pytest.approx(wanted, abs=EXACT)


def test_an_object_does_not_stand_in_its_own_way() -> None:
    top = np.array([[0.0, 0.0, 0.06]], dtype=np.float32)
    assert SCENE.distance(WITHOUT[0], top)[0] == pytest.approx(FAR, abs=EXACT)
    assert SCENE.distance(WITHOUT[1], top)[0] < EXACT
