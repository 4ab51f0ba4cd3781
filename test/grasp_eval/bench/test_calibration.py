"""Calibration: hand-computed cases, edges of bins, what perfect and useless scores give."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.errors import InputError
from grasp_eval.bench.calibration import BINS, calibration, equal_count_bins, equal_width_bins


def test_by_hand():
    """Bins (12/15, 13/15] with 0.81, 0.85 and (3/15, 4/15] with 0.25, 0.25."""
    found = calibration([0.81, 0.85, 0.25, 0.25], [True, False, False, False])
    # 2/4 |0.5 - 0.83| + 2/4 |0 - 0.25|
    assert found["ece"] == pytest.approx(0.5 * 0.33 + 0.5 * 0.25)
    assert found["brier"] == pytest.approx((0.19**2 + 0.85**2 + 2 * 0.25**2) / 4)
    assert [(row["n"], row["score"], row["rate"]) for row in found["table"]] == [
        (2, pytest.approx(0.25), 0.0),
        (2, pytest.approx(0.83), 0.5),
    ]


def test_opposite_errors_in_one_bin_cancel_but_not_across_bins():
    assert calibration([0.5, 0.5], [True, False])["ece"] == pytest.approx(0.0)
    assert calibration([0.0, 1.0], [True, False])["ece"] == pytest.approx(1.0)


@pytest.mark.parametrize(("score", "expected"), [(0.0, 0), (1 / 15, 0), (0.0667, 1), (0.2, 2), (0.5, 7), (1.0, 14)])
def test_bins_are_closed_above(score, expected):
    assert equal_width_bins(np.array([score])) == [expected]


def test_nothing_gives_nothing():
    found = calibration([], [])
    assert found["ece"] is None
    assert found["brier"] is None
    assert found["table"] == []
    assert "0 attempts" in found["warning"]
    json.dumps(found, allow_nan=False)


def test_warns_below_a_hundred():
    assert "99 attempts" in calibration([0.5] * 99, [True] * 99)["warning"]
    assert calibration([0.5] * 100, [True] * 100)["warning"] == ""


def test_calibrated_scores_are_at_the_floor_and_overconfident_ones_far_above():
    rng = np.random.default_rng(3)
    scores = rng.random(1500)
    good = calibration(scores, rng.random(1500) < scores, np.arange(1500) // 5)
    assert good["ece"] < 2 * good["ece_floor"]
    assert good["ece_interval"][0] == 0.0
    bad = calibration(scores, rng.random(1500) < scores**3, np.arange(1500) // 5)
    assert bad["ece"] > 5 * bad["ece_floor"]
    assert bad["ece_interval"][0] > 0.15


def test_ece_of_constant_scores_is_the_difference_of_means():
    found = calibration([0.9] * 200, [True] * 100 + [False] * 100)
    assert found["ece"] == pytest.approx(0.4)
    assert found["ece_equal_count"] == pytest.approx(0.4)
    assert len(found["table_equal_count"]) == 1
    low, high = found["ece_interval"]
    assert low == pytest.approx(0.4 - 1.96 * 0.5 / np.sqrt(200), abs=0.01)
    assert high == pytest.approx(0.4 + 1.96 * 0.5 / np.sqrt(200), abs=0.01)


def test_one_round_has_no_interval_and_whole_rounds_widen_it():
    scores, held = [0.5] * 200, [True] * 100 + [False] * 100
    assert calibration(scores, held, [0] * 200)["ece_interval"] is None
    by_round = calibration(scores, held, np.arange(200) // 10)["ece_interval"]
    alone = calibration(scores, held)["ece_interval"]
    assert by_round[1] - by_round[0] >= alone[1] - alone[0]


SETS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


@settings(max_examples=40, deadline=None)
@given(SETS)
def test_bounds_and_sums(pairs):
    scores, held = map(np.array, zip(*pairs, strict=True))
    found = calibration(scores, held)
    # a bin cannot be wrong by more than the mean of its attempts' own errors
    assert 0.0 <= found["ece"] <= np.abs(scores - held).mean() + 1e-9
    assert abs(scores.mean() - held.mean()) <= found["ece"] + 1e-9
    assert 0.0 <= found["brier"] <= 1.0
    for key in ("table", "table_equal_count"):
        assert sum(row["n"] for row in found[key]) == len(pairs)
        assert sum(row["n"] * row["rate"] for row in found[key]) == pytest.approx(held.sum())
        assert all(row["low"] - 1e-12 <= row["score"] <= row["high"] + 1e-12 for row in found[key])
        error = sum(row["n"] * abs(row["rate"] - row["score"]) for row in found[key]) / len(pairs)
        assert found["ece" if key == "table" else "ece_equal_count"] == pytest.approx(error)
    if found["ece_interval"]:
        assert 0.0 <= found["ece_interval"][0] <= found["ece"] <= found["ece_interval"][1] <= 1.0


@given(st.lists(st.floats(0, 1), min_size=BINS, max_size=200, unique=True))
def test_equal_count_bins_are_equal_and_in_order(scores):
    scores = np.array(scores)
    bins = equal_count_bins(scores)
    counts = np.bincount(bins)
    assert len(counts) == BINS
    assert counts.max() - counts.min() <= 1
    assert np.all(np.diff(bins[np.argsort(scores)]) >= 0)


@pytest.mark.parametrize("score", [-0.01, 1.01, float("nan")])
def test_scores_that_are_no_probabilities_are_refused(score):
    with pytest.raises(InputError, match=r"not in \[0, 1\]"):
        calibration([0.5, score], [True, False])


def test_lengths_must_agree():
    with pytest.raises(InputError, match="as many scores"):
        calibration([0.5], [True, False])


def test_intervals_of_calibrated_scores_reach_down_to_zero():
    """By chance alone the error is never 0; of 20 sets of records all but a few must allow for it all the same."""
    rng = np.random.default_rng(11)
    sets = [(scores, rng.random(150) < scores) for scores in rng.beta(6, 2, (20, 150))]
    reach = [calibration(scores, held, np.arange(150) // 5)["ece_interval"][0] == 0.0 for scores, held in sets]
    assert sum(reach) >= 17
