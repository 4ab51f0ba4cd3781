"""The process that rounds are done in: talks to its engine over a pipe, and ends with it."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from grasp_core.errors import SeegraspError
from grasp_eval.bench.records import RoundResult, RunConfig

READY, STATE, RESULT, FAILED = "ready", "state", "result", "failed"
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def work(
    pipe: Connection,
    parent: int,
    config: RunConfig,
    make: str | Callable[..., Any],
    play: str | Callable[..., RoundResult],
) -> None:
    """Make a detector, then do the rounds whose numbers come through the pipe, until None comes or it is closed.

    Sends (READY, None), (STATE, (state, round so far or None)), (RESULT, RoundResult) or, before it ends for an
    exception, (FAILED, text). ``make`` and ``play`` are those of ``scheduler.Job``, imported here.
    """
    _belong_to(parent)
    try:
        detector, play = _imported(make)(config), _imported(play)
        pipe.send((READY, None))
        while (index := _next(pipe)) is not None:
            pipe.send((RESULT, play(config, index, detector, _Beat(pipe))))
    except BaseException as error:  # SystemExit of a detector too: whatever it is, the engine writes it down
        with suppress(OSError):  # the engine is gone, so nobody needs it
            pipe.send((FAILED, describe(error)))
        sys.exit(1)


def _imported(function: str | Callable[..., Any]) -> Callable[..., Any]:
    if callable(function):
        return function
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)


def _next(pipe: Connection) -> int | None:
    try:
        return pipe.recv()
    except EOFError:
        return None


class _Beat:
    """Tells the engine what a round is at."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __call__(self, state: str, so_far: RoundResult | None = None) -> None:
        bare = None if so_far is None else RoundResult(so_far.round, so_far.attempts)
        self._pipe.send((STATE, (state, bare)))


def _belong_to(parent: int) -> None:
    """Lead a process group, so that what a detector starts ends with this process; and end with the engine."""
    os.setsid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has died before prctl
        os._exit(1)


def describe(error: BaseException) -> str:
    """An exception in one line: ours by their message, others with their type and where they came from."""
    if isinstance(error, SeegraspError):
        return f"raised {type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    return f"raised {type(error).__name__}: {error}{place}"
