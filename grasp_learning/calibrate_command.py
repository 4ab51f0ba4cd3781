"""`seegrasp learn calibrate`: from executed grasps to what the scores of a trained network mean."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from grasp_core.errors import SeegraspError
from grasp_eval.bench.store import load_run
from grasp_eval.results import SaveError, write_atomic
from grasp_learning.ranking_fit import Fit, executed, fit
from grasp_learning.training.checkpoint import RunFolder, TrainingError

_NAMES = {"auc": "area under the ROC curve", "log_loss": "log loss", "ece": "calibration error"}


def text(found: Fit) -> list[str]:
    """The fit as lines for the terminal."""
    weights = ", ".join(f"{name} {value:.2f}" for name, value in found.ranking.model_dump().items())
    lines = [f"{found.attempts} grasps executed, {found.held} held; log-odds: {weights}", "on rounds left out:"]
    return lines + [f"  {_NAMES[k]:<26} {found.before[k]:.3f} before, {found.after[k]:.3f} after" for k in _NAMES]


def main(argv: Sequence[str]) -> int:
    """Entry point of the command; returns its exit code."""
    p = argparse.ArgumentParser(prog="seegrasp learn calibrate", description=__doc__)
    p.add_argument("bench", type=Path, nargs="+", help="folders of `seegrasp bench clutter` with calibrated=false")
    p.add_argument("--run", type=Path, default=Path("out/training/dense"), help="folder of the run (%(default)s)")
    args = p.parse_args(argv)
    run = RunFolder(args.run)
    try:
        if not run.weights.is_file():
            raise TrainingError(f"{run.weights}: no such weights; `seegrasp learn train --out {run.path}` makes them")
        found = fit(executed([load_run(folder) for folder in args.bench], run.weights))
        write_atomic(run.ranking, yaml.safe_dump(found.ranking.model_dump(), sort_keys=False))
    except (SeegraspError, SaveError) as error:
        print(f"seegrasp learn calibrate: {error}", file=sys.stderr)
        return 1
    print("\n".join([*text(found), str(run.ranking)]))
    return 0
