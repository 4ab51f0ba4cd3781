"""`seegrasp`: finds its commands, imports them only when called."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from seegrasp import __main__ as cli

ROOT = Path(__file__).resolve().parents[2]


def test_help_names_every_command(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in cli.COMMANDS)
    assert cli.main([]) == 2


def test_unknown_command(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["dance"]) == 2
    assert "no command 'dance'; there are demo, up" in capsys.readouterr().err


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_its_function(name: str) -> None:
    module, function = cli.COMMANDS[name].target.split(":")
    source = (ROOT / (module.replace(".", "/") + ".py")).read_text()
    assert function in [n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]


def test_arguments_and_exit_code_pass_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "load", lambda name: lambda argv: len(argv))
    assert cli.main(["demo", "--seed", "3"]) == 2


def test_a_command_that_cannot_be_imported_says_so(monkeypatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setitem(cli.COMMANDS, "broken", cli.Command("no_such_module:main", ""))
    assert cli.main(["broken"]) == 1
    assert "no_such_module" in capsys.readouterr().err


def test_help_needs_neither_ros_nor_torch() -> None:
    code = (
        "import sys, runpy; sys.argv = ['seegrasp', '--help']\ntry: runpy.run_module('seegrasp', run_name='__main__')\n"
    )
    code += "except SystemExit: pass\nprint({'rclpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
