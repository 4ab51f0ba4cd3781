"""`seegrasp bench latency`: how long detectors take, per stage, from a cold start, with more points and more grasps.

Every detector runs in fresh processes of its own. Cold start (each in a new process, the median of three): interpreter,
import (the detector's module and what it needs), make, first detect. Memory is the peak resident set of the process,
with that of its own child processes. The exponents are slopes of log(median ms) over log(points) and log(grasps).
A detector that fails is named and the others go on; exit codes: 0 all measured, 1 at least one detector failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grasp_core.errors import SeegraspError
from grasp_core.gripper import Gripper
from grasp_eval.bench import latency_page
from grasp_eval.bench.latency_scenes import Case, cases
from grasp_eval.report import command_line, machine, versions
from grasp_eval.results import SaveError, write_json
from grasp_perception.detectors import DEFAULT

COLD_STARTS = 3
STDERR = 2  # file descriptor
COLD = ("interpreter", "import", "make", "first detect")


@dataclass(frozen=True)
class Job:
    """What one detector is measured with. `timeout`: s for one process."""

    detector: str
    python: str | None
    gripper: str
    runs: int
    timeout: float


def parser() -> argparse.ArgumentParser:
    """Options of `seegrasp bench latency`."""
    p = argparse.ArgumentParser(
        prog="seegrasp bench latency", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "--detector",
        default=DEFAULT,
        metavar="NAME[@PYTHON],...",
        help="names or package.module:factory, with commas between them; @PYTHON: in a process of that Python",
    )
    p.add_argument(
        "--points",
        default="2000,5000,10000,20000,40000",
        metavar="N,...",
        help="sizes of the cloud (default %(default)s)",
    )
    p.add_argument(
        "--runs", type=int, default=20, help="detections per cloud, after two that do not count (default 20)"
    )
    p.add_argument("--gripper", default="robotiq_2f85", help="name or YAML file")
    p.add_argument("--data", type=Path, help="also the captures real/<name>/{color.png,depth.png,camera.json} in here")
    p.add_argument("--timeout", type=float, default=600.0, help="s until a detector counts as hanging (default 600)")
    p.add_argument("--out", type=Path, help="folder of the results (default out/latency/<date and time>)")
    return p


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    p = parser()
    args = p.parse_args(argv)
    points = _sizes(p, args.points)
    if args.runs < 1:
        p.error(f"--runs {args.runs}: expected 1 or more")
    try:
        Gripper.load(args.gripper)
        out = args.out or Path("out/latency") / time.strftime("%Y-%m-%d_%H-%M-%S")
        out.mkdir(parents=True, exist_ok=True)
        jobs = [_job(text, args) for text in args.detector.split(",") if text]
        load = os.getloadavg()[0]  # what else the machine did: it stretches every time
        detectors = measure_all(jobs, list(cases(points, args.data)))
        result = {
            "command": command_line(),
            "date": time.strftime("%Y-%m-%d %H:%M:%S"),
            "machine": machine() | {"load before": f"{load:.1f} processes"},
            "versions": versions(),
            "gripper": args.gripper,
            "runs": args.runs,
            "detectors": detectors,
        }
        write_json(out / "latency.json", result)
        latency_page.write(out / "latency.html", result)
    except (SeegraspError, SaveError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for found in detectors:
        print(table(found))
    print(f"\nresults: {out}/latency.html, {out}/latency.json")
    return 1 if any(found["error"] for found in detectors) else 0


def _sizes(p: argparse.ArgumentParser, text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        p.error(f"--points {text!r}: expected whole numbers above 0 with commas between them")
    return sorted({int(part) for part in parts})


def _job(text: str, args: argparse.Namespace) -> Job:
    name, _, python = text.partition("@")
    return Job(name, python or None, args.gripper, args.runs, args.timeout)


def measure_all(jobs: Sequence[Job], clouds: Sequence[Case]) -> list[dict]:
    """Measure every detector in processes of its own; one dictionary each, with `error` where it failed."""
    found = []
    with tempfile.TemporaryDirectory(prefix="seegrasp-latency-") as folder:
        files = []
        for index, case in enumerate(clouds):
            files.append(Path(folder) / f"{index}.npz")
            case.save(files[-1])
        for job in jobs:
            print(f"{job.detector}: {len(clouds)} clouds, {job.runs} runs each", file=sys.stderr, flush=True)
            found.append(_measure(job, clouds, files, Path(folder)))
    return found


def _measure(job: Job, clouds: Sequence[Case], files: Sequence[Path], folder: Path) -> dict:
    order = [{"index": i, "file": str(file)} for i, file in enumerate(files)]
    cold: list[list[dict]] = []
    for _ in range(COLD_STARTS):
        lines, error = probe(job, order[-1:], 0, folder)
        cold.append(lines)
        if error:
            return {"detector": job.detector, "python": job.python, "error": error, "cold_start_ms": {}} | _nothing()
    lines, error = probe(job, order, job.runs, folder)
    rows = [_row(clouds[line["case"]], line) for line in lines if "case" in line]
    failed = [f"{row['scene']}, {row['points']} points: {row['error']}" for row in rows if row["error"]]
    return {
        "detector": job.detector,
        "python": job.python,
        "error": error or "; ".join(failed),
        "cold_start_ms": {name: summary([_cold(lines, name)["ms"] for lines in cold]) for name in COLD},
        "memory_mb": {name: round(_cold(cold[0], name)["memory_mb"], 1) for name in COLD}
        | {"all clouds": round(max((line.get("memory_mb", 0.0) for line in lines), default=0.0), 1)},
        "cases": rows,
        "growth": {"points": growth(rows, "points", "points"), "grasps": growth(rows, "objects", "grasps")},
    }


def _nothing() -> dict:
    return {"memory_mb": {}, "cases": [], "growth": {"points": None, "grasps": None}}


def _cold(lines: Sequence[dict], name: str) -> dict:
    return next(line for line in lines if line.get("cold") == name)


def probe(job: Job, order: Sequence[dict], runs: int, folder: Path) -> tuple[list[dict], str]:
    """One fresh process over the clouds of `order`; the findings that it wrote, and why it failed or ""."""
    spec, out = folder / "job.json", folder / "findings.jsonl"
    values = {"detector": job.detector, "python": job.python, "gripper": job.gripper, "runs": runs, "cases": order}
    spec.write_text(json.dumps(values), encoding="utf-8")
    out.write_text("", encoding="utf-8")
    command = [sys.executable, "-m", "grasp_eval.bench.latency_probe", str(spec), str(out), repr(time.time())]
    problem = _run_alone(command, job.timeout)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    if any("done" in line for line in lines):
        return lines, ""
    told = next((line["error"] for line in lines if "error" in line), "")
    return lines, told or problem


def _run_alone(command: list[str], timeout: float) -> str:
    """Run a command in a process group of its own, of which nothing is left behind; how it ended, for people."""
    # what a detector prints must not get into the table: its standard output goes to ours for errors
    process = subprocess.Popen(command, stdout=STDERR, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        return f"no end after {timeout:g} s (--timeout)"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code} before it was done"


def _row(case: Case, line: dict) -> dict:
    row = {"scene": case.name, "series": case.series, "points": len(case.points), "objects": case.objects}
    if "failed" in line:
        return row | {"error": line["failed"], "grasps": None}
    return row | {
        "error": "",
        "grasps": line["grasps"],
        "best_score": line["best_score"],
        "total_ms": summary(line["total_ms"]),
        "cpu_ms": summary(line["cpu_ms"]),
        "stages_ms": {stage: summary(values) for stage, values in line["stages_ms"].items()},
    }


def summary(values: Sequence[float]) -> dict[str, float]:
    """Least, median and 95th percentile of times in ms."""
    low, median, p95 = np.min(values), np.median(values), np.percentile(values, 95)
    return {"min": round(float(low), 2), "median": round(float(median), 2), "p95": round(float(p95), 2)}


def growth(rows: Sequence[dict], series: str, over: str) -> dict | None:
    """Fit of median ms = factor * x ** exponent, x being the column `over` of the rows of a series (those with x > 0).

    `r2` is that of the logarithms. None with fewer than two different x.
    """
    pairs = [(r[over], r["total_ms"]["median"]) for r in rows if r["series"] == series and not r["error"] and r[over]]
    if len({x for x, _ in pairs}) < 2:
        return None
    x, y = np.log(np.array(pairs, dtype=np.float64)).T
    exponent, offset = np.polyfit(x, y, 1)
    spread = float(((y - y.mean()) ** 2).sum())
    r2 = 1.0 - float(((y - exponent * x - offset) ** 2).sum()) / spread if spread > 0 else 1.0
    return {"exponent": round(float(exponent), 3), "factor": float(np.exp(offset)), "r2": round(r2, 3), "n": len(pairs)}


def table(found: dict) -> str:
    """What was measured of one detector, for the terminal."""
    lines = ["", f"{found['detector']}" + (f" in {found['python']}" if found["python"] else "")]
    if found["error"]:
        lines.append(f"  FAILED: {found['error']}")
    if found["cold_start_ms"]:
        lines.append(f"  {'cold start':<28}{'median ms':>10}{'peak MiB':>10}")
        for name, value in found["cold_start_ms"].items():
            lines.append(f"  {name:<28}{value['median']:>10.1f}{found['memory_mb'][name]:>10.1f}")
        lines.append(f"  {'all clouds':<38}{found['memory_mb']['all clouds']:>10.1f}")
    good = [row for row in found["cases"] if not row["error"]]
    if good:
        lines.append(f"  {'cloud':<20}{'points':>8}{'grasps':>8}{'median ms':>11}{'p95 ms':>9}{'cpu ms':>9}")
    for row in good:
        total = row["total_ms"]
        numbers = f"{row['points']:>8}{row['grasps']:>8}{total['median']:>11.1f}{total['p95']:>9.1f}"
        lines.append(f"  {row['scene']:<20}{numbers}{row['cpu_ms']['median']:>9.1f}")
    for row in good[-1:]:
        lines.append(f"  {'stages of the last cloud':<28}{'median ms':>19}{'p95 ms':>9}")
        lines += [f"    {s:<26}{v['median']:>19.1f}{v['p95']:>9.1f}" for s, v in row["stages_ms"].items()]
    for over, fit in found["growth"].items():
        if fit is not None:
            lines.append(f"  grows with {over} ** {fit['exponent']:.2f} (R2 {fit['r2']:.2f}, {fit['n']} clouds)")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
