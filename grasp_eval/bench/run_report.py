"""`seegrasp bench report FOLDER`: summary.json and report.html of a run folder, also of one that is not finished."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grasp_core.errors import InputError, SeegraspError
from grasp_eval.bench.contestants import REFERENCES
from grasp_eval.bench.metrics import summarise
from grasp_eval.bench.metrics_text import summary_lines
from grasp_eval.bench.records import Round
from grasp_eval.bench.report_page import write_report
from grasp_eval.bench.store import is_run, load_run
from grasp_eval.results import SaveError, write_json

SUMMARY = "summary.json"
ERRORS = 3  # named at the terminal; the page has all


def report_run(folder: Path) -> tuple[list[str], Path]:
    """Write summary.json and report.html of a run and of the references in it.

    Returns:
        The numbers as lines of text; the path of report.html.

    Raises:
        InputError: no run folder, no finished round in it, or not what a run writes. SaveError: it cannot be written.
    """
    references = {name: _summary(folder / name) for name in REFERENCES if is_run(folder / name)}
    run = load_run(folder)
    if not run.rounds:
        raise InputError(f"{folder}: no round has been finished yet")
    summary = _summary(folder)
    path = write_report(folder, run, references)
    lines = [f"{run.config.detector}: {len(run.rounds)} of {run.config.rounds} rounds, {folder}"]
    lines += [*summary_lines(summary, references), *error_lines(run.rounds), *(f"note: {p}" for p in run.problems)]
    return lines, path


def error_lines(rounds: Sequence[Round]) -> list[str]:
    """Why rounds were broken off, for the terminal: the first line of every different error, with its first round."""
    first: dict[tuple[str, str], int] = {}
    for r in rounds:
        if r.error:
            first.setdefault((r.ended, r.error.splitlines()[0]), r.round)
    lines = [f"{ended}, first in round {number}: {text}" for (ended, text), number in first.items()]
    return lines[:ERRORS] + ([f"and {len(lines) - ERRORS} other errors"] if len(lines) > ERRORS else [])


def _summary(folder: Path) -> dict[str, Any]:
    run = load_run(folder)
    summary = summarise(run.config, run.rounds, run.attempts)
    write_json(folder / SUMMARY, summary)
    return summary


def main(argv: Sequence[str]) -> int:
    """Entry point of the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="seegrasp bench report", description=__doc__)
    parser.add_argument("run", type=Path, metavar="FOLDER", help="folder of a run")
    args = parser.parse_args(argv)
    try:
        lines, path = report_run(args.run)
    except (SeegraspError, SaveError) as error:
        print(f"seegrasp bench report: {error}", file=sys.stderr)
        return 1
    print("\n".join([*lines, str(path)]))
    return 0
