"""`seegrasp learn check`: grasps that the labels call good, middling and bad, executed by the free hand."""

from __future__ import annotations

import argparse
import shlex
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from grasp_core.errors import SeegraspError
from grasp_core.gripper import Gripper
from grasp_eval.progress import Progress
from grasp_eval.results import SaveError, save_error, write_json
from grasp_learning.agreement import GOOD_FRICTION, Sample, draw, execute, summary
from grasp_learning.engine import label_object
from grasp_learning.labels_command import spread
from grasp_sim.object_sets import load_object_set

PER_OBJECT = 30  # samples
SPACING = 0.02
LIMIT = 0.9  # agreement below which the labels are not to be trusted


def check(objects: str, samples: int, spacing: float, gripper: Gripper, seed: int, progress: Progress) -> dict:
    """Draw and execute about ``samples`` candidates on objects spread over a set; see ``agreement.summary``."""
    chosen = load_object_set(objects)
    names = spread(chosen.names, max(1, -(-samples // PER_OBJECT)))
    found: list[Sample] = []
    for number, name in enumerate(names, start=1):
        spec = chosen.find(name)
        labels = label_object(spec, gripper, spacing)
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])  # independent of the other objects
        found += execute(spec, labels, gripper, draw(labels, min(PER_OBJECT, samples), rng))
        progress.status(f"{number} of {len(names)} objects, {name}: {len(found)} grasps executed")
    return summary(found)


def text(result: dict) -> list[str]:
    """The summary as lines for the terminal."""
    lines = [f"{'label':<12} {'grasps':>6}  held              untouched         held and untouched"]
    for name, row in result["strata"].items():
        parts = [f"{_percent(row[key]):<17}" for key in ("held", "untouched", "good")]
        lines.append(f"{name:<12} {row['good']['of']:>6}  {' '.join(parts)}".rstrip())
        lines += [f"    {count} x {reason}" for reason, count in row["reasons"].items()]
    lines.append(f"agreement ({GOOD_FRICTION} is good; middling ones left out): {_percent(result['agreement'])}")
    lines += [f"    {family:<14} {_percent(row)}" for family, row in result["families"].items()]
    return lines


def _percent(row: dict) -> str:
    if row["rate"] is None:
        return "–"
    low, high = row["wilson"]
    return f"{100 * row['rate']:.1f} % [{100 * low:.0f}, {100 * high:.0f}]"


def main(argv: Sequence[str]) -> int:
    """Entry point of the command; returns its exit code: 1 where labels and physics agree too rarely."""
    parser = argparse.ArgumentParser(prog="seegrasp learn check", description=__doc__)
    parser.add_argument("--objects", default="procedural-train", help="object set or folder of meshes (%(default)s)")
    parser.add_argument("--samples", type=int, default=600, help="grasps to execute (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (%(default)s)")
    parser.add_argument("--spacing", type=float, default=SPACING, help="m between surface points (%(default)s)")
    parser.add_argument("--gripper", default="robotiq_2f85", help="name or YAML file (%(default)s)")
    parser.add_argument("--out", type=Path, help="folder for check.json (none)")
    args = parser.parse_args(argv)
    if args.samples < 1 or not args.spacing > 0 or args.seed < 0:
        parser.error("--samples and --spacing must be above zero, --seed not below")
    try:
        gripper = Gripper.load(args.gripper)
        result = check(args.objects, args.samples, args.spacing, gripper, args.seed, Progress())
        print("\n".join(text(result)))
        if args.out:
            _write(args.out, result | {"command": shlex.join(["seegrasp", "learn", "check", *argv])})
    except (SeegraspError, SaveError) as error:
        print(f"seegrasp learn check: {error}", file=sys.stderr)
        return 1
    rate = result["agreement"]["rate"]
    return 0 if rate is not None and rate >= LIMIT else 1


def _write(folder: Path, result: dict) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise save_error(folder, error) from error
    write_json(folder / "check.json", result)
