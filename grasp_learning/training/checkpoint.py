"""The folder of a run: recipe, checkpoint, metrics."""

from __future__ import annotations

import io
import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from grasp_core.config import load_model
from grasp_core.errors import InputError
from grasp_eval.results import save_error, write_atomic, write_json
from grasp_learning.training.recipe import Recipe

FORMAT = "seegrasp training 1"


class TrainingError(InputError):
    """A run cannot begin or go on; says why and what to do."""


@dataclass(frozen=True)
class Scenes:
    """What is trained on and what is not: folders, and names of scenes."""

    folder: Path
    names: list[str]
    held_out: Path
    held_out_names: list[str]


@dataclass(frozen=True)
class RunFolder:
    """Where the files of a run are."""

    path: Path

    @property
    def recipe(self) -> Path:
        """All that the run was asked for."""
        return self.path / "recipe.yaml"

    @property
    def scenes(self) -> Path:
        """Which scenes are trained on and which are held out: a folder may grow before a run goes on."""
        return self.path / "scenes.json"

    @property
    def checkpoint(self) -> Path:
        """What is needed to go on."""
        return self.path / "checkpoint.pt"

    @property
    def weights(self) -> Path:
        """The averaged weights, for use."""
        return self.path / "weights.safetensors"

    @property
    def ranking(self) -> Path:
        """What the scores of those weights mean."""
        return self.path / "ranking.yaml"

    @property
    def metrics(self) -> Path:
        """One JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def curves(self) -> Path:
        """A picture of them."""
        return self.path / "curves.png"

    def begin(self, recipe: Recipe, scenes: Scenes) -> None:
        """Make the folder and keep in it what the run depends on, unless it is there from before.

        Raises:
            TrainingError: a run with another recipe is in it.
            SaveError: it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise save_error(self.path, error) from error
        if not self.checkpoint.exists():
            write_atomic(self.recipe, recipe.to_yaml())
            write_json(self.scenes, {"names": scenes.names, "held_out": scenes.held_out_names})
            return
        kept, asked = load_model(self.recipe, Recipe).model_dump(), recipe.model_dump()
        if changed := sorted(key for key in asked if asked[key] != kept[key]):
            told = ", ".join(f"{key} ({kept[key]!r}, now {asked[key]!r})" for key in changed)
            raise TrainingError(f"{self.path}: its run has another recipe: {told}; ask for the same, or another --out")

    def kept(self, scenes: Scenes) -> Scenes:
        """The scenes that the run began with, in the folders of ``scenes``. Raises TrainingError."""
        try:
            names = json.loads(self.scenes.read_text(encoding="utf-8"))
            return replace(scenes, names=list(names["names"]), held_out_names=list(names["held_out"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{self.scenes}: cannot be read ({error}); use another --out") from error

    def save(self, state: dict[str, Any]) -> None:
        """Keep a checkpoint, whole or not at all. Raises SaveError."""
        data = io.BytesIO()
        torch.save({"format": FORMAT, **state}, data)
        write_atomic(self.checkpoint, data.getvalue())

    def load(self) -> dict[str, Any] | None:
        """The checkpoint, on the CPU; None where there is none yet. Raises TrainingError when it is broken."""
        if not self.checkpoint.exists():
            return None
        try:
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            text = " ".join(str(error).split())[:200]
            raise TrainingError(
                f"{self.checkpoint}: cannot be read ({text}); remove it to begin again, or use another --out"
            ) from error
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise TrainingError(f"{self.checkpoint}: not of the format {FORMAT!r}; use another --out")
        return state

    def add(self, row: dict[str, Any]) -> None:
        """Add a line to the metrics. Raises SaveError."""
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, allow_nan=False) + "\n")
        except OSError as error:
            raise save_error(self.metrics, error) from error

    def rows(self) -> list[dict[str, Any]]:
        """The metrics so far."""
        if not self.metrics.exists():
            return []
        return [json.loads(line) for line in self.metrics.read_text(encoding="utf-8").splitlines()]

    def forget_after(self, step: int) -> None:
        """Drop the metrics of later steps, which will come again. Raises SaveError."""
        kept = [json.dumps(row) + "\n" for row in self.rows() if row["step"] <= step]
        write_atomic(self.metrics, "".join(kept))
