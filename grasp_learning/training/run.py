"""A run of training: from its recipe, or from where it was stopped, to the last step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from grasp_eval.progress import Progress
from grasp_learning.training.checkpoint import RunFolder, Scenes, TrainingError
from grasp_learning.training.curves import draw
from grasp_learning.training.distributed import Ranks, any_rank, average_gradients
from grasp_learning.training.learner import losses
from grasp_learning.training.loader import Batches, batches, generator
from grasp_learning.training.losses import total
from grasp_learning.training.optimisation import RunningAverage, learning_rate, optimiser
from grasp_learning.training.recipe import Recipe
from grasp_learning.training.validation import validate, validation_batches
from grasp_perception.dense import weights
from grasp_perception.dense.model import DenseModel

LOGGED = 20  # steps of which one line of metrics is the mean
WATCHED = ("good", "top", "ceiling", "view", "graspness")


@dataclass(frozen=True)
class Pace:
    """What the result does not depend on. workers: processes that make batches. save_s, validate_every: how often."""

    workers: int = 1
    save_s: float = 180.0
    validate_every: int = 500


class Run:
    """Network, optimiser and running average at some step."""

    def __init__(self, recipe: Recipe, folder: RunFolder, device: torch.device, ranks: Ranks) -> None:
        """Begin, or go on where the checkpoint in the folder stands. Raises TrainingError and SaveError."""
        self.recipe, self.folder, self.device, self.ranks = recipe, folder, device, ranks
        torch.manual_seed(recipe.seed)
        self.model = DenseModel(recipe.network).to(device).train()
        self.optimiser = optimiser(self.model, recipe)
        self.average = RunningAverage(self.model, recipe.average)
        self.step = 0
        if (state := folder.load()) is not None:
            self.step = state["step"]
            self.model.load_state_dict(state["model"])
            self.average.model.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])

    def advance(self, batch: object) -> dict[str, Tensor]:
        """One step; returns the terms of the loss."""
        recipe, random = self.recipe, generator(self.recipe, self.step, self.ranks.rank, self.device)
        own = self.step >= recipe.own_after * recipe.steps and self._own(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, recipe)
        terms = losses(self.model, batch.to(self.device), recipe, random, own)
        loss = total(terms, recipe.weights)
        self.optimiser.zero_grad()
        loss.backward()
        average_gradients(self.model, self.ranks)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self.optimiser.step()
        self.average.update(self.model, self.step)
        self.step += 1
        return {name: value.detach() for name, value in (terms | {"loss": loss}).items()}

    def _own(self, step: int) -> bool:
        """Whether that step looks at places that the network chooses: evenly spread over the steps."""
        share = self.recipe.own_seeds
        return math.floor((step + 1) * share) > math.floor(step * share)

    def save(self) -> None:
        """Keep all that is needed to go on, and the averaged weights for use. Raises SaveError and ConfigError."""
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        self.folder.save(state)
        weights.save(self.average.model, self.folder.weights, step=str(self.step), steps=str(self.recipe.steps))


def train(run: Run, scenes: Scenes, pace: Pace, progress: Progress, stop: Callable[[], bool] = lambda: False) -> bool:
    """Train to the last step, or until ``stop`` says so; returns whether it came to the end.

    Raises:
        TrainingError: the loss is no longer finite.
        ScenesError, SaveError: a scene cannot be read, or a file not be written.
    """
    recipe, ranks = run.recipe, run.ranks
    if ranks.first:
        run.folder.forget_after(run.step)
    held_out = validation_batches(scenes.held_out, scenes.held_out_names, recipe) if ranks.first else []
    data = Batches(scenes.folder, scenes.names, recipe, ranks)
    saved = time.monotonic()
    meter = Meter(run, progress)
    for batch in batches(data, run.step, pace.workers):
        meter.add(run.advance(batch), batch)
        last = run.step == recipe.steps
        if ranks.first and (run.step % LOGGED == 0 or last):
            meter.log()
        if ranks.first and (run.step % pace.validate_every == 0 or last):
            meter.validate(held_out)
        stopped = any_rank(stop(), ranks, run.device)
        if ranks.first and (last or stopped or time.monotonic() - saved > pace.save_s):
            run.save()
            draw(run.folder)
            saved = time.monotonic()
        if stopped:
            return last
    return True


class Meter:
    """Means of the terms over some steps, the time they take, and what is shown of them."""

    def __init__(self, run: Run, progress: Progress) -> None:
        self.run, self.progress = run, progress
        self.validated: dict[str, float] = {}
        self._begin()

    def _begin(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps, self.voxels, self.start = 0, 0, time.perf_counter()

    def add(self, terms: dict[str, Tensor], batch: object) -> None:
        """After each step."""
        for name, value in terms.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.steps += 1
        self.voxels += len(batch.on_object)

    def log(self) -> None:
        """A line of metrics. Raises TrainingError when the loss is not finite, and SaveError."""
        run = self.run
        means = {name: value.item() / self.steps for name, value in self.sums.items()}
        if not all(map(math.isfinite, means.values())):
            raise TrainingError(
                f"{run.folder.path}: the loss is no longer finite at step {run.step}: {means}; try a lower "
                "learning_rate (config), or float32"
            )
        each = (time.perf_counter() - self.start) / self.steps
        scenes = run.recipe.batch * run.ranks.world
        rate = learning_rate(run.step - 1, run.recipe)
        speed = {"ms_per_scene": 1e3 * each / scenes, "voxels": self.voxels / self.steps / run.recipe.batch}
        run.folder.add({"step": run.step, "learning_rate": rate, **speed, **means})
        left = time.strftime("%H:%M:%S", time.gmtime(each * (run.recipe.steps - run.step)))
        told = " ".join(f"{name} {value:.3f}" for name, value in means.items())
        seen = " ".join(f"{name} {self.validated[name]:.3f}" for name in WATCHED if name in self.validated)
        self.progress.status(
            f"step {run.step} of {run.recipe.steps}, {left} left, {1e3 * each / scenes:.0f} ms a scene; {told}; {seen}",
            key=str(run.step // 100),
        )
        self._begin()

    def validate(self, held_out: list) -> None:
        """Judge the averaged weights on the scenes held out. Raises SaveError."""
        run, before = self.run, time.perf_counter()
        self.validated = validate(run.average.model, held_out, run.recipe, run.device)
        run.folder.add({"step": run.step, "validation": self.validated})
        told = ", ".join(f"{name} {value:.3f}" for name, value in self.validated.items())
        self.progress.line(f"step {run.step}: {told}")
        self.start += time.perf_counter() - before
