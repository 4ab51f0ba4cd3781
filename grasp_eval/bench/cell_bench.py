"""`seegrasp bench cell`: picking in the simulated cell with the whole arm, without ROS, faster than real time.

The same detector, planner and stages as in the nodes clear one scene per seed. Time stands still while the stack
computes. A lifted object is carried to the tray in a copy of the world and taken away in the world itself, so that the
picks do not depend on the carrying; `seegrasp demo` measures the whole.

Times: *motion* is simulated time: the wait before a look (0.4 s), approach, close, lift or retreat, place, and the way
back to the pose `observe`. *Computing* is wall-clock time of this machine: cloud, detect, plan. Rendering and stepping
the physics are not counted. A pick counts per hour when the object lies in the tray at the end. The first way from home
to `observe` is left out, and so is the camera's own delay.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from grasp_core.errors import SeegraspError
from grasp_eval.bench.cell_run import Attempt, Bench
from grasp_eval.report import command_line
from grasp_eval.results import SaveError, wilson, write_json
from grasp_perception.detectors import DEFAULT, make_detector
from grasp_sim.scenes import KINDS


def parser() -> argparse.ArgumentParser:
    """Options of `seegrasp bench cell`."""
    p = argparse.ArgumentParser(
        prog="seegrasp bench cell", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--seeds", default="0:5", help="FIRST:END (default 0:5)")
    p.add_argument("--scene", default="bin", choices=KINDS, help="kind of scene (default bin)")
    p.add_argument("--objects", type=int, default=10, help="in one scene (default 10)")
    p.add_argument("--max-attempts", type=int, default=20, help="in one scene (default 20)")
    p.add_argument("--min-score", type=float, default=0.2, help="grasps below are not tried (default 0.2)")
    p.add_argument("--detector", default=DEFAULT, help="name or package.module:factory")
    p.add_argument("--detector-python", help="the Python to run the detector in, in a process of its own")
    p.add_argument("--cell", default="bin_picking", help="name of a profile or path of a YAML file")
    p.add_argument("--json", type=Path, metavar="FILE", help="write summary and attempts there too")
    return p


def main(argv: list[str] | None = None) -> int:
    """See the module; 0, 1 after an error, 130 after Ctrl-C. What was finished is told and written in any case."""
    p = parser()
    args = p.parse_args(argv)
    seeds = _seeds(p, args.seeds)
    attempts: list[Attempt] = []
    left = finished = code = 0
    try:
        with contextlib.closing(make_detector(args.detector, python=args.detector_python)) as detector:
            for seed in seeds:
                detector.reset(seed)
                bench = Bench(args.cell, detector, args.objects, seed, args.min_score, args.scene)
                done = bench.run(args.max_attempts)
                attempts += done
                left += len(bench.left)
                finished += 1
                good = sum(a.success for a in done)
                print(f"seed {seed}: {good} of {len(done)} attempts, left {sorted(bench.left)}", flush=True)
    except SeegraspError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    if finished < len(seeds):
        print(f"stopped: {finished} of {len(seeds)} scenes were finished", file=sys.stderr)
    if finished:
        code = _tell(args, summarise(attempts, finished * args.objects, left), attempts) or code
    return code


def _tell(args: argparse.Namespace, summary: dict, attempts: list[Attempt]) -> int:
    """Write and print what was found; 0, or 1 when it cannot be written."""
    print(told(summary))
    if args.json:
        values = {"command": command_line(), "summary": summary, "attempts": [asdict(a) for a in attempts]}
        try:
            write_json(args.json, values)
        except SaveError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


def _seeds(p: argparse.ArgumentParser, text: str) -> range:
    first, colon, end = text.partition(":")
    if not (colon and first.isdigit() and end.isdigit() and int(first) < int(end)):
        p.error(f"--seeds {text!r}: expected FIRST:END with FIRST < END, for example 80:88")
    return range(int(first), int(end))


def share(part: int, whole: int) -> dict[str, object]:
    """Count, rate and 95 % Wilson interval."""
    return {"count": part, "of": whole, "rate": part / whole if whole else None, "ci95": list(wilson(part, whole))}


def summarise(attempts: list[Attempt], objects: int, left: int) -> dict[str, object]:
    """Shares, seconds by stage, failures, and picks per hour by motion alone and with computing."""
    motion, computing = _added(a.motion_s for a in attempts), _added(a.computing_s for a in attempts)
    placed = sum(a.placed for a in attempts)
    moving, thinking = sum(motion.values()), sum(computing.values())
    return {
        "attempts": share(sum(a.success for a in attempts), len(attempts)),
        "objects_taken_out": share(objects - left, objects),
        "placed_in_tray": share(placed, sum(a.success for a in attempts)),
        "failures": dict(Counter(f"{a.stage} {a.error}" for a in attempts if not a.success)),
        "carry_failures": dict(Counter(a.carry_error for a in attempts if a.carry_error)),
        "motion_s": motion,
        "computing_s": computing,
        "picks_per_hour": {
            "motion": placed / moving * 3600 if moving else None,
            "motion_and_computing": placed / (moving + thinking) * 3600 if moving else None,
        },
    }


def _added(parts: Iterable[dict[str, float]]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)


def told(summary: dict) -> str:
    """The summary for people."""
    lines = [
        f"attempts that held:     {_share_text(summary['attempts'])}",
        f"objects taken out:      {_share_text(summary['objects_taken_out'])}",
        f"lifted ones in the tray: {_share_text(summary['placed_in_tray'])}",
        f"failures: {summary['failures']}",
        f"failures of carrying: {summary['carry_failures']}",
    ]
    for label, key in (("motion, simulated", "motion_s"), ("computing, wall clock", "computing_s")):
        parts = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in summary[key].items())
        lines.append(f"{label}: {sum(summary[key].values()):.1f} s ({parts})")
    rates = summary["picks_per_hour"]
    if rates["motion"] is not None:
        both = rates["motion_and_computing"]
        lines.append(f"picks per hour: {rates['motion']:.0f} by motion alone, {both:.0f} with computing")
    return "\n".join(lines)


def _share_text(share: dict) -> str:
    if not share["of"]:
        return "none"
    low, high = share["ci95"]
    return f"{share['count']} of {share['of']} = {share['rate']:.1%} [{low:.1%}, {high:.1%}]"


if __name__ == "__main__":
    sys.exit(main())
