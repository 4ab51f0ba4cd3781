"""Temporal stability of grasps: hand-made frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_core import se3
from grasp_core.grasps import Grasps
from grasp_eval.bench.stability import Stability, stability


def frame(count=20, seed=0, offset=(0.0, 0.0, 0.0), turn=None, scores=None):
    """Grasps 10 cm apart with falling scores, all shifted and turned."""
    rng = np.random.default_rng(seed)
    R = np.stack([se3.rpy_matrix(*rng.uniform(-3, 3, 3)) for _ in range(count)]).reshape(-1, 3, 3) @ (
        np.eye(3) if turn is None else turn
    )
    t = np.arange(count)[:, None] * [0.1, 0.0, 0.0] + np.asarray(offset)
    score = np.linspace(0.9, 0.1, count) if scores is None else scores
    return Grasps.create(R, t, np.full(count, 0.05), score=score)


def test_identical_frames():
    assert stability(frame(), frame()) == Stability(1.0, 1.0, 0.0)


def test_a_shift_by_5_mm_is_the_displacement():
    found = stability(frame(), frame(offset=(0.003, 0.0, 0.004)))
    assert (found.among_all, found.among_top) == (1.0, 1.0)
    assert found.displacement == pytest.approx(0.005, abs=1e-6)


@given(shift=st.floats(0.0, 0.03), angle=st.floats(0.0, 0.6), swapped=st.booleans())
def test_what_is_near_and_turned_little_is_the_same(shift, angle, swapped):
    if abs(shift - 0.01) < 1e-5 or abs(angle - np.deg2rad(15)) < 1e-5:
        return
    turn = se3.rpy_matrix(angle, 0.0, 0.0) @ (np.diag([-1.0, -1.0, 1.0]) if swapped else np.eye(3))
    found = stability(frame(), frame(offset=(0.0, shift, 0.0), turn=turn))
    assert found.among_all == (1.0 if shift < 0.01 and angle < np.deg2rad(15) else 0.0)


def test_swapped_fingers_are_the_same_grasp():
    assert stability(frame(), frame(turn=np.diag([-1.0, -1.0, 1.0]))) == Stability(1.0, 1.0, 0.0)


def test_a_hand_turned_over_is_another_grasp():
    assert stability(frame(), frame(turn=np.diag([1.0, -1.0, -1.0]))).among_all == 0.0


def test_disjoint_frames():
    assert stability(frame(), frame(offset=(0.0, 0.5, 0.0))) == Stability(0.0, 0.0, None)


def test_grasps_that_lost_their_rank_are_only_found_among_all():
    after = frame(scores=np.linspace(0.1, 0.9, 20))
    assert stability(frame(), after) == Stability(1.0, 0.0, 0.0)


def test_the_order_of_the_arrays_does_not_matter():
    rows = np.random.default_rng(1).permutation(20)
    assert stability(frame()[rows], frame()) == Stability(1.0, 1.0, 0.0)


def test_half_of_them_gone():
    assert stability(frame(), frame()[5:]).among_all == 0.5


def test_without_grasps():
    none = Grasps.empty()
    assert stability(none, frame()) is None
    assert stability(frame(), none) == Stability(0.0, 0.0, None)
