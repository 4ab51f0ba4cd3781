"""Rounds on one machine: worker processes that outlive no run, and a watchdog over their detectors.

A worker makes its detector once and does one round after another. It may hang, abort or be killed: its round is then
written as ended by that, and a fresh worker goes on. Every worker computes with one thread, for any number of workers:
sums over several threads are rounded differently, and results must not depend on how many workers there were.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing import connection, get_context, resource_tracker
from pathlib import Path
from typing import Any

from grasp_core.errors import SeegraspError
from grasp_eval.bench.records import DETECTOR_ERROR, DETECTOR_TIMEOUT, WORKER_DIED, Round, RoundResult, RunConfig
from grasp_eval.bench.worker import FAILED, READY, RESULT, STATE, work

START_LIMIT = 600.0  # s for making a detector: a large network from a cold disk
MAX_DEATHS = 5  # rounds in a row that killed their worker: what kills every round is not worth going on
MAX_BROKEN = 10  # rounds in a row that the detector broke off in any way
POLL = 0.2  # s: how soon Ctrl-C and the watchdog act
GRACE = 3.0  # s for workers without a round to leave by themselves
REMOTE_GRACE = 10.0  # s
ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class EngineError(SeegraspError):
    """The rounds cannot go on: no detector can be made, or the workers keep dying."""


@dataclass(frozen=True)
class Job:
    """What workers do.

    Attributes:
        config: of the run.
        make: ``make(config) -> detector``, once per worker; a callable that can be imported, or "module:name".
        play: ``play(config, index, detector, beat) -> RoundResult``; likewise. It calls ``beat("detect")`` before and
            ``beat("idle")`` after a call of the detector, with the round so far as a second argument, from which the
            round is written when the worker does not come back.
    """

    config: RunConfig
    make: str | Callable[..., Any] = "grasp_eval.bench.contestants:make_contestant"
    play: str | Callable[..., RoundResult] = "grasp_eval.bench.round:run_round"


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def worker_environment() -> dict[str, str]:
    """Environment variables that workers run with: one thread, and pictures without a display."""
    return ENVIRONMENT | {"MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl")}


@contextmanager
def _inherited(values: dict[str, str]) -> Iterator[None]:
    """Environment of processes started inside; the libraries read it when they are loaded."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@dataclass
class _Worker:
    """A worker process and what it is at."""

    process: Any
    pipe: connection.Connection
    since: float = field(default_factory=time.monotonic)
    ready: bool = False
    index: int | None = None  # the round it is at
    so_far: RoundResult | None = None
    deadline: float = 0.0  # monotonic; 0: none

    def send(self, index: int | None) -> bool:
        """Give it a round, or None to end it; false when it has died, which its pipe says too."""
        try:
            self.pipe.send(index)
        except OSError:
            return False
        self.index, self.so_far, self.deadline = index, None, 0.0
        return True

    def overdue(self) -> bool:
        return 0 < self.deadline < time.monotonic() and not self.pipe.poll()

    def kill(self) -> None:
        """End it and all that it started, also what leads a process group of its own."""
        for pid in _descendants(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ProcessLookupError):  # no group yet
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def obituary(self) -> str:
        """How it ended, in words."""
        self.process.join(5.0)
        code = self.process.exitcode
        if code is None:
            return "closed its pipe"
        if code >= 0:
            return f"left with exit code {code}"
        name = signal.Signals(-code).name
        return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


def _descendants(pid: int) -> list[int]:
    """Processes that a process started, and those that they started."""
    children: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended
            children += map(int, path.read_text().split())
    return [p for child in children for p in (child, *_descendants(child))]


class LocalEngine:
    """Worker processes on this machine; a context manager that leaves none behind.

    Args:
        job: what they do.
        workers: how many at a time.

    Raises EngineError from ``with`` when the first worker cannot make its detector.
    """

    name = "local"

    def __init__(self, job: Job, workers: int) -> None:
        self.job = job
        self.workers = workers
        # A detector in a process of its own has a watchdog of its own, which knows where it hangs.
        self._limit = job.config.detector_timeout + (REMOTE_GRACE if job.config.detector_python else 0.0)
        self._context = get_context("spawn")
        self._crew: list[_Worker] = []

    def __enter__(self) -> LocalEngine:
        try:
            self._fill(self.workers)
            while not any(w.ready for w in self._crew):
                for worker in self._heard_from():
                    self._listen(worker)
                self._check_starts()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers: those without a round may leave by themselves, the others are killed."""
        idle = [w for w in self._crew if w.ready and w.index is None and w.send(None)]
        end = time.monotonic() + GRACE
        for worker in idle:
            worker.process.join(max(0.0, end - time.monotonic()))
        while self._crew:
            self._crew.pop().kill()

    def rounds(self, indices: Iterable[int], stop: Callable[[], bool] = lambda: False) -> Iterator[RoundResult]:
        """Results of rounds in the order in which they end; no more of them once ``stop()`` is true.

        Raises EngineError when a worker cannot make its detector, or Patience is at its end.
        """
        todo = deque(indices)
        patience = Patience()
        while (busy := self._busy()) + len(todo) and not stop():
            self._fill(min(self.workers, busy + len(todo)))
            for worker in self._crew:
                if todo and worker.ready and worker.index is None and worker.send(todo[0]):
                    todo.popleft()
            for result in self._ended():
                yield result
                patience.judge(result)
            self._check_starts()

    def _busy(self) -> int:
        return sum(w.index is not None for w in self._crew)

    def _fill(self, count: int) -> None:
        while len(self._crew) < count:
            self._crew.append(self._start())

    def _ended(self) -> Iterator[RoundResult]:
        """Results of the rounds that ended meanwhile, in one way or another."""
        for worker in self._heard_from():
            result = self._listen(worker)
            if result is not None:
                yield result
        for worker in [w for w in self._crew if w.overdue()]:
            error = f"no answer within {self._limit:g} s"
            result = cut_short(worker.index, worker.so_far, DETECTOR_TIMEOUT, error)
            self._remove(worker)
            yield result

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        job = self.job
        process = self._context.Process(target=work, args=(theirs, os.getpid(), job.config, job.make, job.play))
        resource_tracker.ensure_running()  # it unblocks SIGINT when Process.start has to do this
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is for us alone; the child inherits it
        try:
            with _inherited(worker_environment()):
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        theirs.close()
        return _Worker(process, ours)

    def _heard_from(self) -> list[_Worker]:
        ready = connection.wait([w.pipe for w in self._crew], timeout=POLL)
        return [w for w in self._crew if w.pipe in ready]

    def _listen(self, worker: _Worker) -> RoundResult | None:
        """Take one message of a worker; the result of its round if that has ended by it."""
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, OSError):
            return self._died(worker, worker.obituary())
        if kind == READY:
            worker.ready = True
        elif kind == STATE:
            state, worker.so_far = content
            worker.deadline = time.monotonic() + self._limit if state == "detect" else 0.0
        elif kind == RESULT:
            worker.index, worker.deadline = None, 0.0
            return content
        elif kind == FAILED:
            return self._died(worker, content)
        return None

    def _died(self, worker: _Worker, how: str) -> RoundResult | None:
        if not worker.ready:
            raise EngineError(f"detector {self.job.config.detector!r} cannot be made: it {how}")
        result = None if worker.index is None else cut_short(worker.index, worker.so_far, WORKER_DIED, how)
        self._remove(worker)
        return result

    def _remove(self, worker: _Worker) -> None:
        self._crew.remove(worker)
        worker.kill()

    def _check_starts(self) -> None:
        for worker in self._crew:
            if not worker.ready and time.monotonic() - worker.since > START_LIMIT:
                name = self.job.config.detector
                raise EngineError(f"detector {name!r} cannot be made: nothing came of it within {START_LIMIT:.0f} s")


class Patience:
    """Ends a run in which one round after the other is broken off: MAX_DEATHS by dying, MAX_BROKEN in any way."""

    def __init__(self) -> None:
        self._deaths = self._broken = 0

    def judge(self, result: RoundResult) -> None:
        """Take the next result; EngineError when it is not worth going on."""
        ended = result.round.ended
        self._deaths = self._deaths + 1 if ended == WORKER_DIED else 0
        self._broken = self._broken + 1 if ended in (DETECTOR_ERROR, DETECTOR_TIMEOUT, WORKER_DIED) else 0
        if self._deaths >= MAX_DEATHS:
            raise EngineError(
                f"{MAX_DEATHS} rounds in a row ended with their worker: the last one {result.round.error}"
            )
        if self._broken >= MAX_BROKEN:
            raise EngineError(f"{MAX_BROKEN} rounds in a row were broken off, the last one: {result.round.error}")


def cut_short(index: int, so_far: RoundResult | None, ended: str, error: str) -> RoundResult:
    """The result of a round whose worker did not come back; its pictures are lost with the worker."""
    if so_far is None:
        return RoundResult(Round(index, -1, [], [], ended=ended, error=error))
    attempts = [replace(a, picture="") for a in so_far.attempts]
    return RoundResult(replace(so_far.round, ended=ended, error=error), attempts)
