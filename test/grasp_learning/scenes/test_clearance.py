from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_learning.scenes.clearance import ABOVE_SUPPORT, SWEEP, Clearance
from grasp_learning.scenes.obstacles import Obstacles
from test.grasp_learning.scenes.shapes import ball
from test.grasp_learning.things import DOWN, GRIPPER

RADIUS = 0.006  # m
SPOT = ball((0.0, 0.0, 0.0), RADIUS)  # the smallest thing that cannot slip between the balls of the hand
HAND = Clearance(GRIPPER)
OPENING = 0.04
SCENE = Obstacles([SPOT + np.float32(0.3), SPOT], [])
VALUES = SCENE.without(0)
SLACK = 0.007  # m: margin and grid, rounded up


def free(R: np.ndarray, t: np.ndarray) -> bool:
    poses = np.float32(R)[None], np.float32(t)[None], np.full(1, OPENING, dtype=np.float32)
    return bool(HAND.free(SCENE, VALUES, *poses)[0])


def distance(R: np.ndarray, t: np.ndarray) -> float:
    """From the middle of the spot to the hand's boxes, with the way back; negative inside."""
    centres, sizes = GRIPPER.boxes(OPENING)
    sizes = np.array(sizes)
    centres[2:, 2] -= SWEEP / 2.0
    sizes[2:, 2] += SWEEP
    out = np.abs(-R.T @ t - centres) - sizes / 2.0
    return float((np.linalg.norm(np.maximum(out, 0.0), axis=1) + np.minimum(out.max(axis=1), 0.0)).min())


@settings(max_examples=150)
@given(
    st.tuples(*[st.floats(-1.0, 1.0)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1),
    st.tuples(st.floats(-0.09, 0.09), st.floats(-0.06, 0.06), st.floats(-0.25, 0.03)),
)
def test_a_spot_in_the_way(quat: tuple[float, ...], spot: tuple[float, float, float]) -> None:
    w, x, y, z = np.array(quat) / np.linalg.norm(quat)
    R = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    t = -R @ np.array(spot)  # the spot is at ``spot`` in the frame of the hand
    gap = distance(R, t)
    if gap > RADIUS + SLACK:
        assert free(R, t)
    if gap < 0.0:
        assert not free(R, t)


@pytest.mark.parametrize("tilt", [0.0, 0.4, 1.2])
def test_above_the_support(tilt: float) -> None:
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    R = (turn @ DOWN)[None].astype(np.float32)
    centres, sizes = GRIPPER.boxes(OPENING)
    signs = np.stack(np.meshgrid(*[[-0.5, 0.5]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    corners = centres[:, None] + signs * sizes[:, None]
    lowest = (corners @ R[0].T)[..., 2].min()
    opening = np.full(1, OPENING, dtype=np.float32)
    for off, wanted in ((1e-4, True), (-1e-4, False)):
        t = np.array([[0.0, 0.0, 0.3 + ABOVE_SUPPORT - lowest + off]], dtype=np.float32)
        assert HAND.above(R, t, opening, 0.3)[0] == wanted
