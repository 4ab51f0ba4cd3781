"""``seegrasp bench graspnet``: the AP of a dump of grasps on GraspNet-1Billion, for those who have the data set."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grasp_core import se3
from grasp_core.errors import InputError, SeegraspError
from grasp_eval.bench import ap, graspnet_data
from grasp_eval.bench.force_closure import FRICTIONS
from grasp_eval.progress import Progress

NOTE = (
    "Contacts are found by casting rays at the meshes, not on Dex-Net's distance fields, whose normals are coarser and "
    "which miss some contacts: the figures may be higher than those of the official tool, against which they have not "
    "been checked on the data set."
)
SHOWN = 10  # problems that are printed; the file has all


@dataclass
class SceneScore:
    """A scene: accuracies (F, 50, 6) of its F scored frames; what was wrong with dump and data set, and how often.

    A frame whose dump is missing or unusable counts, as one without grasps. A frame that the data set's files do not
    let anyone score is left out.
    """

    scene: int
    accuracy: NDArray[np.float64]
    dump_problems: Counter[str] = field(default_factory=Counter)
    data_problems: Counter[str] = field(default_factory=Counter)


def main(argv: list[str] | None = None) -> int:
    """Run the command: 0 when every frame was scored with its grasps, 1 when something was missing or wrong."""
    args = _parser().parse_args(argv)
    try:
        scenes = _scenes(args.scenes) if args.scenes else _split(args.split)
        return _run(args, scenes)
    except SeegraspError as error:
        print(f"seegrasp bench graspnet: {error}", file=sys.stderr)
    except BrokenExecutor:
        print("seegrasp bench graspnet: a worker died, perhaps out of memory: use fewer --workers", file=sys.stderr)
    except KeyboardInterrupt:
        print("seegrasp bench graspnet: interrupted; nothing was written", file=sys.stderr)
    return 1


def score_scene(root: Path, dump: Path, camera: str, scene: int) -> SceneScore:
    """Score every frame of a scene that camera_poses.npy lists."""
    folder = graspnet_data.scene_folder(root / "scenes", scene, camera)
    score = SceneScore(scene, np.zeros((0, ap.TOP, len(FRICTIONS))))
    try:
        T_cam_tables = graspnet_data.table_in_cameras(folder)
    except InputError as error:
        score.data_problems[str(error)] += 1
        return score
    accuracies = []
    for frame, T_cam_table in enumerate(T_cam_tables):
        try:
            ids, poses = graspnet_data.read_objects(folder / "annotations" / f"{frame:04d}.xml")
            models = [graspnet_data.read_model(root, i) for i in ids]
        except InputError as error:
            score.data_problems[str(error)] += 1
            continue
        friction: NDArray = np.zeros(0)
        try:
            grasps = graspnet_data.read_dump(graspnet_data.scene_folder(dump, scene, camera) / f"{frame:04d}.npy")
            table = se3.transform(T_cam_table, ap.table_points())
            friction = ap.score_grasps(grasps, models, poses, table).friction
        except InputError as error:
            score.dump_problems[str(error)] += 1
        accuracies.append(ap.accuracies(friction))
    score.accuracy = np.array(accuracies).reshape(-1, ap.TOP, len(FRICTIONS))
    return score


def summarise(scores: list[SceneScore]) -> dict:
    """AP per split, over all and per scene, frames counted alike; and every problem.

    InputError when not one frame could be scored.
    """
    if not sum(len(s.accuracy) for s in scores):
        raise InputError(f"no frame could be scored: {next(p for s in scores for p in s.data_problems)}")
    splits = {
        name: [s for s in scores if s.scene in numbers and len(s.accuracy)]
        for name, numbers in graspnet_data.SPLITS.items()
    } | {"all": [s for s in scores if len(s.accuracy)]}
    return {
        "note": NOTE,
        "splits": {name: _averages(parts) for name, parts in splits.items() if parts},
        "scenes": {str(s.scene): _averages([s]) for s in scores if len(s.accuracy)},
        "dump_problems": dict(sum((s.dump_problems for s in scores), Counter())),
        "data_problems": dict(sum((s.data_problems for s in scores), Counter())),
    }


def table(summary: dict) -> str:
    """AP, AP0.8 and AP0.4 in percent, one line per split, as they are published."""
    lines = [f"{'split':<10}{'scenes':>8}{'frames':>8}{'AP':>8}{'AP0.8':>8}{'AP0.4':>8}"]
    for name, row in summary["splits"].items():
        values = (row["ap"], row["ap_mu"]["0.8"], row["ap_mu"]["0.4"])
        lines.append(f"{name:<10}{row['scenes']:>8}{row['frames']:>8}" + "".join(f"{100 * v:>8.2f}" for v in values))
    return "\n".join(lines)


def _run(args: argparse.Namespace, scenes: list[int]) -> int:
    for path, what in ((args.dump_dir, "--dump-dir"), (args.dataset_root, "--dataset-root")):
        if not path.is_dir():
            raise InputError(f"{what} {path}: no such folder")
    for name in ("models", "scenes"):
        if not (args.dataset_root / name).is_dir():
            raise InputError(f"--dataset-root {args.dataset_root}: it has no folder {name!r}; is it GraspNet-1Billion?")
    if not any(graspnet_data.scene_folder(args.dump_dir, scene, args.camera).is_dir() for scene in scenes):
        raise InputError(
            f"--dump-dir {args.dump_dir}: it has none of the scenes; expected files such as "
            f"{graspnet_data.scene_folder(args.dump_dir, scenes[0], args.camera) / '0000.npy'}"
        )
    progress, scores = Progress(), []
    work = partial(score_scene, args.dataset_root, args.dump_dir, args.camera)
    for score in _each(work, scenes, min(args.workers, len(scenes))):
        scores.append(score)
        value = f"AP {100 * score.accuracy.mean():.2f}" if len(score.accuracy) else "not scored"
        wrong = (score.dump_problems + score.data_problems).total()
        progress.line(
            f"scene {score.scene:04d}: {value}, {len(score.accuracy)} frames"
            + (f", {wrong} problems" if wrong else "")
            + f" ({len(scores)} of {len(scenes)})"
        )
    summary = {"dump_dir": str(args.dump_dir), "dataset_root": str(args.dataset_root), "camera": args.camera}
    summary |= summarise(sorted(scores, key=lambda s: s.scene))
    print(table(summary))
    print(NOTE)
    _tell(summary["dump_problems"], "frames of the dump are missing or unusable and count as frames without grasps")
    _tell(summary["data_problems"], "frames or scenes of the data set are missing or unusable and are left out")
    if args.out:
        _write(args.out, summary)
    return 1 if summary["dump_problems"] or summary["data_problems"] else 0


def _each(work: Callable[[int], SceneScore], scenes: list[int], workers: int) -> Iterator[SceneScore]:
    if workers <= 1:
        yield from map(work, scenes)
        return
    with _processes(workers) as pool:
        for future in as_completed([pool.submit(work, scene) for scene in scenes]):
            yield future.result()


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    """A pool that does not finish what is queued when it is left early."""
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _averages(scores: list[SceneScore]) -> dict:
    accuracy = np.concatenate([s.accuracy for s in scores])
    return ap.average_precision(accuracy) | {"scenes": len(scores), "frames": len(accuracy)}


def _tell(problems: dict[str, int], what: str) -> None:
    if problems:
        lines = [text if count == 1 else f"{text} ({count} times)" for text, count in problems.items()]
        more = [f"... and {len(lines) - SHOWN} other ones"] if len(lines) > SHOWN else []
        print(f"{sum(problems.values())} {what}:", file=sys.stderr)
        print("\n".join(f"  {line}" for line in lines[:SHOWN] + more), file=sys.stderr)


def _write(path: Path, summary: dict) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise InputError(f"--out {path}: cannot be written: {error}") from error


def _split(name: str) -> list[int]:
    ranges = graspnet_data.SPLITS.values() if name == "test" else [graspnet_data.SPLITS[name]]
    return [scene for numbers in ranges for scene in numbers]


def _scenes(text: str) -> list[int]:
    first, colon, last = text.partition(":")
    try:
        scenes = list(range(int(first), int(last) if colon else int(first) + 1))
    except ValueError:
        scenes = []
    if not scenes or scenes[0] < 0:
        raise InputError(
            f"--scenes {text}: expected a scene, such as 100, or first:end, such as 100:130 (130 excluded)"
        )
    return scenes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="seegrasp bench graspnet", description=__doc__, epilog=NOTE)
    parser.add_argument(
        "--dump-dir", type=Path, required=True, help="folder with scene_NNNN/CAMERA/NNNN.npy, N x 17 each"
    )
    parser.add_argument("--dataset-root", type=Path, required=True, help="folder with models/ and scenes/ of GraspNet")
    parser.add_argument("--camera", choices=graspnet_data.CAMERAS, default="realsense")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--split", choices=("test", *graspnet_data.SPLITS), default="test", help="test: all three")
    which.add_argument("--scenes", help="first:end, such as 100:130 (130 excluded), or one scene")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; each scores whole scenes")
    parser.add_argument("--out", type=Path, help="write the figures, per split and scene, and all problems as JSON")
    return parser
