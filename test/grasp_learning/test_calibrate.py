"""`seegrasp learn calibrate`: odds that executed grasps obey are found again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from grasp_core.config import load_model
from grasp_core.errors import InputError
from grasp_eval.bench.records import Attempt, RunConfig
from grasp_eval.bench.store import StoredRun
from grasp_learning import calibrate_command
from grasp_learning.ranking_fit import LEAST, executed, fit
from grasp_learning.training.checkpoint import RunFolder
from grasp_perception.dense.params import DenseParams
from grasp_perception.dense.ranking import Ranking

TRUE = Ranking(bias=0.5, score=1.5, depth=1.2, thickness=2.0)
CLEARANCE = DenseParams().clearance
STEADY = DenseParams().stability_weight


def stored(path: Path, count: int = 4000, **params: object) -> StoredRun:
    """Attempts on grasps of every kind whose odds are those of TRUE, and of stability as by default."""
    rng = np.random.default_rng(0)
    params = {"weights": str(path), "calibrated": False, "stability_weight": 0.0} | params
    score, steady = rng.uniform(0.05, 0.95, count), rng.uniform(0.5, 1.0, count)
    depth, width = rng.choice([0.005, 0.01, 0.02, 0.03], count), rng.uniform(0.005, 0.06, count)
    odds = TRUE.bias + TRUE.score * np.log(score / (1 - score)) + STEADY * np.log(steady)
    odds += TRUE.depth * np.log(np.minimum(depth / 0.02, 1)) + TRUE.thickness * np.log(np.minimum(width / 0.02, 1))
    held = rng.random(count) < 1 / (1 + np.exp(-odds))
    told = score / (1 - score) * steady ** params["stability_weight"]
    told = told / (1 + told)
    attempts = [
        Attempt(i // 10, i % 10, bool(h), "held" if h else "dropped_in_lift", s, w + 2 * CLEARANCE, d, t, [], [])
        for i, (h, s, w, d, t) in enumerate(zip(held, told, width, depth, steady, strict=True))
    ]
    config = RunConfig(detector="dense", detector_params=params)
    return StoredRun(config, {}, [], attempts, [], Path("bench"))


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_odds_are_found_again_whatever_the_weight_of_stability_was(tmp_path: Path, weight: float) -> None:
    run = stored(tmp_path / "w", stability_weight=weight)
    found = fit(executed([run], tmp_path / "w"))
    for name, value in TRUE.model_dump().items():
        assert getattr(found.ranking, name) == pytest.approx(value, abs=0.2), name
    assert found.after["auc"] > found.before["auc"] + 0.01
    assert found.after["log_loss"] < found.before["log_loss"]
    assert found.after["ece"] < 0.05


def test_what_was_not_believable_does_not_count(tmp_path: Path) -> None:
    run = stored(tmp_path / "w")
    strange = [replace(attempt, reason="unphysical", success=False) for attempt in run.attempts[:500]]
    run.attempts[:500] = strange
    assert len(executed([run], tmp_path / "w").held) == 3500


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"calibrated": True}, "its scores are calibrated"),
        ({"weights": "other"}, "its weights are other, not"),
    ],
)
def test_other_runs_are_refused(tmp_path: Path, params: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        executed([stored(tmp_path / "w", **params)], tmp_path / "w")


def test_a_run_of_another_detector_is_refused(tmp_path: Path) -> None:
    run = replace(stored(tmp_path / "w"), config=RunConfig(detector="analytic"))
    with pytest.raises(InputError, match="a run of 'analytic'"):
        executed([run], tmp_path / "w")


def test_a_few_attempts_say_too_little(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{LEAST - 1} attempts, .* at least {LEAST} are needed"):
        executed([stored(tmp_path / "w", LEAST - 1)], tmp_path / "w")


def test_the_command_keeps_the_ranking_beside_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = RunFolder(tmp_path)
    argv = ["--run", str(tmp_path), "bench"]
    assert calibrate_command.main(argv) == 1
    assert "weights.safetensors: no such weights; `seegrasp learn train --out" in capsys.readouterr().err
    run.weights.write_bytes(b"")
    assert calibrate_command.main(argv) == 1
    assert "bench" in capsys.readouterr().err
    monkeypatch.setattr(calibrate_command, "load_run", lambda folder: stored(run.weights))
    assert calibrate_command.main(argv) == 0
    assert "4000 grasps executed" in capsys.readouterr().out
    kept = load_model(run.ranking, Ranking)
    assert kept.score == pytest.approx(TRUE.score, abs=0.2)
    assert list(yaml.safe_load(run.ranking.read_text())) == ["bias", "score", "depth", "thickness"]
