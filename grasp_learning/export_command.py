"""`seegrasp learn export`: the averaged weights of a run as a file for the detector `dense`, with its model card."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from grasp_core.config import load_model
from grasp_core.errors import InputError, SeegraspError
from grasp_eval.report import versions
from grasp_eval.results import SaveError, save_error, write_atomic
from grasp_learning.model_card import Facts, ScenesMade, card
from grasp_learning.training.checkpoint import RunFolder, Scenes, TrainingError
from grasp_learning.training.recipe import Recipe
from grasp_learning.training.validation import validation_batches
from grasp_perception.dense import weights
from grasp_perception.dense.inputs import Encoded
from grasp_perception.dense.model import DenseModel
from grasp_perception.dense.ranking import Ranking

MOST_BYTES = 30_000_000  # what a repository carries without complaint
DTYPES = {"float32": torch.float32, "float16": torch.float16}
MOST_CHANGE = 0.01  # of a score in [0, 1] by rounding to half precision
MOST_WIDENING = 0.0005  # m, likewise of a width
CHECKED = 4  # scenes


def main(argv: Sequence[str]) -> int:
    """Entry point of the command; returns its exit code."""
    args = _parse(argv)
    scenes = Scenes(args.scenes, [], args.validation or args.scenes, [])
    try:
        path = export(RunFolder(args.run), args.out, scenes, args.precision)
    except (SeegraspError, SaveError) as error:
        print(f"seegrasp learn export: {error}", file=sys.stderr)
        return 1
    if not RunFolder(args.run).ranking.exists():
        print("its scores are not calibrated: `seegrasp learn calibrate` first (docs/LEARNING.md)", file=sys.stderr)
    print(f"{path}, {path.stat().st_size / 1e6:.1f} MB; {path.with_suffix('.md')}")
    return 0


def export(run: RunFolder, out: Path, scenes: Scenes, precision: str) -> Path:
    """Write weights and card; returns the path of the weights.

    Args:
        run: with recipe, checkpoint and metrics.
        out: the file of weights; the card lies beside it.
        scenes: the folders of what the run was trained on, and what not; it remembers the names.
        precision: a key of DTYPES.

    Raises:
        TrainingError: there is no checkpoint or no validation, or rounding changes what the network says.
        InputError: the file would be too large.
        SaveError, ConfigError, ScenesError: something cannot be written or read.
    """
    state = run.load()
    if state is None:
        raise TrainingError(f"{run.checkpoint}: no such checkpoint; `seegrasp learn train --out {run.path}` makes it")
    recipe, scenes = load_model(run.recipe, Recipe), run.kept(scenes)
    ranking = load_model(run.ranking, Ranking) if run.ranking.exists() else Ranking()
    model = DenseModel(recipe.network.model_copy(update={"ranking": ranking})).eval()
    model.load_state_dict(state["average"])
    dtype = DTYPES[precision]
    if dtype is not torch.float32:
        _check_rounding(model, dtype, scenes, recipe)
    numbers = sum(value.numel() for value in model.state_dict().values())
    if (size := numbers * dtype.itemsize) > MOST_BYTES:
        raise InputError(
            f"{out}: would have {size / 1e6:.0f} MB, at most {MOST_BYTES / 1e6:.0f} MB are exported: take --precision "
            "float16, or a smaller network"
        )
    validation = _validation(run, state["step"])
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise save_error(out.parent, error) from error
    commit = versions()["seegrasp"]
    notes = {"commit": commit, "step": str(state["step"]), "recipe": recipe.model_dump_json()}
    weights.save(model, out, dtype, **notes, licence="Apache-2.0")
    data = out.read_bytes()
    made = [ScenesMade.of(scenes.folder, scenes.names), ScenesMade.of(scenes.held_out, scenes.held_out_names)]
    digest = hashlib.sha256(data).hexdigest()
    facts = Facts(
        out.name, digest, len(data), precision, numbers, state["step"], recipe, ranking, *made, validation, commit
    )  # fmt: skip
    write_atomic(out.with_suffix(".md"), card(facts))
    return out


def _validation(run: RunFolder, step: int) -> tuple[int, dict[str, float]]:
    """The last validation until that step."""
    rows = [row for row in run.rows() if "validation" in row and row["step"] <= step]
    if not rows:
        raise TrainingError(
            f"{run.metrics}: no validation until step {step}; train on, with a lower --validate-every if need be"
        )
    return rows[-1]["step"], rows[-1]["validation"]


def _check_rounding(model: DenseModel, dtype: torch.dtype, scenes: Scenes, recipe: Recipe) -> None:
    """TrainingError when rounding the weights changes what the network says about scenes held out."""
    rounded = DenseModel(recipe.network).eval()
    rounded.load_state_dict({n: v.to(dtype) if v.is_floating_point() else v for n, v in model.state_dict().items()})
    for batch in validation_batches(scenes.held_out, scenes.held_out_names[:CHECKED], recipe):
        change, widening = _difference(model, rounded, batch.scenes, batch.seeds)
        if not (change <= MOST_CHANGE and widening <= MOST_WIDENING):
            raise TrainingError(
                f"{dtype} changes scores by {change:.3f} and widths by {1e3 * widening:.2f} mm in "
                f"{batch.scenes_of[0]}, {MOST_CHANGE} and {1e3 * MOST_WIDENING} mm are tolerated: export with "
                "--precision float32"
            )


@torch.inference_mode()
def _difference(a: DenseModel, b: DenseModel, scenes: Encoded, seeds: torch.Tensor) -> tuple[float, float]:
    """Largest differences of scores and of widths (m) at the same seeds and views."""
    one = a(scenes, seeds)
    other = b(scenes, seeds, one.views)
    scores = (one.score.sigmoid() - other.score.sigmoid()).abs()
    return float(scores.max()), float((one.width - other.width).abs().max())


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="seegrasp learn export", description=__doc__)
    p.add_argument("--run", type=Path, default=Path("out/training/dense"), help="folder of the run (%(default)s)")
    p.add_argument("--out", type=Path, default=Path("out/dense.safetensors"), help="file of weights (%(default)s)")
    p.add_argument(
        "--scenes", type=Path, default=Path("out/scenes"), help="folder of the scenes of the run (%(default)s)"
    )
    p.add_argument("--validation", type=Path, help="folder of those held out, as for `learn train` (--scenes)")
    p.add_argument("--precision", choices=tuple(DTYPES), default="float32", help="of the numbers (%(default)s)")
    args = p.parse_args(argv)
    if args.out.suffix != ".safetensors":
        p.error(f"--out {args.out}: expected a name that ends with .safetensors")
    return args
