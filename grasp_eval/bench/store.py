"""Run folders: written round by round while a run goes on, read back for reports, continued after an interruption."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from grasp_core.errors import InputError
from grasp_eval.bench.records import Attempt, Round, RoundResult, RunConfig, from_dict, to_line
from grasp_eval.results import save_error, write_atomic, write_json

# What a configuration names and run.json holds as it was read: it may change although its name does not.
INPUTS = {"protocol": "the rules of protocol", "objects": "the objects in", "gripper": "the values of gripper"}
RUN, ROUNDS, ATTEMPTS, PICTURES = "run.json", "rounds.jsonl", "attempts.jsonl", "pictures"


@dataclass
class StoredRun:
    """A run folder as read.

    Attributes:
        config: what was asked for. about: run.json as it stands (protocol, command, versions, machine, wall_s, ...).
        rounds, attempts: of finished rounds, in order. problems: what was found wrong and left out, in words.
    """

    config: RunConfig
    about: dict[str, Any]
    rounds: list[Round]
    attempts: list[Attempt]
    problems: list[str]
    folder: Path


def load_run(folder: str | Path) -> StoredRun:
    """Read a run folder, finished or not; what belongs to no finished round is left out.

    Raises InputError naming the file (and line) that is missing or not what a run writes.
    """
    folder = Path(folder)
    about = _read_about(folder / RUN)
    config = from_dict(about["config"], RunConfig)
    problems: list[str] = []
    rounds = sorted(_read_lines(folder / ROUNDS, Round, problems), key=lambda r: r.round)
    attempts = _read_lines(folder / ATTEMPTS, Attempt, problems)
    done = {r.round for r in rounds}
    if len(done) < len(rounds):
        raise InputError(f"{folder / ROUNDS}: a round stands there twice; the file was changed by something else")
    whole = sorted((a for a in attempts if a.round in done), key=lambda a: (a.round, a.index))
    if len(whole) < len(attempts):
        problems.append(f"{len(attempts) - len(whole)} attempts of rounds that did not finish are left out")
    for attempt in whole:
        if attempt.picture and not (folder / PICTURES / attempt.picture).is_file():
            attempt.picture = ""
    return StoredRun(config, about, rounds, whole, problems, folder)


def is_run(folder: str | Path) -> bool:
    """Whether a folder is that of a run."""
    return (Path(folder) / RUN).is_file()


class RunStore:
    """A run folder being written; it belongs to one process at a time.

    Args:
        folder: new, empty, or of a run with the same configuration, which is continued.
        config: what is asked for; a run that has more rounds already keeps them.
        about: the rest of run.json: protocol and objects (as read), command, versions, machine, workers, engine.

    Raises:
        InputError: the folder holds something else or a run with another configuration (the keys are named).
        SaveError: nothing can be written there.

    Attributes:
        config: with as many rounds as the folder will hold. rounds, attempts: finished so far. done: numbers of them.
        notes: on what happened to the run, kept in run.json. resumed: whether there were results already.
    """

    def __init__(self, folder: str | Path, config: RunConfig, about: dict[str, Any]) -> None:
        self.folder = Path(folder)
        self.config = config
        self.rounds: list[Round] = []
        self.attempts: list[Attempt] = []
        self.notes: list[str] = []
        self._about = about
        self._started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._clock = time.monotonic()
        self._wall_before = 0.0
        self._created = not self.folder.exists()
        try:
            (self.folder / PICTURES).mkdir(parents=True, exist_ok=True)
            self._directory = os.open(self.folder, os.O_RDONLY)
        except OSError as error:
            raise save_error(self.folder, error) from error
        try:
            self._lock()
            self._open()
        except BaseException:
            os.close(self._directory)
            raise
        self.resumed = bool(self.rounds)

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._directory)

    @property
    def done(self) -> set[int]:
        """Numbers of the finished rounds."""
        return {r.round for r in self.rounds}

    @property
    def todo(self) -> list[int]:
        """Numbers of the rounds that are missing, in order."""
        done = self.done
        return [i for i in range(self.config.rounds) if i not in done]

    def add(self, result: RoundResult) -> None:
        """Write a finished round, whole or not at all. Raises SaveError; the rounds before are kept."""
        number = result.round.round
        if number in self.done:
            raise InputError(f"round {number} is in {self.folder} already")
        self.attempts += result.attempts
        self.rounds.append(result.round)
        try:
            self._keep_pictures(result.pictures)
            _append(self.folder / ATTEMPTS, _lines(result.attempts))
            _append(self.folder / ROUNDS, _lines([result.round]))
        except BaseException:
            self.rounds.pop()
            del self.attempts[len(self.attempts) - len(result.attempts) :]
            raise
        self._write_about()

    def finish(self) -> StoredRun:
        """Bring the files into their final order, the same for any number of workers; returns what they hold."""
        self.rounds.sort(key=lambda r: r.round)
        self.attempts.sort(key=lambda a: (a.round, a.index))
        self._write_all()
        return load_run(self.folder)

    def discard(self) -> None:
        """Remove a folder that was made for this run and has no finished round in it."""
        if not self._created or self.rounds:
            return
        for name in (RUN, ROUNDS, ATTEMPTS):
            (self.folder / name).unlink(missing_ok=True)
        (self.folder / PICTURES).rmdir()
        self.folder.rmdir()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{self.folder} is being written by another run; choose another folder") from error

    def _open(self) -> None:
        if is_run(self.folder):
            self._continue(load_run(self.folder))
        elif foreign := sorted(p.name for p in self.folder.iterdir() if p.name != PICTURES):
            raise InputError(f"{self.folder} holds {foreign[0]!r} but no {RUN}: choose a new or empty folder")
        self._write_all()

    def _continue(self, before: StoredRun) -> None:
        self._check(before)
        self.rounds, self.attempts = before.rounds, before.attempts
        rounds = max([self.config.rounds, *(r.round + 1 for r in self.rounds)])
        self.config = replace(self.config, rounds=rounds)
        self._started = before.about.get("started", self._started)
        self._wall_before = float(before.about.get("wall_s", 0.0))
        self.notes = [*before.about.get("notes", []), *before.problems]
        old, new = (a.get("versions", {}).get("seegrasp") for a in (before.about, self._about))
        if old != new and self.rounds and self.todo:
            self.notes.append(f"continued after {len(self.rounds)} rounds with seegrasp {new}; those are of {old}")
        referenced = {a.picture for a in self.attempts}
        for path in (self.folder / PICTURES).iterdir():
            if path.name not in referenced:
                path.unlink()

    def _check(self, before: StoredRun) -> None:
        old, new = asdict(before.config), asdict(self.config)
        key = before.config.key()
        names = [f.name for f in fields(RunConfig) if replace(before.config, **{f.name: new[f.name]}).key() != key]
        texts = [f"{name} was {old[name]!r} and is {new[name]!r}" for name in names]
        for name, what in INPUTS.items():
            if name not in names and before.about.get(name) != self._about.get(name):
                texts.append(f"{what} {new[name]!r} have changed since")
        if texts:
            raise InputError(
                f"{self.folder} holds a run with another configuration: {'; '.join(texts)}. "
                "Go on with the configuration of that run, or choose another folder"
            )

    def _keep_pictures(self, new: dict[str, bytes]) -> None:
        """Write new pictures, as far as they are among the first of the run; forget those that no longer are."""
        shown = sorted((a for a in self.attempts if a.picture), key=lambda a: (a.round, a.index))
        keep = {a.picture for a in shown[: self.config.pictures]}
        for name in keep & new.keys():
            write_atomic(self.folder / PICTURES / name, new[name])
        for attempt in shown[self.config.pictures :]:
            (self.folder / PICTURES / attempt.picture).unlink(missing_ok=True)
            attempt.picture = ""

    def _write_all(self) -> None:
        write_atomic(self.folder / ATTEMPTS, _lines(self.attempts))
        write_atomic(self.folder / ROUNDS, _lines(self.rounds))
        self._write_about()

    def _write_about(self) -> None:
        about = {
            "config": asdict(self.config),
            **self._about,
            "started": self._started,
            "wall_s": round(self._wall_before + time.monotonic() - self._clock, 3),
            "rounds_done": len(self.rounds),
            "notes": self.notes,
        }
        write_json(self.folder / RUN, about)


def _lines(records: Sequence[Attempt] | Sequence[Round]) -> str:
    return "".join(to_line(record) + "\n" for record in records)


def _append(path: Path, text: str) -> None:
    """Add lines at the end and see them to the disk. Raises SaveError, leaving the file as it was."""
    before = path.stat().st_size
    try:
        with path.open("ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        os.truncate(path, before)
        raise save_error(path, error) from error


def _read_about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected the folder of a benchmark run") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); expected what a benchmark run writes") from error
    if not isinstance(about, dict) or not isinstance(about.get("config"), dict):
        raise InputError(f"{path}: no 'config' in it; expected what a benchmark run writes")
    return about


def _read_lines(path: Path, kind: type, problems: list[str]) -> list[Any]:
    """The records of a file of JSON lines; a last line without an end was being written when the run died."""
    if not path.exists():
        problems.append(f"{path.name} is missing")
        return []
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:
        problems.append(f"{path.name}: the last line is cut off and was left out")
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(from_dict(json.loads(line), kind))
        except (ValueError, TypeError, InputError) as error:
            raise InputError(f"{path}, line {number}: {error}; this file was not written by a benchmark run") from error
    return records
