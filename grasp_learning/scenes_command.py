"""`seegrasp learn scenes`: scenes to learn from, out of labelled objects; what is there already and right is kept."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from grasp_core.errors import InputError, SeegraspError
from grasp_core.gripper import Gripper
from grasp_eval.progress import Progress
from grasp_eval.results import SaveError, save_error
from grasp_learning.scenes.generator import Generator
from grasp_learning.scenes.library import Library
from grasp_learning.scenes.physics import execute, summary
from grasp_learning.scenes.picture import picture
from grasp_learning.scenes.scene_files import (
    SceneSample,
    ScenesError,
    StaleScene,
    load_scene,
    save_scene,
    scene_name,
    scene_path,
)
from grasp_learning.task_pool import run_all
from grasp_sim.object_sets import load_object_set

SPACING = 0.008
PER_SCENE = 10  # grasps of a check by physics


@dataclass(frozen=True)
class Source:
    """What scenes are made of. digests: (name, digest of the recipe) of the labels that were there at the start."""

    labels: Path
    objects: str
    gripper: str
    digests: tuple[tuple[str, str], ...]
    seed: int


@dataclass(frozen=True)
class Task:
    """Make a scene into a folder."""

    source: Source
    index: int
    folder: Path


@dataclass(frozen=True)
class Done:
    """What became of it. kept: the file was there already. problem: why there is none. note: on an old file."""

    name: str
    kept: bool = False
    seconds: float = 0.0
    size: int = 0
    problem: str = ""
    note: str = ""


@lru_cache(maxsize=1)
def generator(source: Source) -> Generator:
    """Made once in a process: what it has read stays in memory."""
    library = Library(source.labels, load_object_set(source.objects), dict(source.digests))
    return Generator(library, Gripper.load(source.gripper), source.seed)


def run_task(task: Task) -> Done:
    """Make the scene, unless its file is there and right. Raises SeegraspError and SaveError."""
    maker, name = generator(task.source), scene_name(task.index)
    path, note = scene_path(task.folder, name), ""
    if path.exists():
        try:
            load_scene(path, maker.digest)
            return Done(name, kept=True)
        except StaleScene:
            note = "the old file was of another recipe"
        except ScenesError as error:
            note = f"the old file was broken: {error}"
    start = time.process_time()
    try:
        sample = maker.make(task.index)
    except InputError as error:
        return Done(name, problem=str(error), note=note)
    return Done(name, False, time.process_time() - start, save_scene(path, sample), "", note)


def report(done: Iterable[Done], total: int, progress: Progress) -> tuple[str, list[str]]:
    """Show what ends as it ends; returns the last line and what is missing."""
    start, count, kept, size, seconds = time.monotonic(), 0, 0, 0, 0.0
    missing: list[str] = []
    for count, one in enumerate(done, start=1):
        if one.note:
            progress.line(f"{one.name}: {one.note}; made again")
        if one.problem:
            progress.line(one.problem)
            missing.append(one.name)
        kept, size, seconds = kept + one.kept, size + one.size, seconds + one.seconds
        made = count - kept
        rate = made / max(time.monotonic() - start, 1e-3)
        left = f"{60 * rate:.1f} a minute, {(total - count) / rate / 60:.0f} min left" if made else "all there so far"
        progress.status(f"{count} of {total} scenes, {left}", key=str(50 * count // total))
    made = count - kept - len(missing)
    each = f"; {seconds / made:.1f} s of CPU each, {size / 2**20:.1f} MiB" if made else ""
    return f"{made} scenes made, {kept} kept, {len(missing)} missing{each}", missing


def check(maker: Generator, samples: Iterable[SceneSample], count: int, progress: Progress) -> list[str]:
    """Execute about ``count`` good grasps of scenes by physics; returns lines to print."""
    done = []
    for sample in samples:
        done += execute(maker, sample, min(PER_SCENE, count - len(done)), np.random.default_rng(sample.about["index"]))
        progress.status(f"{len(done)} of {count} grasps executed", key=str(10 * len(done) // count))
        if len(done) >= count:
            break
    return summary(done)


def main(argv: Sequence[str]) -> int:
    """Entry point of the command; returns its exit code: 1 where a scene is missing."""
    args = _parsed(argv)
    progress = Progress()
    try:
        gripper, objects = Gripper.load(args.gripper), load_object_set(args.objects)
        library = Library.open(args.labels, objects, gripper, args.spacing)
        progress.line(f"{len(library.names)} of {len(objects)} objects of {objects.name} have labels")
        source = Source(args.labels, args.objects, args.gripper, tuple(library.digests.items()), args.seed)
        if args.picture:
            return _picture(generator(source), args.first, args.picture)
        try:
            args.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise save_error(args.out, error) from error
        tasks = [Task(source, args.first + i, args.out) for i in range(args.count)]
        last, missing = report(run_all(run_task, tasks, args.workers), len(tasks), progress)
        progress.line(last)
        if args.check:
            there = (task for task in tasks if scene_name(task.index) not in missing)
            samples = (load_scene(scene_path(args.out, scene_name(task.index))) for task in there)
            print("\n".join(check(generator(source), samples, args.check, progress)))
    except (SeegraspError, SaveError) as error:
        print(f"seegrasp learn scenes: {error}", file=sys.stderr)
        return 1
    return 1 if missing else 0


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="seegrasp learn scenes", description=__doc__)
    parser.add_argument("--labels", type=Path, default=Path("out/labels"), help="folder of labels (%(default)s)")
    parser.add_argument("--objects", default="procedural-train", help="the set that they are of (%(default)s)")
    parser.add_argument("--spacing", type=float, default=SPACING, help="m between their points (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/scenes"), help="folder of the scenes (%(default)s)")
    parser.add_argument("--count", type=int, default=800, help="scenes (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first one (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all chance (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument("--gripper", default="robotiq_2f85", help="name or YAML file (%(default)s)")
    parser.add_argument("--check", type=int, default=0, help="good grasps to execute by physics in the end (none)")
    parser.add_argument("--picture", type=Path, help="only draw the first scene into this file")
    args = parser.parse_args(argv)
    if args.workers < 1 or not args.spacing > 0 or args.count < 1:
        parser.error("--workers, --spacing and --count must be above zero")
    if args.seed < 0 or args.first < 0 or args.check < 0:
        parser.error("--seed, --first and --check must not be below zero")
    return args


def _picture(maker: Generator, index: int, path: Path) -> int:
    sample = maker.make(index)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(sample, maker.gripper)).save(path)
    except OSError as error:
        raise save_error(path, error) from error
    print(f"{path}: {sample.name}, {sample.about['kind']}, {', '.join(sample.labels.names)}")
    return 0
