"""Do scores mean what they say? Expected calibration error, Brier score and the reliability table behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasp_core.errors import InputError
from grasp_eval.bench.intervals import LEVEL, RESAMPLES, SEED, resampled_sums
from grasp_eval.results import wilson

BINS = 15  # as Guo et al., On Calibration of Modern Neural Networks, ICML 2017
ENOUGH = 100  # attempts; with fewer the error is mostly noise
_DRAWS = 2000  # of a perfectly calibrated detector


def calibration(scores: Sequence[float], successes: Sequence[bool], rounds: Sequence[int] | None = None) -> dict:
    """Calibration of scores against outcomes.

    Args:
        scores: (N,) in [0, 1]. successes: (N,). rounds: (N,) which round each belongs to; None: one each.

    Returns:
        JSON-able: ``n``; ``ece`` = sum over bins of n_b/n |rate_b - mean score_b| in 15 equal-width bins (0, 1/15] and
        so on, 0 itself in the first; ``ece_interval``, 95 %, bootstrap over rounds (None for fewer than two), pivotal,
        and down to 0 where chance alone explains the error; ``ece_floor``, what a perfectly calibrated detector
        with these scores would show on average, by chance alone; ``ece_equal_count``, the same in bins of equal count;
        ``brier`` = mean (score - success)^2; ``table`` and ``table_equal_count``: non-empty bins as low, high, n,
        score, rate, wilson; ``warning``, empty or why this says little. Numbers are None without attempts.

    Raises:
        InputError: lengths differ, or a score outside [0, 1].
    """
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(successes, dtype=np.float64)
    group = np.arange(len(s)) if rounds is None else np.asarray(rounds)
    _check(s, y, group)
    warning = f"only {len(s)} attempts: with fewer than {ENOUGH} the calibration error is mostly noise"
    result: dict[str, Any] = {
        **{"n": len(s), "ece": None, "ece_interval": None, "ece_floor": None, "ece_equal_count": None, "brier": None},
        **{"table": [], "table_equal_count": [], "warning": warning if len(s) < ENOUGH else ""},
    }
    if len(s) == 0:
        return result
    edges = np.linspace(0.0, 1.0, BINS + 1)
    equal, counted = equal_width_bins(s), equal_count_bins(s)
    by_chance = _errors_by_chance(equal, s)
    return result | {
        "ece": calibration_error(equal, s, y),
        "ece_interval": _ece_interval(equal, s, y, group, float(np.percentile(by_chance, LEVEL[1]))),
        "ece_floor": float(by_chance.mean()),
        "ece_equal_count": calibration_error(counted, s, y),
        "brier": float(np.mean((s - y) ** 2)),
        "table": _table(equal, s, y, edges[:-1], edges[1:]),
        "table_equal_count": _table(counted, s, y, *_count_edges(counted, s)),
    }


def equal_width_bins(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of each score (N,): i where i/15 < score <= (i+1)/15; 0 belongs to the first."""
    return np.searchsorted(np.linspace(0.0, 1.0, BINS + 1)[1:-1], scores, side="left")


def equal_count_bins(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of each score (N,) in up to 15 bins of as equal counts as possible; equal scores share a bin."""
    cuts = np.sort(scores)[np.arange(1, BINS) * len(scores) // BINS]
    return np.unique(np.searchsorted(cuts, scores, side="right"), return_inverse=True)[1]


def calibration_error(bins: NDArray[np.int64], scores: NDArray[np.float64], successes: NDArray[np.float64]) -> float:
    """Sum over bins of |sum of successes - sum of scores| / N, which is n_b/N |rate_b - mean score_b| summed."""
    return float(np.abs(np.bincount(bins, successes - scores)).sum() / len(scores))


def _ece_interval(
    bins: NDArray[np.int64],
    scores: NDArray[np.float64],
    successes: NDArray[np.float64],
    rounds: NDArray,
    chance: float,
) -> list[float] | None:
    _, row = np.unique(rounds, return_inverse=True)
    n = int(row.max()) + 1
    if n < 2:
        return None
    gaps = np.bincount(row * BINS + bins, successes - scores, minlength=n * BINS).reshape(n, BINS)
    sums = resampled_sums(np.column_stack([gaps, np.bincount(row)]))
    low, high = np.percentile(np.abs(sums[:, :-1]).sum(axis=1) / sums[:, -1], LEVEL)
    ece = calibration_error(bins, scores, successes)
    # A bootstrapped error is biased upwards just as the error itself is, so the interval is mirrored at the estimate.
    # That still misses a true error of 0 about every other time, where it is a sum of nothing but noise.
    return [0.0 if ece <= chance else float(np.clip(2 * ece - high, 0.0, ece)), float(np.clip(2 * ece - low, ece, 1.0))]


def _errors_by_chance(bins: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Calibration errors that perfectly calibrated scores show in as many attempts."""
    order = np.argsort(bins, kind="stable")
    scores, starts = scores[order], np.flatnonzero(np.diff(bins[order], prepend=-1))
    rng = np.random.default_rng(SEED)
    draws = min(_DRAWS, max(100, RESAMPLES * 400 // len(scores)))
    errors = [np.abs(np.add.reduceat((rng.random(len(scores)) < scores) - scores, starts)).sum() for _ in range(draws)]
    return np.array(errors) / len(scores)


def _count_edges(bins: NDArray[np.int64], scores: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    low, high = np.full(bins.max() + 1, np.inf), np.full(bins.max() + 1, -np.inf)
    np.minimum.at(low, bins, scores)
    np.maximum.at(high, bins, scores)
    return low, high


def _table(bins: NDArray, scores: NDArray, successes: NDArray, low: NDArray, high: NDArray) -> list[dict[str, Any]]:
    n = np.bincount(bins, minlength=len(low))
    score, good = (np.bincount(bins, v, minlength=len(low)) for v in (scores, successes))
    return [
        {
            **{"low": float(low[b]), "high": float(high[b]), "n": int(n[b])},
            **{"score": float(score[b] / n[b]), "rate": float(good[b] / n[b])},
            "wilson": list(wilson(int(good[b]), int(n[b]))),
        }
        for b in np.flatnonzero(n)
    ]


def _check(scores: NDArray, successes: NDArray, rounds: NDArray) -> None:
    if scores.ndim != 1 or scores.shape != successes.shape or scores.shape != rounds.shape:
        raise InputError(
            f"calibration: expected as many scores as successes and rounds, got {scores.shape}, {successes.shape} and "
            f"{rounds.shape}"
        )
    if not np.all((scores >= 0) & (scores <= 1)):
        raise InputError("calibration: a score is not in [0, 1]; scores are compared with success rates")
