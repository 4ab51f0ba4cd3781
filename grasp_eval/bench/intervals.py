"""Intervals and tests for results that come in rounds: attempts of one round share a scene, so rounds are resampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from grasp_core.errors import InputError
from grasp_eval.results import wilson

RESAMPLES = 10_000
SEED = 20_260  # fixed, so that one set of records always gives the same intervals
LEVEL = (2.5, 97.5)  # percentiles of a 95 % interval
_CHUNK = 4_000_000  # drawn indices held at once


def resampled_sums(values: NDArray, resamples: int = RESAMPLES, seed: int = SEED) -> NDArray[np.float64]:
    """Column sums over rounds drawn with replacement.

    Args:
        values: (N, C) one row per round, N >= 1.

    Returns:
        (resamples, C); equal N and seed draw the same rounds, which is what pairs two runs.
    """
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    if values.ndim != 2 or n == 0:
        raise InputError(f"resampling needs values of shape (rounds >= 1, columns), got {values.shape}")
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // n)
    sums = []
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = rng.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        sums.append(np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n) @ values)
    return np.concatenate(sums)


def ratio_intervals(parts: NDArray, wholes: NDArray) -> list[list[float] | None]:
    """95 % percentile bootstrap intervals of sum(parts) / sum(wholes) over rounds.

    Args:
        parts, wholes: (N, C) one row per round, one column per ratio.

    Returns:
        [low, high] of each column; None where fewer than two rounds say anything, because one round says nothing about
        the spread. Resamples that drew nothing but rounds without a whole are left out.
    """
    wholes = np.asarray(wholes, dtype=np.float64)
    if len(wholes) == 0:
        return [None] * wholes.shape[1]
    sums = resampled_sums(np.hstack([parts, wholes]))
    above, below = np.hsplit(sums, 2)
    enough = np.count_nonzero(wholes, axis=0) >= 2
    return [percentile_interval(above[b > 0, c] / b[b > 0]) if enough[c] else None for c, b in enumerate(below.T)]


def percentile_interval(values: NDArray[np.float64]) -> list[float]:
    """[2.5th, 97.5th percentile] of bootstrapped values (B,)."""
    low, high = np.percentile(values, LEVEL)
    return [float(low), float(high)]


def shares(columns: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> dict[str, dict[str, Any]]:
    """Proportions with both intervals.

    Args:
        columns: name -> (parts, wholes), counts with one entry per round, parts <= wholes.

    Returns:
        For each name: count, of, rate (None without trials), wilson (None without trials; it takes trials for
        independent and so is rather narrow, but it has a width at 0 and 100 %, where the bootstrap has none) and
        interval (bootstrap over rounds, or None).
    """
    if not columns:
        return {}
    parts, wholes = (np.array([pair[i] for pair in columns.values()], dtype=np.float64).T for i in (0, 1))
    intervals = ratio_intervals(parts, wholes)
    counts = zip(columns, parts.sum(axis=0), wholes.sum(axis=0), intervals, strict=True)
    return {name: plain_share(int(count), int(of)) | {"interval": interval} for name, count, of, interval in counts}


def means(columns: Mapping[str, Sequence[float | None]]) -> dict[str, dict[str, Any]]:
    """Means over the rounds that have a value.

    Args:
        columns: name -> one value per round, None where the round has none.

    Returns:
        For each name: mean (None without values), n, interval (bootstrap over rounds, None for fewer than two values).
    """
    if not columns:
        return {}
    known = np.array([[v is not None for v in values] for values in columns.values()], dtype=np.float64).T
    filled = np.array([[v or 0.0 for v in values] for values in columns.values()], dtype=np.float64).T
    totals, counts, intervals = filled.sum(axis=0), known.sum(axis=0), ratio_intervals(filled, known)
    return {
        name: {
            "mean": float(totals[c] / counts[c]) if counts[c] else None,
            "n": int(counts[c]),
            "interval": intervals[c],
        }
        for c, name in enumerate(columns)
    }


def plain_share(count: int, of: int) -> dict[str, Any]:
    """count, of, rate and Wilson interval (both None without trials)."""
    if not of:
        return {"count": count, "of": of, "rate": None, "wilson": None}
    rate, (low, high) = count / of, wilson(count, of)
    return {"count": count, "of": of, "rate": rate, "wilson": [min(low, rate), max(high, rate)]}  # rounding at 0 and 1


def sign_test(better: int, worse: int) -> float:
    """Two-sided exact sign test (for yes/no results: exact McNemar test); ties are left out; 1.0 without any round."""
    if better + worse == 0:
        return 1.0
    return float(binomtest(better, better + worse, 0.5).pvalue)
