"""`seegrasp learn train`: train the dense network on scenes; a stopped run goes on with the same command."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import torch

from grasp_core.config import load_model
from grasp_core.errors import SeegraspError
from grasp_eval.progress import Progress
from grasp_eval.results import SaveError
from grasp_learning.scenes.scene_files import scene_names
from grasp_learning.training.checkpoint import RunFolder, Scenes, TrainingError
from grasp_learning.training.distributed import Ranks, join, leave, wait
from grasp_learning.training.recipe import Recipe
from grasp_learning.training.run import Pace, Run, train

HELD_OUT = 0.05  # of a folder: its last scenes
MOST_HELD_OUT = 64
STOPPED = 130  # exit code of what was interrupted


def main(argv: Sequence[str]) -> int:
    """Entry point of the command; returns its exit code. 130: stopped before the end, and saved."""
    args = _parse(argv)
    progress, stop = Progress(), _Stop()
    try:
        ranks = join(args.device)
        if not ranks.first:
            progress = Progress(_Silent())
        return _run(args, ranks, progress, stop)
    except (SeegraspError, SaveError) as error:
        print(f"seegrasp learn train: {error}", file=sys.stderr)
        return 1
    finally:
        leave()


def _run(args: argparse.Namespace, ranks: Ranks, progress: Progress, stop: _Stop) -> int:
    device = _device(args.device, ranks)
    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = _recipe(args)
    scenes = split(args.scenes, args.validation)
    folder = RunFolder(args.out)
    if ranks.first:
        folder.begin(recipe, scenes)
    wait(ranks)
    scenes = folder.kept(scenes)
    run = Run(recipe, folder, device, ranks)
    progress.line(
        f"{len(scenes.names)} scenes, {len(scenes.held_out_names)} held out; "
        f"step {run.step} of {recipe.steps}, {recipe.batch * ranks.world} scenes a step"
    )
    pace = Pace(args.workers, args.save_every, args.validate_every)
    if train(run, scenes, pace, progress, stop):
        progress.line(f"done: {folder.weights}")
        return 0
    progress.line(f"stopped at step {run.step} and saved; the same command goes on")
    return STOPPED


def split(folder: Path, validation: Path | None) -> Scenes:
    """Scenes to train on and those held out: of another folder, or the last ones. Raises ScenesError, TrainingError."""
    names = scene_names(folder)
    if validation is not None:
        return Scenes(folder, names, validation, scene_names(validation)[:MOST_HELD_OUT])
    count = min(MOST_HELD_OUT, max(1, round(HELD_OUT * len(names))))
    if count >= len(names):
        raise TrainingError(f"{folder}: one scene only; nothing is left to train on when it is held out")
    return Scenes(folder, names[:-count], folder, names[-count:])


def _recipe(args: argparse.Namespace) -> Recipe:
    recipe = load_model(args.config, Recipe) if args.config else Recipe()
    asked = {name: getattr(args, name) for name in ("steps", "batch", "seed", "precision")}
    return recipe.model_copy(update={name: value for name, value in asked.items() if value is not None})


def _device(name: str, ranks: Ranks) -> torch.device:
    if name == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise TrainingError("no CUDA device is there for --device cuda")
    return torch.device("cuda", ranks.local)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="seegrasp learn train", description=__doc__)
    parser.add_argument("--scenes", type=Path, default=Path("out/scenes"), help="folder of scenes (%(default)s)")
    parser.add_argument("--validation", type=Path, help="folder of scenes held out (the last 5 %% of --scenes)")
    parser.add_argument("--out", type=Path, default=Path("out/training/dense"), help="folder of the run (%(default)s)")
    parser.add_argument("--config", type=Path, help="YAML file of the recipe; options go before it (defaults)")
    parser.add_argument("--steps", type=int, help="steps of the whole run (10000)")
    parser.add_argument("--batch", type=int, help="scenes a step (2)")
    parser.add_argument("--seed", type=int, help="of weights, order and augmentation (0)")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), help="of the expensive layers (float32)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of the training process (as many as there are cores)")
    parser.add_argument("--save-every", type=float, default=180.0, help="s between checkpoints (%(default)s)")
    parser.add_argument("--validate-every", type=int, default=500, help="steps between validations (%(default)s)")
    args = parser.parse_args(argv)
    asked = (args.steps, args.batch, args.validate_every)
    if any(value is not None and value < 1 for value in asked) or min(args.workers, args.threads, args.seed or 0) < 0:
        parser.error("--steps, --batch and --validate-every must be above zero, the others not below it")
    return args


class _Stop:
    """Whether to stop after this step: from the first SIGINT or SIGTERM on."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


class _Silent:
    """A stream for processes that print nothing."""

    def write(self, text: str) -> int:
        """Nothing."""
        return len(text)

    def flush(self) -> None:
        """Nothing."""

    def isatty(self) -> bool:
        """No."""
        return False
