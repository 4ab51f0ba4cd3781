"""Runs of a small network: they learn, stop, go on as if never stopped, and say what is wrong."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from grasp_eval.progress import Progress
from grasp_learning.training import command
from grasp_learning.training.batches import augmented_batch
from grasp_learning.training.checkpoint import RunFolder, Scenes, TrainingError
from grasp_learning.training.distributed import Ranks
from grasp_learning.training.loader import Batches, order
from grasp_learning.training.optimisation import learning_rate
from grasp_learning.training.recipe import Recipe
from grasp_learning.training.run import Pace, Run, train
from grasp_learning.training.validation import MEASURES, validate, validation_batches
from grasp_perception.dense import weights
from test.grasp_learning.training.training_scenes import RECIPE, SMALL, sample, write_scenes

CPU = torch.device("cpu")
NONE = Scenes(Path(), [], Path(), [])
ALONE = Pace(workers=0, validate_every=3)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    folder = tmp_path_factory.mktemp("scenes")
    names = write_scenes(folder, 4)
    return Scenes(folder, names[:3], folder, names[3:])


def run_in(folder: Path, recipe: Recipe = RECIPE) -> Run:
    place = RunFolder(folder)
    place.begin(recipe, NONE)
    return Run(recipe, place, CPU, Ranks())


def silent() -> Progress:
    return Progress(open(os.devnull, "w"))


def test_a_stopped_run_goes_on_bit_for_bit(scenes: Scenes, tmp_path: Path) -> None:
    whole = run_in(tmp_path / "whole")
    assert train(whole, scenes, ALONE, silent())
    first = run_in(tmp_path / "parts")
    assert not train(first, scenes, ALONE, silent(), stop=lambda: first.step == 3)
    second = run_in(tmp_path / "parts")
    assert second.step == 3
    assert train(second, scenes, ALONE, silent())
    a, b = (RunFolder(tmp_path / name) for name in ("whole", "parts"))
    one, other = a.load(), b.load()
    assert one["step"] == other["step"] == RECIPE.steps
    for part in ("model", "average"):
        for name, value in one[part].items():
            assert torch.equal(value, other[part][name]), name
    checks = [[row["validation"] for row in place.rows() if "validation" in row] for place in (a, b)]
    assert len(checks[0]) == 2
    assert checks[0] == checks[1]
    kept = weights.load(b.weights)
    assert kept.config == SMALL
    assert all(torch.equal(value, other["average"][name]) for name, value in kept.state_dict().items())
    assert b.curves.read_bytes().startswith(b"\x89PNG")


def test_workers_make_the_same_batches(scenes: Scenes, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"steps": 2})
    runs = []
    for workers in (0, 1):
        run = run_in(tmp_path / str(workers), recipe)
        train(run, scenes, Pace(workers=workers), silent())
        runs.append(run.model.state_dict())
    assert all(torch.equal(value, runs[1][name]) for name, value in runs[0].items())


def test_batches_depend_on_step_and_rank_alone(scenes: Scenes) -> None:
    alone, second = (Batches(scenes.folder, scenes.names, RECIPE, ranks) for ranks in (Ranks(), Ranks(1, 2)))
    assert torch.equal(alone[4].scenes.points, alone[4].scenes.points)
    assert alone[4].scenes_of == alone[4].scenes_of
    assert not torch.equal(alone[4].scenes.points[:50], second[4].scenes.points[:50])
    seen = [name.split(":")[0] for step in range(3) for name in alone[step].scenes_of]
    assert sorted(seen[:3]) == sorted(seen[3:]) == scenes.names  # every scene once before any comes again
    assert sorted(order(0, 7, 5)) == list(range(5))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_one_scene_is_learnt(precision: str) -> None:
    changes = {"steps": 60, "learning_rate": 4e-3, "precision": precision, "own_seeds": 0.0}
    recipe = RECIPE.model_copy(update=changes)
    run = Run(recipe, RunFolder(Path("unused")), CPU, Ranks())
    batch = augmented_batch([(sample(0), 0), (sample(0), 1)], recipe, np.random.default_rng(0))
    found = [run.advance(batch) for _ in range(recipe.steps)]
    for name, share in (("objectness", 0.3), ("view", 0.3), ("score", 0.6), ("width", 0.5), ("loss", 0.35)):
        assert found[-1][name] < share * found[0][name], name
    assert all(torch.isfinite(value) for value in found[-1].values())


def test_validation_measures_the_labels_by_themselves(scenes: Scenes) -> None:
    batches = validation_batches(scenes.folder, scenes.names, RECIPE)
    run = Run(RECIPE, RunFolder(Path("unused")), CPU, Ranks())
    torch.nn.init.constant_(run.model.point_head.layers[-1].bias, 10.0)
    found = validate(run.model.eval(), batches, RECIPE, CPU)
    assert set(found) <= set(MEASURES)
    assert 0 <= found["good"] <= found["ceiling"] <= 1
    assert found["found"] == 1.0
    assert found["objectness"] < 0.5


def test_learning_rate_rises_and_falls() -> None:
    recipe = Recipe(steps=1000, warm_up=0.1, learning_rate=1.0)
    rates = [learning_rate(step, recipe) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(1.0)
    assert 98 <= int(np.argmax(rates)) <= 101
    assert rates[-1] == pytest.approx(0.01, abs=1e-4)
    assert (np.diff(rates[101:]) < 0).all()


def test_another_recipe_is_refused(scenes: Scenes, tmp_path: Path) -> None:
    run = run_in(tmp_path)
    run.save()
    with pytest.raises(TrainingError, match=r"another recipe: learning_rate \(0.002, now 0.1\)"):
        RunFolder(tmp_path).begin(RECIPE.model_copy(update={"learning_rate": 0.1}), NONE)
    RunFolder(tmp_path).begin(RECIPE, NONE)
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(TrainingError, match=r"checkpoint\.pt: cannot be read .*remove it to begin again"):
        run_in(tmp_path)


def test_a_loss_that_is_not_finite_ends_the_run(scenes: Scenes, tmp_path: Path) -> None:
    run = run_in(tmp_path, RECIPE.model_copy(update={"steps": 1}))
    with torch.no_grad():
        run.model.view_head.scores.bias.fill_(torch.nan)
    with pytest.raises(TrainingError, match=r"no longer finite at step 1.*lower learning_rate"):
        train(run, scenes, ALONE, silent())


def test_the_command(scenes: Scenes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "recipe.yaml"
    config.write_text(RECIPE.to_yaml())
    asked = ["--scenes", str(scenes.folder), "--out", str(tmp_path / "run"), "--config", str(config)]
    assert command.main([*asked, "--steps", "2", "--workers", "0"]) == 0
    assert "3 scenes, 1 held out; step 0 of 2" in (told := capsys.readouterr().out)
    assert "weights.safetensors" in told
    write_scenes(scenes.folder, 5)  # more of them later change nothing of a run
    assert command.main([*asked, "--steps", "2", "--workers", "0"]) == 0
    assert "3 scenes, 1 held out; step 2 of 2" in capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 2]
    assert command.main([*asked, "--steps", "3", "--workers", "0"]) == 1
    assert "another recipe: steps (2, now 3)" in capsys.readouterr().err
    assert command.main(["--scenes", str(tmp_path / "none"), "--out", str(tmp_path / "other")]) == 1
    assert "no scenes there" in capsys.readouterr().err


RANK = """
import sys
from pathlib import Path
import torch
from grasp_learning.training.distributed import join, leave
from test.grasp_learning.training.test_training_run import ALONE, CPU, RECIPE, Run, RunFolder, Scenes, silent, train
folder, names = Path(sys.argv[1]), sys.argv[2].split(",")
ranks = join("cpu")
run = Run(RECIPE, RunFolder(Path(sys.argv[3])), CPU, ranks)
assert train(run, Scenes(folder, names, folder, names[:1]), ALONE, silent())
print(ranks.rank, sum(value.double().sum().item() for value in run.model.parameters()).hex())
leave()
"""


def test_two_processes_hold_the_same_weights(scenes: Scenes, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    RunFolder(tmp_path).begin(RECIPE, NONE)
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-c", RANK, str(scenes.folder), ",".join(scenes.names), str(tmp_path)]
    started = [
        subprocess.Popen(
            arguments,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        for rank in (0, 1)
    ]
    told = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    sums = dict(line.split() for out, _ in told for line in out.splitlines())
    assert sums["0"] == sums["1"]
    assert RunFolder(tmp_path).load()["step"] == RECIPE.steps
    assert [row["step"] for row in RunFolder(tmp_path).rows()] == [3, 6, 6]
