"""What scores of the dense detector mean: a logistic model of grasps that were executed on the benchmark bed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from grasp_core.errors import InputError
from grasp_eval.bench.calibration import calibration
from grasp_eval.bench.records import UNPHYSICAL, Attempt
from grasp_eval.bench.store import StoredRun
from grasp_perception.dense.params import DenseParams
from grasp_perception.dense.ranking import Ranking, factors

LEAST = 200  # attempts, of which a tenth has to be of the rarer outcome
FOLDS = 5
_RIDGE = 0.05


@dataclass(frozen=True)
class Executed:
    """N attempts.

    factors: (N, 3), see ``ranking.factors``. offset: (N,) log-odds from stability. held: (N,). group: (N,) rounds.
    """

    factors: NDArray[np.float64]
    offset: NDArray[np.float64]
    held: NDArray[np.bool_]
    group: NDArray[np.int64]


@dataclass(frozen=True)
class Fit:
    """A ranking; on rounds left out: area under the ROC curve, log loss and ECE, before and after."""

    ranking: Ranking
    attempts: int
    held: int
    before: dict[str, float]
    after: dict[str, float]


def executed(runs: Sequence[StoredRun], weights: Path) -> Executed:
    """The attempts of runs of the dense detector with those weights and ``calibrated: false``.

    Raises:
        InputError: runs of another detector, of other weights, of calibrated scores; or too few attempts.
    """
    rows: list[tuple[Attempt, DenseParams]] = []
    groups: list[int] = []
    for number, run in enumerate(runs):
        params = _params(run, weights)
        mine = [attempt for attempt in run.attempts if attempt.reason != UNPHYSICAL]
        rows += [(attempt, params) for attempt in mine]
        groups += [number * 1_000_000 + attempt.round for attempt in mine]
    held = np.array([attempt.success for attempt, _ in rows], dtype=bool)
    if min(held.sum(), (~held).sum()) < 0.1 * LEAST or len(rows) < LEAST:
        raise InputError(
            f"{len(rows)} attempts, {held.sum()} of them held: at least {LEAST} are needed, and {LEAST // 10} of "
            "either outcome; add --rounds to the runs"
        )
    score, steady, depth, width, weight = np.array(
        [(a.score, a.stability, a.depth, a.width - 2 * p.clearance, p.stability_weight) for a, p in rows]
    ).T
    log_steady = np.log(np.maximum(steady, 0.01))
    odds = np.log(score) - np.log1p(-np.minimum(score, 1 - 1e-9)) - weight * log_steady
    raw = torch.sigmoid(torch.from_numpy(odds))
    parts = factors(raw, torch.from_numpy(depth), torch.from_numpy(width))
    offset = DenseParams().stability_weight * log_steady
    return Executed(torch.stack(parts, dim=1).numpy(), offset, held, np.array(groups))


def fit(data: Executed) -> Fit:
    """Fit a ranking, and judge it on rounds that it was not fitted to."""
    folds = np.unique(data.group, return_inverse=True)[1] % FOLDS
    odds = np.zeros(len(data.held))
    for fold in range(FOLDS):
        out = folds == fold
        odds[out] = _odds(_weights(data, ~out), data, out)
    every = np.ones(len(data.held), dtype=bool)
    bias, score, depth, thickness = _weights(data, every).tolist()
    ranking = Ranking(bias=bias, score=score, depth=depth, thickness=thickness)
    as_it_is = np.array([0.0, 1.0, 0.0, 0.0])
    before = _judged(_odds(as_it_is, data, every), data)
    return Fit(ranking, len(data.held), int(data.held.sum()), before, _judged(odds, data))


def _params(run: StoredRun, weights: Path) -> DenseParams:
    if run.config.detector != "dense":
        raise InputError(f"{run.folder}: a run of {run.config.detector!r}; calibrating needs runs of 'dense'")
    given = dict(run.config.detector_params)
    used = given.pop("weights", None)
    if used is None or Path(used).resolve() != weights.resolve():
        raise InputError(f"{run.folder}: its weights are {used or 'the shipped ones'}, not {weights}")
    params = DenseParams.create(**given)
    if params.calibrated:
        raise InputError(f"{run.folder}: its scores are calibrated; run it with --detector-param calibrated=false")
    return params


def _weights(data: Executed, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Bias and weights (4,) with the least log loss; weights are not negative: no factor speaks against a grasp."""
    sign = np.where(data.held[rows], 1.0, -1.0)

    def loss(w: NDArray[np.float64]) -> float:
        return float(np.logaddexp(0.0, -sign * _odds(w, data, rows)).sum() + _RIDGE * (w[1:] ** 2).sum())

    bounds = [(None, None), (0.0, None), (0.0, None), (0.0, None)]
    return minimize(loss, np.array([0.0, 1.0, 0.0, 0.0]), bounds=bounds, method="L-BFGS-B").x


def _odds(weights: NDArray[np.float64], data: Executed, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    return weights[0] + data.factors[rows] @ weights[1:] + data.offset[rows]


def _judged(odds: NDArray[np.float64], data: Executed) -> dict[str, float]:
    held, p = data.held, 1.0 / (1.0 + np.exp(-odds))
    order = np.argsort(np.argsort(odds, kind="stable"), kind="stable") + 1
    n = int(held.sum())
    auc = (order[held].sum() - n * (n + 1) / 2) / (n * (len(held) - n))
    loss = np.logaddexp(0.0, np.where(held, -odds, odds)).mean()
    return {"auc": float(auc), "log_loss": float(loss), "ece": float(calibration(p, held, data.group)["ece"])}
