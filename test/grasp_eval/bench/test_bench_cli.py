"""`seegrasp bench`: finds its commands, imports them only when called; `bench report` writes a report again."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from grasp_eval.bench import cli, run_report
from grasp_eval.bench.records import RunConfig
from grasp_eval.bench.store import RunStore
from test.grasp_eval.bench.fake_rounds import fake_result

ROOT = Path(__file__).resolve().parents[3]


def test_help_names_every_command(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("clutter", "compare", "report", "latency", "graspnet", "cell"))
    assert cli.main([]) == 2


def test_unknown_command(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["dance"]) == 2
    assert "no command 'dance'; there are clutter" in capsys.readouterr().err


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_its_function(name: str) -> None:
    module, function = cli.COMMANDS[name][0].split(":")
    source = (ROOT / (module.replace(".", "/") + ".py")).read_text()
    assert function in [n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]


def test_arguments_and_exit_code_pass_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_report, "main", len)
    assert cli.main(["report", "a", "b", "c"]) == 3


def test_a_command_that_cannot_be_imported_says_so(monkeypatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setitem(cli.COMMANDS, "broken", ("no_such_module:main", ""))
    assert cli.main(["broken"]) == 1
    assert "seegrasp bench broken: cannot import it: No module named 'no_such_module'" in capsys.readouterr().err


def test_help_imports_no_simulator() -> None:
    code = (
        "import sys; from grasp_eval.bench.cli import main; main(['-h']); print({'mujoco', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_report_of_an_unfinished_run(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for name, detector in (("run", "fake"), ("run/oracle", "oracle")):
        config = RunConfig(detector=detector, rounds=9, pictures=0)
        with RunStore(tmp_path / name, config, {}) as store:
            for index in range(2):
                result = fake_result(index, config)
                store.add(result)
    (tmp_path / "run" / "rounds.jsonl").open("a").write('{"round": 2')
    assert cli.main(["report", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "fake: 2 of 9 rounds" in said
    assert "the last line is cut off" in said
    assert "success of oracle" in said
    assert (tmp_path / "run" / "report.html").exists()


def test_report_of_what_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["report", str(tmp_path)]) == 1
    assert "expected the folder of a benchmark run" in capsys.readouterr().err
    with RunStore(tmp_path / "run", RunConfig(), {}):
        pass
    assert cli.main(["report", str(tmp_path / "run")]) == 1
    assert "no round has been finished yet" in capsys.readouterr().err
