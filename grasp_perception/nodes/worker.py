"""One thread for heavy work, so that whoever asks for it can stop waiting."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


class Job:
    """One piece of work; made by `Worker.submit`."""

    def __init__(self, work: Callable[[], Any]) -> None:
        """Remember the work to do."""
        self._work = work
        self._done = threading.Event()
        self._abandoned = False
        self._result: Any = None
        self._error: Exception | None = None

    def wait(self, timeout_s: float) -> bool:
        """True once it is done."""
        return self._done.wait(timeout_s)

    def abandon(self) -> None:
        """Nobody waits any more: it is not begun if it has not been yet."""
        self._abandoned = True

    def result(self) -> Any:
        """What the work returned; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._result

    def run(self) -> None:
        """Do the work (in the worker's thread)."""
        if not self._abandoned:
            try:
                self._result = self._work()
            except Exception as error:  # handed to whoever waits for the result
                self._error = error
        self._done.set()


class Worker:
    """Runs jobs one after the other in a daemon thread: a job that hangs does not keep the process alive."""

    def __init__(self, name: str) -> None:
        """Start the thread."""
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], Any]) -> Job:
        """Queue `work`."""
        job = Job(work)
        self._jobs.put(job)
        return job

    def close(self, timeout_s: float) -> bool:
        """End after the jobs that are queued; False when that takes longer than the timeout.

        A thread that is still inside a C++ library when the interpreter ends aborts the process: leave by `os._exit`.
        """
        self._jobs.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
