from __future__ import annotations

import json
from pathlib import Path

import pytest

from grasp_core.errors import SeegraspError
from grasp_learning import check_command, cli, labels_command
from grasp_learning.label_files import label_path, load_labels
from grasp_learning.labels_command import Done, Task, report, run_task, spread
from grasp_learning.task_pool import run_all
from grasp_sim.object_sets import load_object_set
from test.grasp_eval.limits import largest_file

FEW = ["--objects", "procedural-val", "--limit", "1", "--spacing", "0.05", "--workers", "1"]
NAME = spread(load_object_set("procedural-val").names, 1)[0]


def labels(out: Path, *more: str) -> int:
    return labels_command.main([*FEW, "--out", str(out), *more])


def test_labels_are_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert labels(tmp_path) == 0
    assert "1 objects labelled, 0 kept" in capsys.readouterr().out
    path = label_path(tmp_path, NAME)
    first = load_labels(path)
    assert first.name == NAME
    written = path.stat().st_mtime_ns
    assert labels(tmp_path) == 0
    assert "0 objects labelled, 1 kept" in capsys.readouterr().out
    assert path.stat().st_mtime_ns == written

    path.write_bytes(path.read_bytes()[:5000])
    assert labels(tmp_path) == 0
    said = capsys.readouterr().out
    assert f"{NAME}: the old file was broken: {path}" in said
    assert load_labels(path).digest == first.digest

    assert labels(tmp_path, "--spacing", "0.06") == 0
    assert "the old file was of another recipe; made again" in capsys.readouterr().out
    assert load_labels(path).digest != first.digest


def test_a_full_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with largest_file(1000):
        assert labels(tmp_path) == 1
    assert f"{label_path(tmp_path, NAME)}: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert labels(tmp_path / "file" / "labels") == 1
    assert "file" in capsys.readouterr().err


def test_unknown_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert labels(tmp_path, "--objects", "no_such_set") == 1
    assert "no_such_set" in capsys.readouterr().err


def test_workers_pass_errors_on(tmp_path: Path) -> None:
    tasks = [Task("procedural-val", "no_such_object", "robotiq_2f85", 0.05, tmp_path)] * 3
    with pytest.raises(SeegraspError, match="no_such_object"):
        list(run_all(run_task, tasks, workers=2))


def test_spread_covers_the_families() -> None:
    names = spread(load_object_set("procedural-train").names, 10)
    assert len({name.split("-")[0] for name in names}) == 10
    assert spread(["a", "b"], 5) == ["a", "b"]
    assert spread(["a", "b"], None) == ["a", "b"]


def test_report_names_the_rate() -> None:
    class Silent:
        def line(self, text: str) -> None: ...
        def status(self, text: str, key: str | None = None) -> None: ...

    text = report([Done("a", 100, False, 10.0, 2**20), Done("b", 5, True)], 2, Silent())
    assert text == "1 objects labelled, 1 kept; 1.8 million candidates, 180,000 a second of CPU; 1.0 MiB"


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--objects", "procedural-val", "--samples", "6", "--spacing", "0.04", "--out", str(tmp_path)]
    code = check_command.main(options)
    said = capsys.readouterr().out
    assert "agreement" in said
    result = json.loads((tmp_path / "check.json").read_text())
    assert code == int(result["agreement"]["rate"] < check_command.LIMIT)
    assert sum(row["good"]["of"] for row in result["strata"].values()) == 6


@pytest.mark.parametrize(
    "argv", [["labels", "--workers", "0"], ["labels", "--limit", "0"], ["check", "--samples", "0"]]
)
def test_impossible_options(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(argv)
    assert end.value.code == 2


def test_dispatcher(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert cli.main(["--help"]) == 0
    assert "labels" in capsys.readouterr().out
    assert cli.main(["dance"]) == 2
    assert f"no command 'dance'; there are {', '.join(cli.COMMANDS)}" in capsys.readouterr().err
