from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from grasp_core.errors import InputError
from grasp_learning import scenes_command
from grasp_learning.scenes.generator import Generator
from grasp_learning.scenes.scene_files import SceneSample, load_scene, scene_names, scene_path
from test.grasp_eval.limits import largest_file
from test.grasp_learning.scenes.samples import made_up
from test.grasp_learning.scenes.small_library import SPACING, folder


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the scenes that were made: quick ones."""
    numbers: list[int] = []

    def make(maker: Generator, index: int) -> SceneSample:
        if index == 13:
            raise InputError("no scene 13")
        numbers.append(index)
        sample = made_up(seed=index)
        sample.about.update(digest=maker.digest, kind="pile", index=index)
        return sample

    monkeypatch.setattr(Generator, "make", make)
    return numbers


def scenes(out: Path, *more: str) -> int:
    few = ["--labels", str(folder()), "--spacing", str(SPACING), "--workers", "1", "--count", "3"]
    return scenes_command.main([*few, "--out", str(out), *more])


def test_scenes_are_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str], made: list[int]) -> None:
    assert scenes(tmp_path) == 0
    said = capsys.readouterr().out
    assert "2 of 400 objects of procedural-train have labels" in said
    assert "3 scenes made, 0 kept, 0 missing" in said
    assert "a minute" in said
    names = scene_names(tmp_path)
    assert names == ["scene-000000", "scene-000001", "scene-000002"]
    assert scenes(tmp_path, "--count", "4") == 0
    assert "1 scenes made, 3 kept, 0 missing" in capsys.readouterr().out
    assert made == [0, 1, 2, 3]

    path = scene_path(tmp_path, names[1])
    path.write_bytes(path.read_bytes()[:500])
    assert scenes(tmp_path) == 0
    assert f"scene-000001: the old file was broken: {path}" in capsys.readouterr().out
    load_scene(path)

    assert scenes(tmp_path, "--seed", "1") == 0
    assert "scene-000002: the old file was of another recipe; made again" in capsys.readouterr().out


def test_what_cannot_be_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scenes(tmp_path, "--first", "12") == 1
    said = capsys.readouterr().out
    assert "no scene 13" in said
    assert "2 scenes made, 0 kept, 1 missing" in said
    assert scene_names(tmp_path) == ["scene-000012", "scene-000014"]


def test_no_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scenes(tmp_path, "--labels", str(tmp_path)) == 1
    assert f"{tmp_path}: no labels of procedural-train" in capsys.readouterr().err


def test_a_full_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with largest_file(1000):
        assert scenes(tmp_path) == 1
    assert "scene-000000.npz: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pictures" / "scene.png"
    assert scenes(tmp_path / "scenes", "--picture", str(path), "--first", "5") == 0
    assert "box-train-001" in capsys.readouterr().out
    assert Image.open(path).size == (640, 960)  # made up of one pair of views
    assert not (tmp_path / "scenes").exists()


@pytest.mark.parametrize("wrong", [["--count", "0"], ["--workers", "0"], ["--seed", "-1"], ["--spacing", "0"]])
def test_wrong_numbers(tmp_path: Path, wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        scenes(tmp_path, *wrong)
