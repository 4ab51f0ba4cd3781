"""The other end of `serve`: starting that process, asking it, and ending it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path
from typing import IO

import grasp_core
from grasp_perception.detectors import wire
from grasp_perception.detectors.wire import Message, WireError

_POLL_MS = 200  # how often a process is looked after whose pipe says nothing
_LEAVE_S = 5.0  # for a process that was asked to end
_WORDS_S = 0.5
_TAIL_BYTES, _TAIL_LINES = 8192, 15
_PIPE_BYTES = 1 << 20  # Linux's limit without privileges; a look takes fewer switches between the two processes
_LEAKED = ("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "PYTHONHOME")


class ChildError(Exception):
    """The process cannot be started, died, hangs, or writes what is not a message; it is to be ended."""


class ChildTimeout(ChildError):
    """It hangs."""


class Child:
    """One process that serves a detector; not thread-safe but for `end`."""

    def __init__(self, python: str, detector: str) -> None:
        """Start it; ChildError when there is no such interpreter."""
        command = [find_python(python), "-m", "grasp_perception.detectors.serve", "--detector", detector]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=environment(os.environ),
                start_new_session=True,  # Ctrl-C is ours to handle; and what it starts is ended with it
            )
        except OSError as error:
            raise ChildError(f"cannot be started: {error}") from error
        self._requests, self._replies = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._requests, False)
        for fd in (self._requests, self._replies):
            with contextlib.suppress(OSError):  # a user's pipes may be limited to less: slower, nothing else
                fcntl(fd, F_SETPIPE_SZ, _PIPE_BYTES)
        self._words = _Words(self._process.stderr)
        self._finalizer = weakref.finalize(self, _end, self._process, self._words)  # also when the interpreter ends

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def end(self) -> None:
        """Let it end, and wait for that; not while another thread is asking."""
        self._finalizer()

    def kill(self) -> None:
        """End it at once, from any thread; whoever is asking gets a ChildError. Call `end` after that."""
        _kill(self._process)

    def ask(self, request: list[memoryview], timeout: float | None) -> Message:
        """Send an encoded message and wait for the reply; after a ChildError the process is of no use any more."""
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            for buffer in request:
                self._send(buffer, deadline)
            return wire.receive(lambda buffer: self._fill(buffer, deadline))
        except TimeoutError:
            self._process.send_signal(signal.SIGUSR1)  # makes it say where it hangs
            self._words.finish()
            raise ChildTimeout(f"did not answer within {timeout:g} s and was ended{self._words.quoted()}") from None
        except WireError as error:
            raise ChildError(
                f"its standard output carries the messages, but something else was written there: {error}"
            ) from error

    def _send(self, buffer: memoryview, deadline: float | None) -> None:
        while len(buffer):
            self._wait(self._requests, select.POLLOUT, deadline)
            try:
                buffer = buffer[os.write(self._requests, buffer) :]
            except BlockingIOError:
                continue
            except OSError:  # broken pipe
                raise ChildError(self._obituary()) from None

    def _fill(self, buffer: memoryview, deadline: float | None) -> None:
        while len(buffer):
            self._wait(self._replies, select.POLLIN, deadline)
            got = os.readv(self._replies, [buffer])
            if got == 0:
                raise ChildError(self._obituary())
            buffer = buffer[got:]

    def _wait(self, fd: int, event: int, deadline: float | None) -> None:
        """Until the pipe is ready. TimeoutError; ChildError when the process is dead and the pipe says nothing."""
        ready = select.poll()
        ready.register(fd, event)
        while True:
            dead = self._process.poll() is not None
            left = _POLL_MS if deadline is None else 1e3 * (deadline - time.monotonic())
            if ready.poll(0 if dead else max(0.0, min(left, _POLL_MS))):
                return
            if dead:  # a process that it started may hold the pipe open
                raise ChildError(self._obituary())
            if left <= 0.0:
                raise TimeoutError

    def _obituary(self) -> str:
        try:
            code = self._process.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            return f"closed its pipe{self._words.quoted()}"
        how = f"ended with exit code {code}"
        if code < 0:
            name = signal.Signals(-code).name
            how = f"was killed by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
        self._words.finish()
        return how + self._words.quoted()


class _Words:
    """What the process says on stderr: passed on to ours, the end of it kept."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._tail = stream, b""
        self._thread = threading.Thread(target=self._listen, name="detector's stderr", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for the last words, but not for long: a child of a dead process may keep the pipe open."""
        self._thread.join(timeout=_WORDS_S)

    def quoted(self) -> str:
        """The last lines, as the end of a message."""
        lines = self._tail.decode(errors="replace").strip().splitlines()[-_TAIL_LINES:]
        return "; its last lines:\n" + "\n".join(lines) if lines else "; it wrote nothing"

    def _listen(self) -> None:
        with self._stream:
            while chunk := self._stream.read(65536):
                self._tail = (self._tail + chunk)[-_TAIL_BYTES:]
                with contextlib.suppress(OSError):  # nobody reads ours; its pipe has to be emptied all the same
                    os.write(2, chunk)  # sys.stderr has a lock, which a thread must not hold when the interpreter ends


def _end(process: subprocess.Popen, words: _Words) -> None:
    """Close its stdin, which ends it; kill it, and what it started, when that takes too long."""
    process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_LEAVE_S)
    _kill(process)
    process.wait()
    process.stdout.close()
    words.finish()


def _kill(process: subprocess.Popen) -> None:
    """The process and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def find_python(python: str) -> str:
    """The interpreter's path; ChildError when there is none. Links are kept: they are what makes a venv."""
    path = Path(python).expanduser()
    if path.is_dir():
        raise ChildError(f"{path} is a folder: give the interpreter in it, such as {path / 'bin' / 'python'}")
    found = shutil.which(str(path))
    if found is None:
        raise ChildError(f"there is no executable {path}: give the path of a Python interpreter")
    return found


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Our environment without what is meant for our Python alone.

    ROS puts its libraries on LD_LIBRARY_PATH, where another Python would find them before its own, and its wheels mark
    that they did; PYTHONPATH names packages for our version of Python. It becomes: where grasp_core is, and the current
    directory.
    """
    env = {name: value for name, value in ours.items() if name not in _LEAKED}
    prefixes = {Path(p) for p in (sys.prefix, *ours.get("AMENT_PREFIX_PATH", "").split(os.pathsep)) if p}
    entries = env.pop("LD_LIBRARY_PATH", "").split(os.pathsep)
    libraries = [entry for entry in entries if entry and prefixes.isdisjoint(Path(entry).parents)]
    if libraries:
        env["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
    env["PYTHONPATH"] = os.pathsep.join([str(Path(grasp_core.__file__).resolve().parents[1]), os.getcwd()])
    env["PYTHONUNBUFFERED"] = "1"  # what it printed before it crashed is to be seen
    return env
