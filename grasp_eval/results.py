"""What a demo run produced: attempts, rounds, totals; written row by row while the run goes on."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from grasp_core.errors import ErrorCode

STAGES = (
    *("observe", "detect", "plan", "approach", "close", "verify"),
    *("lift", "verify_lift", "place", "verify_place"),
)
COLUMNS = (
    *("seed", "index", "start_s", "success", "error_code", "error", "error_msg", "stage"),
    *("candidates", "candidates_tried", "duration_s", "wall_s", "score", "width_m", "x", "y", "z"),
    *(f"{stage}_ms" for stage in STAGES),
    "other_ms",
)


class SaveError(Exception):
    """A file of the results could not be written; says which, why, and how much space is left."""


@dataclass
class Attempt:
    """One attempt to pick one object. `start_s`, `duration_s`: ROS time; `wall_s`, `timings` (ms): steady clock."""

    seed: int
    index: int
    success: bool
    stage: str = ""
    error_code: int = 0
    error_msg: str = ""
    start_s: float = 0.0
    duration_s: float = 0.0
    wall_s: float = 0.0
    candidates: int = 0
    candidates_tried: int = 0
    score: float | None = None
    width_m: float | None = None
    position: tuple[float, float, float] | None = None
    timings: dict[str, float] = field(default_factory=dict)
    picture: str = ""

    @property
    def error(self) -> str:
        """Name of the error code, empty for none."""
        return error_name(self.error_code)

    def row(self) -> dict[str, object]:
        """The row of picks.csv."""
        row = {k: v for k, v in asdict(self).items() if k in COLUMNS} | {"error": self.error}
        row["success"] = int(self.success)
        row.update(zip("xyz", self.position or ("", "", ""), strict=True))
        other = 0.0
        for stage, value in self.timings.items():
            if stage in STAGES:
                row[f"{stage}_ms"] = row.get(f"{stage}_ms", 0.0) + value
            else:
                other += value
        row["other_ms"] = other or ""
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


@dataclass
class Round:
    """One scene, from reset to the end of /pick. `in_tray` and `remaining` are ground truth."""

    seed: int
    objects: list[str] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    in_tray: list[str] = field(default_factory=list)
    remaining: list[str] = field(default_factory=list)
    error_code: int = 0
    error_msg: str = ""
    ros_s: float = 0.0
    wall_s: float = 0.0
    finished: bool = False
    picked_reported: int = 0

    @property
    def successes(self) -> int:
        """Attempts that pick_node calls successful."""
        return sum(a.success for a in self.attempts)

    @property
    def error(self) -> str:
        """Name of the code that the round ended with, empty for none."""
        return error_name(self.error_code)


def error_name(code: int) -> str:
    """Name of an entry of the error table; "" for NONE, the number when it is unknown."""
    if code == 0:
        return ""
    return ErrorCode(code).name if code in ErrorCode.__members__.values() else f"code {code}"


def wilson(successes: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % confidence interval of a proportion (Wilson, JASA 1927); (0, 1) without trials."""
    if total == 0:
        return 0.0, 1.0
    p = successes / total
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def _share(part: int, whole: int) -> dict[str, object]:
    low, high = wilson(part, whole)
    return {"count": part, "of": whole, "rate": part / whole if whole else None, "ci95": [low, high]}


def totals(rounds: Iterable[Round]) -> dict[str, object]:
    """Sums over rounds: attempts, objects in the tray (ground truth), picks per hour, failures by reason."""
    rounds = list(rounds)
    attempts = [a for r in rounds for a in r.attempts]
    picked = sum(len(r.in_tray) for r in rounds)
    ros, wall = sum(r.ros_s for r in rounds), sum(r.wall_s for r in rounds)
    failures = Counter(f"{a.error or 'unknown'} in {a.stage or '?'}" for a in attempts if not a.success)
    return {
        "rounds": len(rounds),
        "rounds_finished": sum(r.finished for r in rounds),
        "attempts": _share(sum(a.success for a in attempts), len(attempts)),
        "objects": _share(picked, sum(len(r.objects) for r in rounds)),
        "ros_s": ros,
        "wall_s": wall,
        "picks_per_hour_ros": picked / ros * 3600 if ros > 0 else None,
        "picks_per_hour_wall": picked / wall * 3600 if wall > 0 else None,
        "failures": dict(failures.most_common()),
    }


def percentiles(attempts: Iterable[Attempt]) -> list[dict[str, object]]:
    """Median, 95th percentile and maximum of each stage's time (ms) over attempts."""
    values: dict[str, list[float]] = {}
    for attempt in attempts:
        for stage, ms in attempt.timings.items():
            values.setdefault(stage, []).append(ms)
    return [timing_row(stage, ms) for stage, ms in values.items()]


def timing_row(name: str, values: Iterable[float]) -> dict[str, object]:
    """One row of a timing table from values in ms (nearest-rank percentiles)."""
    ordered = sorted(values)
    n = len(ordered)

    def rank(p: float) -> float:
        return ordered[min(n - 1, max(0, math.ceil(p * n) - 1))]

    return {"stage": name, "n": n, "p50": rank(0.5), "p95": rank(0.95), "max": ordered[-1]}


def _with_interval(share: dict[str, object]) -> str:
    if not share["of"]:
        return "–"
    low, high = share["ci95"]
    return f"{share['count']}/{share['of']} = {share['rate']:.1%} [{low:.1%}, {high:.1%}]"


def rounds_markdown(rounds: Iterable[Round], command: str) -> str:
    """The table of all rounds in Markdown, with 95 % Wilson intervals of the totals."""
    rounds = list(rounds)
    total = totals(rounds)
    lines = [f"`{command}`", "", "| seed | attempts | succeeded | objects | in the tray | robot time | ended |"]
    lines.append("|---:|---:|---:|---:|---:|---:|---|")
    for r in rounds:
        ended = r.error or ("done" if r.finished else "unfinished")
        counts = f"{len(r.attempts)} | {r.successes} | {len(r.objects)} | {len(r.in_tray)}"
        lines.append(f"| {r.seed} | {counts} | {r.ros_s:.0f} s | {ended} |")
    lines += ["", f"- Attempts that succeeded: {_with_interval(total['attempts'])}"]
    lines.append(f"- Objects in the tray: {_with_interval(total['objects'])} (95 % Wilson intervals)")
    for label, key in (("robot time", "picks_per_hour_ros"), ("wall clock", "picks_per_hour_wall")):
        if total[key] is not None:
            lines.append(f"- Picks per hour, {label}: {total[key]:.0f}")
    lines += [f"- Failed, {count} times: {reason}" for reason, count in total["failures"].items()]
    return "\n".join(lines) + "\n"


def save_error(path: Path, error: OSError) -> SaveError:
    """The error to raise when a file could not be written."""
    from grasp_eval.bag_writer import free_space

    folder = path if path.is_dir() else path.parent
    space = f" ({free_space(folder)})" if folder.exists() else ""
    return SaveError(f"{path}: {error.strerror or error}{space}; what was written before is kept")


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file completely or not at all (temporary file, then rename). Raises SaveError."""
    partial = path.with_name(path.name + ".partial")
    data = content.encode() if isinstance(content, str) else content
    try:
        with partial.open("wb") as file:
            file.write(data)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise save_error(path, error) from error


def append_csv(path: Path, row: dict[str, object], columns: Iterable[str] = COLUMNS) -> None:
    """Add a row to a CSV file at once, with the header when the file is new. Raises SaveError, leaving whole rows."""
    new = not path.exists()
    before = 0 if new else path.stat().st_size
    try:
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(columns), restval="", extrasaction="raise")
            if new:
                writer.writeheader()
            writer.writerow(row)
    except OSError as error:
        _cut_back(path, before)
        raise save_error(path, error) from error


def _cut_back(path: Path, size: int) -> None:
    if path.is_file():
        with path.open("r+b") as file:
            file.truncate(size)


def write_json(path: Path, value: object) -> None:
    """Write JSON completely or not at all. Raises SaveError."""
    write_atomic(path, json.dumps(value, indent=2, default=str, allow_nan=False) + "\n")
