"""`seegrasp learn export`: what comes out is the average of the run, and its card tells where it is from."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch

from grasp_core.errors import InputError
from grasp_eval.progress import Progress
from grasp_learning import export_command
from grasp_learning.training.checkpoint import RunFolder, Scenes, TrainingError
from grasp_learning.training.command import split
from grasp_learning.training.distributed import Ranks
from grasp_learning.training.run import Pace, Run, train
from grasp_perception.dense import weights
from grasp_perception.dense.ranking import Ranking
from grasp_perception.detectors import make_detector
from test.grasp_learning.training.training_scenes import RECIPE, write_scenes


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Path]:
    """A run of two steps, and its scenes."""
    folder = tmp_path_factory.mktemp("export")
    write_scenes(folder / "scenes", 4)
    run = RunFolder(folder / "run")
    recipe = RECIPE.model_copy(update={"steps": 2})
    scenes = split(folder / "scenes", None)
    run.begin(recipe, scenes)
    with open(os.devnull, "w") as nowhere:
        train(
            Run(recipe, run, torch.device("cpu"), Ranks()),
            scenes,
            Pace(workers=0, validate_every=2),
            Progress(nowhere),
        )
    return run, folder / "scenes"


def folders(scenes: Path) -> Scenes:
    return Scenes(scenes, [], scenes, [])


def test_what_is_exported_is_the_average(trained: tuple[RunFolder, Path], tmp_path: Path) -> None:
    run, scenes = trained
    out = tmp_path / "new" / "w.safetensors"
    assert export_command.main(["--run", str(run.path), "--scenes", str(scenes), "--out", str(out)]) == 0
    loaded, average = weights.load(out).state_dict(), run.load()["average"]
    for name, value in average.items():
        assert torch.equal(loaded[name], value), name
    assert not all(torch.equal(loaded[name], value) for name, value in run.load()["model"].items())
    notes = weights.notes(out)
    assert notes["step"] == "2"
    assert json.loads(notes["recipe"])["steps"] == 2
    assert make_detector("dense", weights=str(out)).inner.model.config == RECIPE.network


def test_the_card_tells_where_it_is_from(trained: tuple[RunFolder, Path], tmp_path: Path) -> None:
    run, scenes = trained
    out = export_command.export(run, tmp_path / "w.safetensors", folders(scenes), "float32")
    text = out.with_suffix(".md").read_text(encoding="utf-8")
    found = json.loads(run.metrics.read_text().splitlines()[-1])["validation"]
    expected = [
        hashlib.sha256(out.read_bytes()).hexdigest(), "Apache-2.0", "2 of 2 steps", "3 simulated scenes", "1 objects",
        "12 none", f"| `good` | {found['good']:.4f} |", "## Limits", "## Intended use", weights.notes(out)["commit"],
    ]  # fmt: skip
    assert [part for part in expected if part not in text] == []


def test_what_scores_mean_goes_with_the_weights(
    trained: tuple[RunFolder, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run, scenes = trained
    out = tmp_path / "w.safetensors"
    argv = ["--run", str(run.path), "--scenes", str(scenes), "--out", str(out)]
    assert export_command.main(argv) == 0
    assert "its scores are not calibrated: `seegrasp learn calibrate` first" in capsys.readouterr().err
    assert "Scores are not calibrated" in out.with_suffix(".md").read_text()
    run.ranking.write_text("{bias: 1.0, score: 1.5, depth: 2.0, thickness: 3.0}")
    try:
        assert export_command.main(argv) == 0
    finally:
        run.ranking.unlink()
    assert capsys.readouterr().err == ""
    assert weights.load(out).config.ranking == Ranking(bias=1.0, score=1.5, depth=2.0, thickness=3.0)
    assert "Scores are probabilities of success" in out.with_suffix(".md").read_text()


def test_half_precision_says_the_same_in_half_the_bytes(
    trained: tuple[RunFolder, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, scenes = trained
    sizes = [
        export_command.export(run, tmp_path / "w.safetensors", folders(scenes), precision).stat().st_size
        for precision in ("float32", "float16")
    ]
    assert sizes[1] < 0.7 * sizes[0]
    monkeypatch.setattr(export_command, "MOST_CHANGE", 0.0)
    with pytest.raises(TrainingError, match=r"changes scores by 0\.00.*--precision float32"):
        export_command.export(run, tmp_path / "other.safetensors", folders(scenes), "float16")
    assert not (tmp_path / "other.safetensors").exists()


def test_what_would_be_too_large_is_not_written(
    trained: tuple[RunFolder, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, scenes = trained
    monkeypatch.setattr(export_command, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match="--precision float16"):
        export_command.export(run, tmp_path / "w.safetensors", folders(scenes), "float32")
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_said(
    trained: tuple[RunFolder, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run, scenes = trained
    out = ["--out", str(tmp_path / "w.safetensors")]
    assert export_command.main(["--run", str(tmp_path), "--scenes", str(scenes), *out]) == 1
    assert "no such checkpoint; `seegrasp learn train --out" in capsys.readouterr().err
    assert export_command.main(["--run", str(run.path), "--scenes", str(tmp_path), *out]) == 1
    assert "scene-000000.npz: not a whole file of a scene" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export_command.main(["--out", "weights.pt"])


def test_weights_without_validation_are_not_exported(trained: tuple[RunFolder, Path], tmp_path: Path) -> None:
    run, scenes = trained
    bare = RunFolder(tmp_path / "run")
    bare.begin(RECIPE, split(scenes, None))
    bare.save({key: value for key, value in run.load().items() if key != "format"})
    with pytest.raises(TrainingError, match="no validation until step 2"):
        export_command.export(bare, tmp_path / "w.safetensors", folders(scenes), "float32")
