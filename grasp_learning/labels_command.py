"""`seegrasp learn labels`: dense grasp labels of every object of a set; what is there already and right is kept."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from grasp_core.errors import SeegraspError
from grasp_core.gripper import Gripper
from grasp_eval.progress import Progress
from grasp_eval.results import SaveError, save_error
from grasp_learning.engine import label_object
from grasp_learning.label_files import LabelsError, StaleLabels, label_path, load_labels, save_labels
from grasp_learning.object_labels import PER_POINT
from grasp_learning.recipe import Recipe
from grasp_learning.task_pool import run_all
from grasp_sim.object_sets import ObjectSet, load_object_set

SPACING = 0.005


@dataclass(frozen=True)
class Task:
    """Label one object of a set into a folder."""

    objects: str
    name: str
    gripper: str
    spacing: float
    folder: Path


@dataclass(frozen=True)
class Done:
    """What became of it. kept: the file was there already. seconds: CPU time. note: why an old file was not kept."""

    name: str
    points: int
    kept: bool
    seconds: float = 0.0
    size: int = 0
    note: str = ""


@lru_cache(maxsize=1)
def _objects(name: str) -> ObjectSet:
    return load_object_set(name)  # of a folder, that reads every mesh: once in a process


def run_task(task: Task) -> Done:
    """Label the object, unless its file is there and right. Raises SeegraspError and SaveError."""
    spec, gripper = _objects(task.objects).find(task.name), Gripper.load(task.gripper)
    path, note = label_path(task.folder, task.name), ""
    if path.exists():
        try:
            found = load_labels(path, Recipe.of(spec, gripper, task.spacing).digest)
            return Done(task.name, len(found), kept=True)
        except StaleLabels:
            note = "the old file was of another recipe"
        except LabelsError as error:
            note = f"the old file was broken: {error}"
    start = time.process_time()
    labels = label_object(spec, gripper, task.spacing)
    seconds = time.process_time() - start
    return Done(task.name, len(labels), False, seconds, save_labels(path, labels), note)


def report(done: Iterable[Done], total: int, progress: Progress) -> str:
    """Show what ends as it ends; returns the last line."""
    count = kept = points = size = 0
    seconds = 0.0
    for count, one in enumerate(done, start=1):
        if one.note:
            progress.line(f"{one.name}: {one.note}; made again")
        kept += one.kept
        if not one.kept:
            points, size, seconds = points + one.points, size + one.size, seconds + one.seconds
        progress.status(f"{count} of {total} objects, {one.name}: {one.points} points", key=str(10 * count // total))
    made = f"{count - kept} objects labelled, {kept} kept"
    if not seconds:
        return made
    candidates = points * PER_POINT
    rate = f"{candidates / seconds:,.0f} a second of CPU"
    return f"{made}; {candidates / 1e6:.1f} million candidates, {rate}; {size / 2**20:.1f} MiB"


def main(argv: Sequence[str]) -> int:
    """Entry point of the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="seegrasp learn labels", description=__doc__)
    parser.add_argument("--objects", default="procedural-train", help="object set or folder of meshes (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/labels"), help="folder of the files (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument("--spacing", type=float, default=SPACING, help="m between surface points (%(default)s)")
    parser.add_argument("--limit", type=int, help="objects, spread over the set (all)")
    parser.add_argument("--gripper", default="robotiq_2f85", help="name or YAML file (%(default)s)")
    args = parser.parse_args(argv)
    if args.workers < 1 or not args.spacing > 0 or (args.limit is not None and args.limit < 1):
        parser.error("--workers, --spacing and --limit must be above zero")
    progress = Progress()
    try:
        names = spread(load_object_set(args.objects).names, args.limit)
        try:
            args.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise save_error(args.out, error) from error
        tasks = [Task(args.objects, name, args.gripper, args.spacing, args.out) for name in names]
        progress.line(report(run_all(run_task, tasks, args.workers), len(tasks), progress))
    except (SeegraspError, SaveError) as error:
        print(f"seegrasp learn labels: {error}", file=sys.stderr)
        return 1
    return 0


def spread(names: Sequence[str], limit: int | None) -> list[str]:
    """All names, or ``limit`` of them evenly over the list, so that every family of a procedural set has its share."""
    if limit is None or limit >= len(names):
        return list(names)
    return [names[(2 * i + 1) * len(names) // (2 * limit)] for i in range(limit)]
