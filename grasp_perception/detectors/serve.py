"""A detector in a process of its own: `python -m grasp_perception.detectors.serve --detector package.module:factory`.

Started by `remote.RemoteDetector`, which speaks to it over stdin and stdout in messages of `wire`: "make" with the
parameters first, then "detect" and "reset". What the detector prints goes to stderr. The process ends when its stdin
closes, also in the middle of a call. Needed besides this repository: numpy, scipy, pydantic, PyYAML, and whatever the
detector needs.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import fcntl
import os
import platform
import select
import signal
import sys
import time
import traceback
from collections.abc import Iterator

from grasp_core.errors import ErrorCode, SeegraspError
from grasp_perception.detectors import make_detector, payload, wire
from grasp_perception.detectors.checked import Checked, outer_frames
from grasp_perception.detectors.wire import Message

_LEAVE_S = 2  # for threads and exit handlers of the detector, once nobody listens any more


def main() -> int:
    """Serve until stdin closes; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", required=True, metavar="NAME", help="name or package.module:factory")
    name = parser.parse_args().detector
    requests, replies = _take_pipes()
    faulthandler.enable()  # where it crashed is then in the last lines of stderr, which the error quotes
    faulthandler.register(signal.SIGUSR1, all_threads=False)  # and where it hangs
    server = _Server(name)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            request = wire.receive(lambda buffer: _fill(requests, buffer))
            with _ended_with(requests):
                reply = server.answer(request)
            for buffer in wire.encode(reply.header, reply.arrays):
                _write(replies, buffer)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_LEAVE_S)
    return 0


def _take_pipes() -> tuple[int, int]:
    """The pipes under other numbers, so that nothing that prints or reads can disturb them."""
    requests, replies = os.dup(0), os.dup(1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return requests, replies


@contextlib.contextmanager
def _ended_with(requests: int) -> Iterator[None]:
    """Meanwhile the kernel kills this process (and its children) as soon as the other end of the pipe is closed.

    Nothing is sent to us during a call, so the only event is its end. No thread could do this: a detector that hangs
    inside a C extension may hold the interpreter's lock for good.
    """
    leads = os.getpgrp() == os.getpid()
    fcntl.fcntl(requests, fcntl.F_SETOWN, -os.getpid() if leads else os.getpid())
    fcntl.fcntl(requests, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(requests, fcntl.F_GETFL)
    fcntl.fcntl(requests, fcntl.F_SETFL, flags | os.O_ASYNC)
    try:
        watch = select.poll()
        watch.register(requests, 0)  # the end may have come just before
        if watch.poll(0):
            raise EOFError
        yield
    finally:
        fcntl.fcntl(requests, fcntl.F_SETFL, flags)


def _fill(fd: int, buffer: memoryview) -> None:
    while len(buffer):
        got = os.readv(fd, [buffer])
        if got == 0:
            raise EOFError
        buffer = buffer[got:]


def _write(fd: int, buffer: memoryview) -> None:
    while len(buffer):
        buffer = buffer[os.write(fd, buffer) :]


class _Server:
    """Holds the detector; every request has one reply."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._detector: Checked | None = None

    def answer(self, request: Message) -> Message:
        """The reply, of kind "error" when something was raised."""
        kind = request.header.get("kind")
        try:
            if kind == "make":
                return self._make(request)
            if self._detector is None:
                raise SeegraspError(f"{kind!r} before a detector was made")
            if kind == "detect":
                return self._detect(request)
            if kind == "reset":
                self._detector.reset(request.header["seed"])
                return Message({"kind": "done"}, {})
            raise SeegraspError(f"unknown request {kind!r}")
        except Exception as error:
            return _told(error, aloud=kind != "make")  # what made "make" fail is quoted by whoever asked

    def _make(self, request: Message) -> Message:
        self._detector = make_detector(self._name, **request.header["params"])
        return Message({"kind": "ready", "python": platform.python_version()}, {})

    def _detect(self, request: Message) -> Message:
        observation, gripper, region = payload.to_look(request)
        begin = time.perf_counter()
        grasps = self._detector.detect(observation, gripper, region)
        return payload.from_grasps(grasps, self._detector.timings, 1e3 * (time.perf_counter() - begin))


def _told(error: Exception, aloud: bool) -> Message:
    """An error as a message, with the traceback of one that was not raised on purpose; `aloud`: on stderr, too."""
    story = ""
    if error.__cause__ is not None or not isinstance(error, SeegraspError):
        cause = error.__cause__ or error
        frames = traceback.format_list(outer_frames(cause))
        story = "".join(frames + traceback.format_exception_only(type(cause), cause)) if frames else ""
        if aloud:
            print(story or cause, file=sys.stderr, flush=True)
    header = {
        "kind": "error",
        "class": type(error).__name__,
        "code": int(getattr(error, "code", ErrorCode.DETECTOR_FAILED)),
        "message": str(error) if isinstance(error, SeegraspError) else f"{type(error).__name__}: {error}",
        "traceback": story,
    }
    return Message(header, {})


if __name__ == "__main__":
    sys.exit(main())
