"""The numbers of a run: success and declutter rate with intervals, why it failed, how fast, how well calibrated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from grasp_core.errors import InputError
from grasp_eval.bench import records
from grasp_eval.bench.calibration import calibration
from grasp_eval.bench.intervals import means, plain_share, shares
from grasp_eval.bench.records import Attempt, Round, RunConfig
from grasp_eval.results import timing_row

# Rounds that ended like this say nothing, or less than they should; shown apart, never counted as attempts.
BROKEN = (records.DETECTOR_ERROR, records.DETECTOR_TIMEOUT, records.WORKER_DIED, records.SCENE_ERROR)
UNPHYSICAL_LIMIT = 0.01  # of the attempts: above it the bed is not to be believed
ORACLE_LIMIT = 0.97  # least success rate of grasps made from the true meshes
OCCLUSION_BINS = (0.0, 0.3, 0.6, 0.9, 1.0)
FINE_OCCLUSION_BINS = tuple(round(0.1 * i, 1) for i in range(11))
UNKNOWN = "unknown"
# The first look of a round that the detector broke off: failing where it is hard must not raise the means.
_NOTHING = dict.fromkeys(("grasps", "grasps_per_object", "covered_objects", "covered_surface", "ap"), 0)
_FIRST = ("grasps", "points", "visible", "grasps_per_object", "covered_objects", "covered_surface", "ap")


def summarise(config: RunConfig, rounds: Sequence[Round], attempts: Sequence[Attempt]) -> dict[str, Any]:
    """All numbers of a run, JSON-able and without NaN: None where something is undefined.

    Rounds that ended in a scene error are left out of everything but their count. Objects of rounds that the detector
    broke off count as not cleared. In target-driven rounds the target alone is to be cleared. An unphysical attempt is
    a failed one.

    Returns:
        ``rounds`` (done, counted, endings, broken), ``attempts``, ``gsr`` and ``dr`` (see ``intervals.shares``),
        ``targets`` (whether dr counts targets), ``reasons``, ``unphysical`` (share, limit, within, kinds), ``touched``,
        ``moved``, ``slip``, ``penetration``, ``families``, ``lost``, ``looks``, ``skips``, ``first``, ``occlusion``,
        ``occlusion_fine``, ``calibration``, ``timings``, ``attempts_per_minute`` (of one worker, by the time spent on
        all but the detector; and on physics alone).

    Raises:
        InputError: a round twice, or an attempt of a round that is not there.
    """
    _check(rounds, attempts)
    endings = Counter(r.ended or "unfinished" for r in rounds)
    counted = [r for r in rounds if r.ended != records.SCENE_ERROR]
    attempts = counted_attempts(rounds, attempts)
    tally = _Tally({r.round: i for i, r in enumerate(counted)}, attempts)
    times = _stage_ms(counted)
    main = shares(
        {
            "gsr": (tally(lambda a: a.success), tally()),
            "dr": ([cleared_goals(r) for r in counted], goal_counts(config, counted)),
            "unphysical": (tally(_unphysical), tally()),
            "touched": (tally(lambda a: bool(a.touched)), tally()),
            "moved": (tally(lambda a: bool(a.moved)), tally()),
        }
    )
    return {
        "detector": config.detector,
        "rounds": {
            "done": len(rounds),
            "counted": len(counted),
            "endings": _in_order(endings, records.ENDINGS),
            "broken": {name: endings[name] for name in BROKEN if endings[name]},
        },
        "attempts": len(attempts),
        **main,
        "targets": any(r.target for r in counted),
        "reasons": _in_order(Counter(a.reason for a in attempts), records.REASONS),
        "unphysical": main["unphysical"] | _physics(main["unphysical"]["rate"], attempts),
        "slip": _spread([a.slip for a in attempts if a.slip is not None]),
        "penetration": max((a.penetration for a in attempts), default=None),
        "families": _families(counted, attempts, tally),
        "lost": sum(len(r.lost) for r in counted),
        "looks": sum(r.looks for r in counted),
        "skips": sum(r.skips for r in counted),
        "first": _first_looks(counted),
        "occlusion": occlusion_curve(counted, OCCLUSION_BINS),
        "occlusion_fine": occlusion_curve(counted, FINE_OCCLUSION_BINS),
        "calibration": calibration(
            [a.score for a in attempts], [a.success for a in attempts], [a.round for a in attempts]
        ),
        "timings": [timing_row(stage, ms) for stage, ms in times.items() if ms],
        "attempts_per_minute": _throughput(times, len(attempts)),
    }


def counted_attempts(rounds: Sequence[Round], attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those of rounds that count: not of rounds that ended in a scene error."""
    left_out = {r.round for r in rounds if r.ended == records.SCENE_ERROR}
    return [a for a in attempts if a.round not in left_out]


def cleared_goals(of: Round) -> int:
    """How many of the objects that were to be taken out of a scene were: the target alone where there is one."""
    return len(set([of.target] if of.target else of.objects) & set(of.cleared))


def goal_counts(config: RunConfig, rounds: Sequence[Round]) -> list[int]:
    """How many objects were to be taken out in each round.

    A worker that died did not say what was in its scene. Such a round counts with as many objects as were asked for,
    or as the fullest other round has, so that dying early never makes a declutter rate better.
    """
    targets = any(r.target for r in rounds)
    usual = 1 if targets else config.count or max((len(r.objects) for r in rounds), default=0)
    return [
        1 if r.target else usual if r.ended in BROKEN and (targets or not r.objects) else len(r.objects) for r in rounds
    ]


class _Tally:
    """Counts attempts per round: (rounds,) array, in the order of the counted rounds."""

    def __init__(self, row: dict[int, int], attempts: Sequence[Attempt]) -> None:
        self._rounds, self._attempts = len(row), attempts
        self._rows = np.array([row[a.round] for a in attempts], dtype=np.int64)

    def __call__(self, condition=lambda attempt: True) -> np.ndarray:
        chosen = np.array([bool(condition(a)) for a in self._attempts], dtype=bool)
        return np.bincount(self._rows[chosen], minlength=self._rounds)


def _check(rounds: Sequence[Round], attempts: Sequence[Attempt]) -> None:
    numbers = Counter(r.round for r in rounds)
    twice = [n for n, count in numbers.items() if count > 1]
    if twice:
        raise InputError(f"round {twice[0]} is there {numbers[twice[0]]} times; a round is written once")
    strays = sorted({a.round for a in attempts} - set(numbers))
    if strays:
        raise InputError(
            f"attempts of round {strays[0]} without its round ({len(strays)} such); drop them or run it again"
        )


def _unphysical(attempt: Attempt) -> bool:
    return bool(attempt.unphysical) or attempt.reason == records.UNPHYSICAL


def _in_order(counts: Counter, order: Sequence[str]) -> dict[str, int]:
    """Known keys in their order, then unknown ones; only what occurs."""
    names = [n for n in order if counts[n]] + sorted(set(counts) - set(order))
    return {name: counts[name] for name in names}


def _physics(rate: float | None, attempts: Sequence[Attempt]) -> dict[str, Any]:
    kinds = Counter(a.unphysical or UNKNOWN for a in attempts if _unphysical(a))
    within = None if rate is None else rate <= UNPHYSICAL_LIMIT
    return {"limit": UNPHYSICAL_LIMIT, "within": within, "kinds": dict(kinds.most_common())}


def _spread(values: Sequence[float]) -> dict[str, Any]:
    if not len(values):
        return {"n": 0, "mean": None, "median": None, "p95": None}
    median, p95 = np.percentile(values, (50, 95))
    return {"n": len(values), "mean": float(np.mean(values)), "median": float(median), "p95": float(p95)}


def _families(rounds: Sequence[Round], attempts: Sequence[Attempt], tally: _Tally) -> dict[str, Any]:
    """Family -> share of successful attempts at its objects, with ``objects``: share of them that was cleared."""
    of = {(r.round, name): family for r in rounds for name, family in zip(r.objects, r.families, strict=True)}
    family = {id(a): of.get((a.round, a.expected), UNKNOWN) for a in attempts}
    there = Counter(of.values())
    cleared = Counter(of[r.round, n] for r in rounds for n in r.cleared if (r.round, n) in of)
    names = sorted(there) + ([UNKNOWN] if UNKNOWN in family.values() and UNKNOWN not in there else [])
    columns = {
        name: (tally(lambda a, n=name: a.success and family[id(a)] == n), tally(lambda a, n=name: family[id(a)] == n))
        for name in names
    }
    return {n: s | {"objects": plain_share(cleared[n], there[n])} for n, s in shares(columns).items()}


def _first_looks(rounds: Sequence[Round]) -> dict[str, Any]:
    """Means over rounds of what the first look gave, shares of grasps that AP found wrong, AP by friction."""
    nothing = _NOTHING if any("ap" in r.first for r in rounds) else {}
    firsts = [r.first or (nothing if r.ended in BROKEN else {}) for r in rounds]
    ap_mu = [{str(mu): value for mu, value in first.get("ap_mu", {}).items()} for first in firsts]  # read back: strings
    frictions = sorted({mu for values in ap_mu for mu in values}, key=float)
    by_friction = {
        mu: [0.0 if first is _NOTHING else values.get(mu) for first, values in zip(firsts, ap_mu, strict=True)]
        for mu in frictions
    }
    considered = [first.get("considered", 0) for first in firsts]
    wrong = {name: ([first.get(name, 0) for first in firsts], considered) for name in ("colliding", "empty")}
    looks = means({name: [first.get(name) for first in firsts] for name in _FIRST})
    return looks | shares(wrong) | {"ap_mu": means(by_friction)}


def occlusion_curve(rounds: Sequence[Round], edges: Sequence[float]) -> list[dict[str, Any]]:
    """Share of rounds whose target was picked, by how hidden it was in the first look.

    Returns:
        One entry per bin [low, high), the last one with its end: low, high and what ``intervals.plain_share`` gives.
        Empty when no round has a target.
    """
    known = [r for r in rounds if r.target and r.occlusion is not None]
    if not known:
        return []
    bins = np.searchsorted(edges[1:-1], [r.occlusion for r in known], side="right")
    picked = np.array([r.target in r.cleared for r in known])
    return [
        {"low": low, "high": high} | plain_share(int(picked[bins == b].sum()), int((bins == b).sum()))
        for b, (low, high) in enumerate(pairwise(edges))
    ]


def _stage_ms(rounds: Sequence[Round]) -> dict[str, list[float]]:
    """Times of every call by stage, ms, in the order of the stages."""
    found: dict[str, list[float]] = {}
    for r in rounds:
        for stage, ms in r.timings_ms.items():
            found.setdefault(stage, []).extend(np.atleast_1d(ms).tolist())
    return found


def _throughput(times: dict[str, list[float]], attempts: int) -> dict[str, float | None]:
    spent = {stage: sum(ms) for stage, ms in times.items()}

    def rate(ms: float) -> float | None:
        return 60_000.0 * attempts / ms if ms > 0 and attempts else None

    without = spent.get("round", 0.0) - spent.get("detect", 0.0)
    return {"without_detector": rate(without), "physics": rate(spent.get("physics", 0.0))}
