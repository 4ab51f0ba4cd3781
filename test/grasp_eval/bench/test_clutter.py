"""`seegrasp bench clutter`: what it checks, what it writes, and what is left when it is stopped."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from grasp_core.errors import SeegraspError
from grasp_eval.bench import clutter, scheduler
from grasp_eval.bench.records import RunConfig, untimed
from grasp_eval.bench.store import load_run
from test.grasp_eval.limits import largest_file

ROOT = Path(__file__).resolve().parents[3]
FAKE = "test.grasp_eval.bench.fake_rounds"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds of the fake detector instead of physics."""

    def job(config: RunConfig) -> scheduler.Job:
        return scheduler.Job(config, f"{FAKE}:make", f"{FAKE}:play")

    monkeypatch.setattr("grasp_eval.bench.measure.Job", job)


def options(*argv: str) -> RunConfig:
    return clutter.config_of(clutter.parser().parse_args(argv))


def test_defaults_are_those_of_the_records() -> None:
    assert options() == RunConfig()


def test_detector_parameters_are_json_or_words() -> None:
    found = options("--detector-param", "k=[1, 2.5]", "--detector-param", "mode=fast", "--detector-param", "on=true")
    assert found.detector_params == {"k": [1, 2.5], "mode": "fast", "on": True}


def test_own_files_become_absolute_and_names_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("meshes", "giga", "procedural"):
        Path(name).mkdir()
    found = options("--objects", "meshes", "--protocol", "giga", "--gripper", "mine.yaml")
    assert (found.objects, found.protocol) == (str(tmp_path / "meshes"), "giga")
    assert found.gripper == str(tmp_path / "mine.yaml")
    assert options("--objects", "procedural").objects == "procedural"
    assert options("--objects", "meshes@0.001").objects == str(tmp_path / "meshes@0.001")
    assert options("--detector-python", "venv/bin/python").detector_python == str(tmp_path / "venv/bin/python")
    assert options("--detector-python", "python3").detector_python == "python3"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--rounds", "0"], "--rounds 0: expected at least 1"),
        (["--seed", "-1"], "--seed -1"),
        (["--count", "0"], "--count 0"),
        (["--workers", "0"], "--workers 0"),
        (["--detector-timeout", "nan"], "--detector-timeout nan: expected a number of seconds above 0"),
        (["--detector-timeout", "inf"], "--detector-timeout inf"),
        (["--detector-param", "k=[NaN]"], "NaN is not a number that JSON has"),
        (["--detector-param", "k"], "--detector-param 'k': expected KEY=VALUE"),
        (["--detector-param", "k=[1,"], "--detector-param 'k=[1,': the value is not JSON"),
        (["--protocol", "chess"], "no protocols profile 'chess'"),
        (["--protocol", "giga", "--scene", "bin"], "protocol 'giga' has no scene 'bin'; it has pile, packed"),
        (["--objects", "no/such/folder"], "object set 'no/such/folder' is unknown"),
        (["--noise", "fog"], "depth noise 'fog' is unknown"),
        (["--gripper", "tweezers"], "tweezers"),
        (["--detector", "oracle", "--detector-param", "k=1"], "--detector oracle is a reference"),
    ],
)
def test_bad_options_are_named_before_anything_is_made(tmp_path: Path, capsys, argv: list[str], words: str) -> None:
    out = tmp_path / "run"
    assert clutter.main([*argv, "--out", str(out)]) == 1
    assert words in capsys.readouterr().err
    assert not out.exists()


def test_too_little_room_is_said_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9 - 10**7, 10**7))
    with pytest.raises(SeegraspError, match=r"10 MB free, a run of 100 rounds may need 55 MB"):
        clutter.check(RunConfig(), tmp_path / "run")


def test_references_get_the_same_scenes() -> None:
    args = clutter.parser().parse_args(["--rounds", "50", "--detector-param", "k=1"])
    config = clutter.config_of(args)
    found = clutter.reference_runs(args, config)
    assert [(r.detector, r.rounds, r.detector_params) for r in found] == [("oracle", 20, {}), ("top_down", 20, {})]
    assert {r.scene_key() for r in found} == {config.scene_key()}
    args.references = 0
    assert clutter.reference_runs(args, config) == []
    args = clutter.parser().parse_args(["--detector", "oracle", "--rounds", "3"])
    assert [(r.detector, r.rounds) for r in clutter.reference_runs(args, clutter.config_of(args))] == [("top_down", 3)]


@pytest.mark.usefixtures("fake")
def test_a_whole_run_and_more_rounds_of_it(tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    argv = ["--detector", "fake", "--rounds", "3", "--references", "1", "--pictures", "2", "--out", str(out)]
    assert clutter.main([*argv, "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"fake: 3/3 rounds, GSR [\d.]+ % \[[\d.]+, [\d.]+\] of 9 attempts", said)
    assert "declutter rate" in said
    assert said.rstrip().endswith(str(out / "report.html"))
    assert (out / "report.html").stat().st_size > 1000
    assert json.loads((out / "summary.json").read_text())["rounds"]["done"] == 3
    run = load_run(out)
    assert len(list((out / "pictures").iterdir())) == 2
    assert run.about["command"].startswith("seegrasp bench clutter --detector fake")
    assert run.about["protocol"]["name"] == "seegrasp"
    assert {load_run(out / name).config.detector for name in ("oracle", "top_down")} == {"oracle", "top_down"}

    assert clutter.main([*argv, "--workers", "2", "--rounds", "5"]) == 0
    assert "fake: 3 rounds are there already, 2 to go" in capsys.readouterr().out
    more = load_run(out)
    assert [r.round for r in more.rounds] == list(range(5))
    assert [untimed(r) for r in more.rounds[:3]] == [untimed(r) for r in run.rounds]

    assert clutter.main([*argv, "--seed", "4"]) == 1
    captured = capsys.readouterr()
    assert "seed was 0 and is 4" in captured.err
    assert "declutter rate" not in captured.out


@pytest.mark.usefixtures("fake")
def test_a_detector_that_cannot_be_made_leaves_nothing(tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    assert clutter.main(["--detector", "refuses", "--out", str(out)]) == 1
    assert "detector 'refuses' cannot be made: it raised ConfigError: unknown detector" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.usefixtures("fake")
def test_rounds_before_the_last_straw_are_reported(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "MAX_DEATHS", 2)
    out = tmp_path / "run"
    argv = ["--detector", "fake", "--detector-param", "leave=[1, 2]", "--rounds", "9", "--workers", "1"]
    assert clutter.main([*argv, "--references", "0", "--out", str(out)]) == 1
    captured = capsys.readouterr()
    assert "2 rounds in a row ended with their worker: the last one left with exit code 3" in captured.err
    assert "fake: 3 of 9 rounds" in captured.out
    assert any("stopped: 2 rounds in a row" in note for note in load_run(out).about["notes"])


@pytest.mark.usefixtures("fake")
def test_a_full_disk_is_named_and_keeps_the_rounds(tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    argv = ["--detector", "fake", "--references", "0", "--pictures", "0", "--workers", "1", "--out", str(out)]
    assert clutter.main([*argv, "--rounds", "3"]) == 0
    kept = (out / "attempts.jsonl").stat().st_size
    with largest_file(max(kept, (out / "run.json").stat().st_size) + 300):
        assert clutter.main([*argv, "--rounds", "40"]) == 1
    assert re.search(r"attempts\.jsonl: File too large .*what was written before is kept", capsys.readouterr().err)
    assert [r.round for r in load_run(out).rounds] == [0, 1, 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_reports_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "run"
    code = f"""
import sys
from grasp_eval.bench import clutter, measure, scheduler
if __name__ == "__main__":
    measure.Job = lambda config: scheduler.Job(config, "{FAKE}:make", "{FAKE}:play")
    sys.exit(clutter.main(sys.argv[1:]))
"""
    argv = ["--detector", "fake", "--detector-param", "hang=[1]", "--rounds", "2", "--workers", "1", "--out", str(out)]
    command = [sys.executable, "-c", code, *argv]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    rounds = out / "rounds.jsonl"
    end = time.monotonic() + 60
    while not (rounds.exists() and rounds.stat().st_size) and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, number)  # as a terminal does
    said, problems = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in problems
    assert "Go on with: seegrasp bench clutter --detector fake --detector-param 'hang=[1]' --rounds 2" in problems
    assert "fake: 1 of 2 rounds" in said
    assert [r.round for r in load_run(out).rounds] == [0]
    assert (out / "report.html").exists()
