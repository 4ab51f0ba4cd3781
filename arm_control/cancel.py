"""Cancellation that wakes every wait at once, and waiting for futures outside of an executor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from grasp_core.errors import ErrorCode, ExecutionError


class Cancelled(ExecutionError):
    """The goal was cancelled (CANCELLED) or stopped by an operator (STOPPED); the message says by whom."""

    code = ErrorCode.CANCELLED


class CancelToken:
    """A one-way switch shared by the goal's thread and whoever may cancel it. Thread-safe; the first reason stays."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[threading.Event] = []
        self._children: list[CancelToken] = []
        self._reason: str | None = None
        self._code = ErrorCode.CANCELLED

    def cancel(self, reason: str, code: ErrorCode = ErrorCode.CANCELLED) -> None:
        """Cancel; every wait with this token, or with a child of it, ends now."""
        with self._lock:
            if self._reason is None:
                self._reason, self._code = reason, code
            listeners, children = list(self._listeners), list(self._children)
        for event in listeners:
            event.set()
        for child in children:
            child.cancel(reason, code)

    @contextmanager
    def child(self) -> Iterator[CancelToken]:
        """A token that is cancelled with this one, or alone: what it stops may go on under this one."""
        child = CancelToken()
        with self._lock:
            self._children.append(child)
            reason, code = self._reason, self._code
        if reason is not None:
            child.cancel(reason, code)
        try:
            yield child
        finally:
            with self._lock:
                self._children.remove(child)

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._reason is not None

    def check(self) -> None:
        """Raise `Cancelled` once cancelled."""
        if self._reason is not None:
            raise Cancelled(self._reason, self._code)

    def sleep(self, seconds: float) -> None:
        """Wait on the steady clock; raise `Cancelled` as soon as cancelled."""
        event = threading.Event()
        self.attach(event)
        try:
            event.wait(max(seconds, 0.0))
        finally:
            self.detach(event)
        self.check()

    def attach(self, event: threading.Event) -> None:
        """Have `event` set on cancellation (now, if that has happened)."""
        with self._lock:
            self._listeners.append(event)
            if self._reason is not None:
                event.set()

    def detach(self, event: threading.Event) -> None:
        """Undo `attach`."""
        with self._lock:
            self._listeners.remove(event)


def wait_future(
    future: Any, timeout: float, cancel: CancelToken | None = None, check: Callable[[], None] | None = None
) -> bool:
    """Wait for a future that an executor in another thread completes; True when done, False after `timeout` s (steady).

    `check` runs every 50 ms and may raise; `cancel` raises `Cancelled`.
    """
    wake = threading.Event()
    future.add_done_callback(lambda _: wake.set())
    deadline = time.monotonic() + timeout
    if cancel is not None:
        cancel.attach(wake)
    try:
        while not future.done():
            if cancel is not None:
                cancel.check()
            if check is not None:
                check()
            left = deadline - time.monotonic()
            if left <= 0.0:
                return False
            wake.wait(left if check is None else min(left, 0.05))
        return True
    finally:
        if cancel is not None:
            cancel.detach(wake)


def wait_until(condition: Callable[[], bool], timeout: float, cancel: CancelToken | None, period: float = 0.05) -> bool:
    """Poll `condition` every `period` s on the steady clock; False after `timeout` s; `cancel` raises `Cancelled`."""
    deadline = time.monotonic() + timeout
    token = cancel or CancelToken()
    while not condition():
        if time.monotonic() >= deadline:
            return False
        token.sleep(period)
    return True
