"""`seegrasp bench compare RUN RUN [...]`: runs on the same scenes, round against round."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasp_core.errors import InputError, SeegraspError
from grasp_eval.bench import figures, records
from grasp_eval.bench.intervals import percentile_interval, resampled_sums, sign_test
from grasp_eval.bench.metrics import cleared_goals, counted_attempts, goal_counts
from grasp_eval.bench.metrics_text import interval
from grasp_eval.bench.records import Round, RunConfig
from grasp_eval.bench.store import StoredRun, load_run
from grasp_eval.report import machine, render, versions
from grasp_eval.results import SaveError, save_error, write_atomic, write_json

GSR, DR, AP = "grasp success rate", "declutter rate", "AP of the first look"
METRICS = (GSR, DR, AP)


def differing_keys(first: RunConfig, second: RunConfig) -> list[str]:
    """Settings by which two runs do not meet the same scenes, as `key (one, other)`; empty when they do."""
    key = first.scene_key()
    names = [f.name for f in fields(RunConfig)]
    pairs = [(name, getattr(first, name), getattr(second, name)) for name in names]
    return [f"{name} ({a!r}, {b!r})" for name, a, b in pairs if replace(first, **{name: b}).scene_key() != key]


def compare(first: StoredRun, second: StoredRun, unpaired: bool = False) -> dict[str, Any]:
    """Second run against the first.

    Args:
        unpaired: allow different scenes; then rounds are not matched, intervals are wider and there is no sign test.

    Returns:
        JSON-able: ``first``, ``second`` (names), ``paired``, ``rounds`` (common ones, or [of first, of second]),
        ``warnings`` and ``metrics``: for grasp success rate, declutter rate and AP each ``first``, ``second`` (rates
        over the rounds that are compared, None when undefined), ``difference`` (second - first), ``interval`` (95 %,
        bootstrap over rounds; the same rounds are drawn for both when paired), and when paired ``better``, ``worse``,
        ``same`` (rounds in which the second was, where both have a value) and ``p`` (two-sided exact sign test; where
        rounds are won or lost, that is the exact McNemar test). Rounds that a detector broke off count, rounds without
        a scene do not; paired AP is over the rounds in which both have one.

    Raises:
        InputError: other scenes (naming the settings) without ``unpaired``, or no common round.
    """
    differing = _differences(first, second)
    if differing and not unpaired:
        raise InputError(
            f"{first.folder} and {second.folder} did not meet the same scenes: they differ in {', '.join(differing)}. "
            "Run them with the same settings, or compare them with --unpaired"
        )
    mine, yours = _columns(first), _columns(second)
    result: dict[str, Any] = {"first": _name(first), "second": _name(second), "paired": not unpaired, "warnings": []}
    if unpaired:
        lists = list(mine.values()), list(yours.values())
        result["rounds"] = [len(rows) for rows in lists]
        result["warnings"].append(
            "not paired: rounds are not matched" + (f"; the runs differ in {', '.join(differing)}" if differing else "")
        )
    else:
        common = sorted(mine.keys() & yours.keys())
        result["rounds"] = len(common)
        if left_out := len(mine.keys() ^ yours.keys()):
            result["warnings"].append(f"left out, because only one of the two has them: {left_out} rounds")
        lists = [mine[n] for n in common], [yours[n] for n in common]
    if not all(lists):
        raise InputError(f"{first.folder} and {second.folder} have no common round to compare; let them run on")
    a, b = (np.array(rows, dtype=np.float64) for rows in lists)  # (rounds, metrics, part and whole)
    if not unpaired:
        _keep_common_looks(a, b)
    result["warnings"] += _other_builds(first, second)
    return result | {"metrics": {name: _metric(a[:, m], b[:, m], not unpaired) for m, name in enumerate(METRICS)}}


def _keep_common_looks(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    """Drop the AP of rounds in which only one has it: else who broke off the hard ones would have the better mean."""
    column = METRICS.index(AP)
    lacking = (a[:, column, 1] == 0) | (b[:, column, 1] == 0)
    a[lacking, column] = b[lacking, column] = 0.0


def _differences(first: StoredRun, second: StoredRun) -> list[str]:
    found = differing_keys(first.config, second.config)
    if not found and first.about.get("protocol") != second.about.get("protocol"):
        found.append(f"the rules of protocol {first.config.protocol!r}, which were changed in between")
    seeds = {r.round: (r.scene_seed, r.objects) for r in first.rounds if r.objects}
    others = [
        r.round for r in second.rounds if r.objects and seeds.get(r.round) not in (None, (r.scene_seed, r.objects))
    ]
    if not found and others:
        found.append(f"the objects of round {others[0]} ({len(others)} such rounds), though their settings are equal")
    return found


def _name(run: StoredRun) -> str:
    return f"{run.config.detector} ({run.folder})"


def _other_builds(first: StoredRun, second: StoredRun) -> list[str]:
    commits = [run.about.get("versions", {}).get("seegrasp") for run in (first, second)]
    return [] if commits[0] == commits[1] else [f"the runs are of different commits: {commits[0]} and {commits[1]}"]


def about_runs(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """Where each run comes from: name, rounds, command, commit, processor."""
    return [
        {
            **{"name": _name(run), "rounds": len(run.rounds), "command": run.about.get("command", "unknown")},
            "commit": run.about.get("versions", {}).get("seegrasp", "unknown"),
            "processor": run.about.get("machine", {}).get("processor", "unknown"),
        }
        for run in runs
    ]


def _columns(run: StoredRun) -> dict[int, list[tuple[float, float]]]:
    """Round -> (part, whole) of each metric; a whole of 0 says that the round has no value."""
    rounds = [r for r in run.rounds if r.ended != records.SCENE_ERROR]
    tried: dict[int, list[bool]] = {r.round: [] for r in rounds}
    for attempt in counted_attempts(run.rounds, run.attempts):
        tried[attempt.round].append(attempt.success)
    return {
        r.round: [(sum(tried[r.round]), len(tried[r.round])), (cleared_goals(r), goals), _ap(r)]
        for r, goals in zip(rounds, goal_counts(run.config, rounds), strict=True)
    }


def _ap(of: Round) -> tuple[float, float]:
    value = of.first.get("ap")
    return (0.0, 0.0) if value is None else (value, 1.0)


def _metric(a: NDArray[np.float64], b: NDArray[np.float64], paired: bool) -> dict[str, Any]:
    """One row of the comparison from parts and wholes per round, (N, 2) and (M, 2), N = M when paired."""
    rates = [_ratio(sums) for sums in (a.sum(axis=0), b.sum(axis=0))]
    known = None not in rates
    row: dict[str, Any] = {
        **{"first": rates[0], "second": rates[1], "difference": rates[1] - rates[0] if known else None},
        "interval": _interval(a, b, paired) if known else None,
    }
    return row | (_signs(a, b) if paired else {})


def _ratio(sums: NDArray[np.float64]) -> float | None:
    return float(sums[0] / sums[1]) if sums[1] else None


def _interval(a: NDArray[np.float64], b: NDArray[np.float64], paired: bool) -> list[float] | None:
    if min(np.count_nonzero(a[:, 1]), np.count_nonzero(b[:, 1])) < 2:
        return None
    if paired:
        sums = resampled_sums(np.hstack([a, b]))
        sums_a, sums_b = sums[:, :2], sums[:, 2:]
    else:
        sums_a, sums_b = resampled_sums(a), resampled_sums(b, seed=1)  # another seed: independent of the first
    usable = (sums_a[:, 1] > 0) & (sums_b[:, 1] > 0)
    sums_a, sums_b = sums_a[usable], sums_b[usable]
    return percentile_interval(sums_b[:, 0] / sums_b[:, 1] - sums_a[:, 0] / sums_a[:, 1])


def _signs(a: NDArray[np.float64], b: NDArray[np.float64]) -> dict[str, Any]:
    both = (a[:, 1] > 0) & (b[:, 1] > 0)
    difference = b[both, 0] / b[both, 1] - a[both, 0] / a[both, 1]
    better, worse = int((difference > 1e-12).sum()), int((difference < -1e-12).sum())
    return {"better": better, "worse": worse, "same": len(difference) - better - worse, "p": sign_test(better, worse)}


def table_lines(comparison: dict[str, Any]) -> list[str]:
    """The table of one comparison for the terminal."""
    rounds = comparison["rounds"]
    count = f"{rounds} common rounds" if comparison["paired"] else f"{rounds[0]} and {rounds[1]} rounds"
    lines = [f"{comparison['second']}  against  {comparison['first']}: {count}"]
    lines += [f"  warning: {text}" for text in comparison["warnings"]]
    for name, row in comparison["metrics"].items():
        if row["difference"] is None:
            lines.append(f"  {name:<22} –")
            continue
        text = f"{100 * row['first']:5.1f} -> {100 * row['second']:5.1f} %  difference {100 * row['difference']:+.1f}"
        text += f" (95 %: {interval(row['interval'])})" if row["interval"] else ""
        if comparison["paired"]:
            text += f"  rounds better {row['better']}, worse {row['worse']}, same {row['same']}, p = {row['p']:.3g}"
        lines.append(f"  {name:<22} {text}")
    return lines


def write(folder: Path, runs: Sequence[StoredRun], comparisons: Sequence[dict[str, Any]], command: str) -> Path:
    """Write compare.json and compare.html; returns the page. Raises SaveError."""
    about = about_runs(runs)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise save_error(folder, error) from error
    rows = [
        {"label": f"{c['second'].split(' (')[0]}: {n}"} | row for c in comparisons for n, row in c["metrics"].items()
    ]
    write_json(folder / "compare.json", {"command": command, "runs": about, "comparisons": list(comparisons)})
    page = render(
        "bench_compare.html.j2",
        title="Runs compared",
        problems=[text for c in comparisons for text in c["warnings"]],
        command=command,
        comparisons=comparisons,
        runs=about,
        chart=figures.forest(rows),
        machine=machine(),
        versions=versions(),
    )
    write_atomic(folder / "compare.html", page)
    return folder / "compare.html"


def main(argv: Sequence[str]) -> int:
    """Entry point of the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="seegrasp bench compare", description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs; all are compared with the first")
    parser.add_argument("--out", type=Path, help="write compare.html and compare.json into this folder")
    parser.add_argument("--unpaired", action="store_true", help="compare runs on different scenes, rounds not matched")
    args = parser.parse_args(argv)
    if len(args.runs) < 2:
        parser.error("needs at least two runs")
    try:
        first, *others = (load_run(folder) for folder in args.runs)
        comparisons = [compare(first, other, args.unpaired) for other in others]
        for comparison in comparisons:
            print("\n".join(table_lines(comparison)))
        if args.out:
            print(write(args.out, [first, *others], comparisons, shlex.join(["seegrasp", "bench", "compare", *argv])))
    except (SeegraspError, SaveError) as error:
        print(f"seegrasp bench compare: {error}", file=sys.stderr)
        return 1
    return 0
