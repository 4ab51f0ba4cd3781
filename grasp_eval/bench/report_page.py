"""report.html of a benchmark run: everything needed to believe, repeat or doubt its numbers, in one file."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grasp_core.errors import InputError
from grasp_eval.bench import figures, physics_check, records
from grasp_eval.bench.metrics import BROKEN, counted_attempts, summarise
from grasp_eval.bench.records import Attempt
from grasp_eval.report import render
from grasp_eval.results import write_atomic

if TYPE_CHECKING:
    from grasp_eval.bench.store import StoredRun

REPORT = "report.html"
# What the reasons and endings of records.py mean, for people.
WORDS = {
    records.HELD: "held to the end",
    records.BLOCKED: "the hand could not get there",
    records.TOUCHED: "touched something on the way, which the protocol forbids",
    records.CLOSED_ON_NOTHING: "closed on nothing",
    records.DROPPED_IN_LIFT: "dropped in the lift",
    records.DROPPED_IN_SHAKE: "dropped when shaken",
    records.SLIPPED: "held, but it slipped in the hand",
    records.WRONG_OBJECT: "held, but not the target",
    records.UNPHYSICAL: "something that cannot happen in the world",
    records.CLEARED: "nothing left to take out",
    records.NO_GRASP: "the detector found no grasp",
    records.FAILURES: "too many failures in a row",
    records.ATTEMPTS: "no attempts left",
    records.DETECTOR_ERROR: "the detector failed",
    records.DETECTOR_TIMEOUT: "the detector took too long",
    records.WORKER_DIED: "the process died",
    records.SCENE_ERROR: "the scene could not be made (left out of all numbers)",
}
_SHOWN = ("started", "wall_s", "rounds_done", "workers", "engine")
_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


def write_report(folder: Path, run: StoredRun, references: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write report.html into a folder.

    Args:
        run: as read by ``store.load_run``; its pictures are embedded.
        references: contestant (``oracle``, ``top_down``) -> summary of its run on the same scenes; {} when not run.

    Raises:
        SaveError: the page cannot be written.
        InputError: records that contradict each other, or a picture that cannot be read.
    """
    summary = summarise(run.config, run.rounds, run.attempts)
    about = run.about
    page = render(
        "bench.html.j2",
        title=f"{run.config.detector} on {run.config.scene} scenes, protocol {run.config.protocol}",
        problems=_problems(run),
        machine=about.get("machine", {}),
        versions=about.get("versions", {}),
        commit=about.get("versions", {}).get("seegrasp", "unknown"),
        command=_command(about.get("command", "unknown")),
        about={key: about[key] for key in _SHOWN if key in about} | _objects(run),
        config=_facts(vars(run.config)),
        protocol=_facts(about.get("protocol", {})),
        summary=summary,
        words=WORDS,
        checks=physics_check.checks(summary, references),
        trusted=physics_check.trusted(physics_check.checks(summary, references)),
        references={physics_check.NAMES.get(name, name): found for name, found in references.items()},
        broken=[r for r in run.rounds if r.ended in BROKEN],
        charts=_charts(summary, counted_attempts(run.rounds, run.attempts)),
        gallery=_gallery(run),
    )
    path = folder / REPORT
    write_atomic(path, page)
    return path


def _problems(run: StoredRun) -> list[str]:
    missing = run.config.rounds - len(run.rounds)
    unfinished = [f"{missing} of {run.config.rounds} rounds are missing: the run did not finish"] if missing > 0 else []
    left_out = [f"object left out: {text}" for text in run.about.get("objects", {}).get("left_out", [])]
    return [*unfinished, *run.problems, *run.about.get("notes", []), *left_out]


def _objects(run: StoredRun) -> dict[str, str]:
    found = run.about.get("objects", {})
    return {"objects in the set": f"{found['number']}, digest {found['digest']}"} if found else {}


def _command(command: str | Sequence[str]) -> str:
    return command if isinstance(command, str) else shlex.join(command)


def _facts(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as one level of `a.b: text`."""
    facts: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            facts |= _facts(value, f"{prefix}{key}.")
        else:
            facts[prefix + key] = "–" if value is None or value in ("", {}) else str(value)
    return facts


def _charts(summary: Mapping[str, Any], attempts: Sequence[Attempt]) -> list[dict[str, str]]:
    """The charts that there is something to show in: uri and caption."""
    charts = [
        (
            figures.reliability(summary["calibration"]),
            "Reliability: of attempts with a score near s, a share of s should hold. Bars: 95 % Wilson intervals. "
            "Below: how many attempts there are.",
        ),
        (figures.occlusion(summary["occlusion_fine"]), "Targets picked over how hidden they were in the first look."),
        (
            figures.score_histogram([a.score for a in attempts], [a.success for a in attempts]),
            "Scores of the grasps that were tried.",
        ),
        (
            figures.ap_by_friction(summary["first"]["ap_mu"]),
            "AP in the first look by the friction that a grasp may need; bars: 95 % bootstrap intervals over rounds.",
        ),
    ]
    return [{"uri": uri, "caption": caption} for uri, caption in charts if uri]


def _gallery(run: StoredRun) -> list[dict[str, Any]]:
    return [{"uri": _picture(run.folder / "pictures" / a.picture), "attempt": a} for a in run.attempts if a.picture]


def _picture(path: Path) -> str:
    if path.suffix.lower() not in _PICTURES:
        raise InputError(f"{path}: expected a picture named {', '.join(_PICTURES)}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; an attempt names this picture") from error
    return f"data:{_PICTURES[path.suffix.lower()]};base64," + base64.b64encode(data).decode()
