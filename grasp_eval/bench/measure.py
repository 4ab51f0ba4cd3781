"""A run from its first missing round to its last: rounds from an engine into a run folder, with progress."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grasp_eval.bench.metrics import BROKEN
from grasp_eval.bench.ray_engine import RayEngine
from grasp_eval.bench.records import RunConfig
from grasp_eval.bench.scheduler import EngineError, Job, LocalEngine
from grasp_eval.bench.store import RunStore
from grasp_eval.progress import Progress
from grasp_eval.results import wilson

BAR = 10  # characters
PLAIN_EVERY = 10.0  # s between lines where there is no terminal

Engine = LocalEngine | RayEngine


class Interrupts:
    """Ctrl-C and SIGTERM: KeyboardInterrupt as usual, but only noted while rounds are written.

    A context manager; ``asked`` tells whether there was one.
    """

    def __init__(self) -> None:
        self.asked = False
        self._noting = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def noted(self) -> Iterator[Callable[[], bool]]:
        """No KeyboardInterrupt inside; yields a function that tells whether to stop."""
        self._noting = True
        try:
            yield lambda: self.asked
        finally:
            self._noting = False

    def _handle(self, *_: object) -> None:
        self.asked = True
        if not self._noting:
            raise KeyboardInterrupt


def measure(
    folder: Path,
    config: RunConfig,
    about: dict[str, Any],
    engine: Callable[[Job, int], Engine],
    interrupts: Interrupts,
    progress: Progress,
) -> None:
    """Do the rounds that a run folder misses and write them there; returns early when interrupted.

    Args:
        engine: makes the engine for a job with so many rounds left.

    Raises:
        InputError, SaveError: see RunStore. EngineError: the rounds cannot go on; those that are done are kept.
    """
    with RunStore(folder, config, about) as store:
        todo = store.todo
        if store.resumed:
            progress.line(f"{config.detector}: {len(store.rounds)} rounds are there already, {len(todo)} to go")
        try:
            if todo:
                _do(store, engine(Job(store.config), len(todo)), interrupts, progress)
        except EngineError as error:
            store.notes.append(f"stopped: {error}")
            raise
        finally:
            if store.rounds:
                store.finish()
            else:
                store.discard()


def _do(store: RunStore, engine: Engine, interrupts: Interrupts, progress: Progress) -> None:
    progress.status(f"{store.config.detector}: starting the workers")
    with engine, interrupts.noted() as stop:
        tally = _Tally(store, progress)
        for result in engine.rounds(store.todo, stop):
            store.add(result)
            if store.todo:
                tally.show()
    progress.line(tally.text())


class _Tally:
    """How far a run is."""

    def __init__(self, store: RunStore, progress: Progress) -> None:
        self._store, self._progress = store, progress
        self._start = time.monotonic()
        self._before = len(store.rounds)

    def show(self) -> None:
        if sys.stdout.isatty():
            self._progress.status(f"{self._bar()} {self.text()}")
        else:
            self._progress.status(self.text(), key=str(int((time.monotonic() - self._start) / PLAIN_EVERY)))

    def text(self) -> str:
        config, rounds, attempts = self._store.config, self._store.rounds, self._store.attempts
        held = sum(a.success for a in attempts)
        broken = sum(r.ended in BROKEN for r in rounds)
        parts = [f"{config.detector}: {len(rounds)}/{config.rounds} rounds"]
        left, new = config.rounds - len(rounds), len(rounds) - self._before
        if left > 0 and new:
            minutes, seconds = divmod(round((time.monotonic() - self._start) / new * left), 60)
            parts.append(f"about {minutes}:{seconds:02d} left")
        if broken:
            parts.append(f"{broken} BROKEN OFF")
        if attempts:
            low, high = wilson(held, len(attempts))
            rate = f"{100 * held / len(attempts):.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
            parts.append(f"GSR {rate} of {len(attempts)} attempts")
        return ", ".join(parts)

    def _bar(self) -> str:
        full = BAR * len(self._store.rounds) // self._store.config.rounds
        return "█" * full + "░" * (BAR - full)
