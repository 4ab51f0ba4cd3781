"""Batches for every step, made in worker processes; batch s of a process depends on seed, step and rank alone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from grasp_learning.scenes.scene_files import load_scene, scene_path
from grasp_learning.training.batches import Batch, augmented_batch
from grasp_learning.training.distributed import Ranks
from grasp_learning.training.recipe import Recipe

_ORDER, _AUGMENT = 0, 1  # streams of random numbers
_AHEAD = 4  # batches that each worker prepares


class Batches(Dataset[Batch]):
    """The batch of each step, of one process."""

    def __init__(self, folder: Path, names: list[str], recipe: Recipe, ranks: Ranks) -> None:
        self.folder, self.names, self.recipe, self.ranks = folder, names, recipe, ranks

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng([_AUGMENT, self.recipe.seed, step, self.ranks.rank])
        first = (step * self.ranks.world + self.ranks.rank) * self.recipe.batch
        samples = []
        for place in range(first, first + self.recipe.batch):
            sample = load_scene(scene_path(self.folder, self._name(place)))
            samples.append((sample, int(rng.integers(len(sample.views)))))
        return augmented_batch(samples, self.recipe, rng)

    def _name(self, place: int) -> str:
        """Scenes come in another order each time that all were seen."""
        turn, index = divmod(place, len(self.names))
        return self.names[order(self.recipe.seed, turn, len(self.names))[index]]


def order(seed: int, turn: int, count: int) -> NDArray[np.int64]:
    """In which order (count,) the scenes come in a turn."""
    return np.random.default_rng([_ORDER, seed, turn]).permutation(count)


def batches(data: Batches, start: int, workers: int) -> Iterator[Batch]:
    """Those from step ``start`` on. workers: processes that make them; 0: this one."""
    options = (
        {"prefetch_factor": _AHEAD, "multiprocessing_context": "spawn", "worker_init_fn": _begin} if workers else {}
    )
    return iter(DataLoader(data, batch_size=None, sampler=range(start, len(data)), num_workers=workers, **options))


def _begin(worker: int) -> None:
    """Ctrl-C is for the process that trains, which still wants the batch of its last step."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def generator(recipe: Recipe, step: int, rank: int, device: torch.device) -> torch.Generator:
    """Random numbers of a step for the network itself."""
    seed = np.random.SeedSequence([recipe.seed, step, rank]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(seed))
