"""The card of exported weights: what they are for, how they were made, how good they are, what they cannot do."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grasp_learning.archives import ABOUT
from grasp_learning.scenes.scene_files import AGAIN, ScenesError, scene_path
from grasp_learning.training.recipe import Recipe
from grasp_learning.training.validation import MEASURES
from grasp_perception.dense.ranking import Ranking


@dataclass(frozen=True)
class ScenesMade:
    """Scenes in words. kinds, noise: how many scenes and views of each. objects: names of all that occur."""

    count: int
    kinds: dict[str, int]
    noise: dict[str, int]
    objects: frozenset[str]

    @classmethod
    def of(cls, folder: Path, names: Sequence[str]) -> ScenesMade:
        """What the files of those scenes say of themselves. Raises ScenesError."""
        abouts = [_about(scene_path(folder, name)) for name in names]
        return cls(
            len(abouts),
            dict(Counter(str(about.get("kind", "unknown")) for about in abouts).most_common()),
            dict(Counter(noise for about in abouts for noise in about["noise"]).most_common()),
            frozenset(name for about in abouts for name in about["names"]),
        )

    def text(self) -> str:
        """One sentence."""
        families = sorted({name.partition("-")[0] for name in self.objects})
        return (
            f"{self.count} simulated scenes ({_counts(self.kinds)}) of {len(self.objects)} objects of {len(families)} "
            f"procedural families ({', '.join(families)}), {sum(self.noise.values())} depth images "
            f"(noise: {_counts(self.noise)})"
        )


@dataclass(frozen=True)
class Facts:
    """What a card tells.

    sha256: of the file. size: in bytes. precision: of its numbers. parameters: how many. step: of the checkpoint.
    ranking: what scores mean. trained_on, held_out: scenes. validation: step and measures. commit: of the code.
    """

    file: str
    sha256: str
    size: int
    precision: str
    parameters: int
    step: int
    recipe: Recipe
    ranking: Ranking
    trained_on: ScenesMade
    held_out: ScenesMade
    validation: tuple[int, dict[str, float]]
    commit: str


def card(facts: Facts) -> str:
    """The card as Markdown."""
    recipe = facts.recipe
    step, measured = facts.validation
    rows = "\n".join(f"| `{name}` | {measured[name]:.4f} | {MEASURES[name]} |" for name in MEASURES if name in measured)
    network = json.dumps(recipe.network.model_dump(mode="json", exclude={"ranking"}))
    stroke = f"{1e3 * recipe.network.max_width:.0f} mm"
    return f"""# Weights of the dense grasp detector

| | |
|---|---|
| file | `{facts.file}`, {facts.size / 1e6:.1f} MB, {facts.precision}, {facts.parameters / 1e6:.2f} million parameters |
| SHA-256 | `{facts.sha256}` |
| code | commit `{facts.commit}` |
| licence | Apache-2.0 |

## Intended use

Grasps for parallel grippers of at most {stroke} stroke, from one depth image of objects on a flat support or in a
bin: `seegrasp bench clutter --detector dense`, `detector:=dense`. Input is a cloud in the base frame (z up, 5 mm
voxels) and, if known, where the camera stands; colour is not used. Output is a pose, an opening, a score and a
stability for each grasp. {_scores(facts.ranking)}

## Data

Trained on {facts.trained_on.text()}.

Held out: {facts.held_out.text()}.

All of it is made by `seegrasp learn labels` and `seegrasp learn scenes` from shapes and seeds; no data of others, no
pictures of real things.

## Training

{facts.step} of {recipe.steps} steps, {recipe.batch} scenes a step on each process, {recipe.precision}, AdamW,
learning rate {recipe.learning_rate:g} with warm-up and cosine. Here is the running average of the weights, decay
{recipe.average:g}.
Network: `{network}`.

## Validation

On the scenes held out, at step {step}:

| measure | value | meaning |
|---|---:|---|
{rows}

## Limits

- Simulated shapes and simulated noise only: never seen were real depth images, transparent or shiny things, cloth,
  cables, people.
- Objects of a size that the gripper spans at least one way, up to some 25 cm; views from straight above to 60 degrees.
- Uniform density is assumed: the centre of mass of something filled unevenly is guessed wrong.
- Nothing here keeps anybody safe. Grasps are proposals, which planner, force limits and people must check.
"""


def _scores(ranking: Ranking) -> str:
    if ranking == Ranking():
        return "Scores are not calibrated: they are for ranking."
    weights = ", ".join(f"{name} {value:.2f}" for name, value in ranking.model_dump().items())
    return (
        f"Scores are probabilities of success, fitted to\ngrasps that were executed on the benchmark bed ({weights})."
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())


def _about(path: Path) -> dict[str, Any]:
    """What a file says of itself, without reading the rest."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return json.loads(str(file[ABOUT]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ScenesError(f"{path}: not a whole file of a scene ({error}); {AGAIN}") from error
