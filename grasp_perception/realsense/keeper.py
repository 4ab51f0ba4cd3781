"""Keeps a source of depth frames delivering: starts it, notices lost frames, brings it back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from grasp_core.errors import SeegraspError
from grasp_perception.realsense.source import DepthFrame, DepthSource, EndOfRecording

_POLL_S = 0.1
_JOIN_S = 5.0
_HANGS_S = 20.0  # longer than a reset takes


@dataclass(frozen=True)
class Timing:
    """Limits in s of steady time."""

    first: float = 5.0  # until the first frame after a start: exposure settles, the library fits clocks
    loss: float = 0.8  # without a frame while streaming; /diagnostics, once a second, tells within 2 s then
    retry: float = 1.0  # between attempts to start; doubled up to `longest` while they fail
    longest: float = 8.0


TIMING = Timing()


@dataclass(frozen=True)
class Trouble:
    """Why there are no frames, since when (steady time), and whether that is as wanted: a recording has ended."""

    message: str
    since: float
    ended: bool = False


class Keeper:
    """Runs a source in a thread of its own and hands its frames to `on_frame`, called in that thread.

    When no frame comes for `timing.loss`, or the source raises, it is stopped, recovered (a reset) and started again,
    for as long as it takes. `on_trouble` gets every new one once; `trouble` tells the present one.
    """

    def __init__(
        self,
        source: DepthSource,
        on_frame: Callable[[DepthFrame], None],
        on_trouble: Callable[[Trouble], None] = lambda _trouble: None,
        timing: Timing = TIMING,
    ) -> None:
        self._source, self._on_frame, self._on_trouble, self._timing = source, on_frame, on_trouble, timing
        self._closing = threading.Event()
        self._trouble: Trouble | None = None
        self._doing = ("start", time.monotonic())
        self.starts = self.losses = 0
        self._thread = threading.Thread(target=self._run, name="depth source", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> Trouble | None:
        """Why there are no frames now; None while they come."""
        doing, since = self._doing
        if time.monotonic() - since > _HANGS_S and not self._closing.is_set():
            what = f"{doing} of {self._source.name}"
            return Trouble(f"librealsense does not return from {what}: plug the camera in again and restart", since)
        return self._trouble

    @property
    def facts(self) -> Mapping[str, object]:
        """The source's facts and how often it was started and lost."""
        return {**self._source.facts, "starts": self.starts, "losses": self.losses}

    @property
    def concerns(self) -> tuple[str, ...]:
        """What works, but not as it should."""
        return self._source.concerns

    def close(self) -> bool:
        """End the thread and the source; False when the library hangs."""
        self._closing.set()
        self._thread.join(_JOIN_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._keep()
        except Exception as error:
            self._note(f"{self._source.name} ended by a defect: {error!r}")
            raise
        finally:
            self._do("stop", self._source.stop)

    def _keep(self) -> None:
        pause = self._timing.retry
        while not self._closing.is_set():
            try:
                self._do("start", self._source.start)
                self.starts += 1
                self._stream()
                break
            except EndOfRecording as error:
                self._note(str(error), ended=True)
                break
            except _Lost as lost:
                self.losses += 1
                self._note(str(lost))
                self._recover()
                pause = self._timing.retry if lost.streamed else min(2.0 * pause, self._timing.longest)
                wait = 0.0 if lost.streamed else pause
            except SeegraspError as error:
                self._note(str(error))
                pause, wait = min(2.0 * pause, self._timing.longest), pause
            self._do("stop", self._source.stop)
            self._closing.wait(wait)

    def _stream(self) -> None:
        """Hand out frames until closing; raises _Lost."""
        last, limit, streamed = time.monotonic(), self._timing.first, False
        while not self._closing.is_set():
            try:
                frame = self._do("read", lambda: self._source.read(_POLL_S))
            except EndOfRecording:
                raise
            except SeegraspError as error:
                raise _Lost(str(error), streamed) from error
            now = time.monotonic()
            if frame is not None:
                self._trouble = None
                self._do("on_frame", lambda frame=frame: self._on_frame(frame))
                last, limit, streamed = time.monotonic(), self._timing.loss, True
            elif now - last > limit:
                raise _Lost(f"{self._source.silent(now - last)} for {now - last:.1f} s", streamed)

    def _recover(self) -> None:
        self._do("stop", self._source.stop)
        try:
            self._do("recover", self._source.recover)
        except SeegraspError as error:
            self._note(str(error))

    def _do(self, what: str, call: Callable):
        self._doing = (what, time.monotonic())
        try:
            return call()
        finally:
            self._doing = ("nothing", float("inf"))

    def _note(self, message: str, ended: bool = False) -> None:
        if self._trouble is None or self._trouble.message != message:
            self._trouble = Trouble(message, time.monotonic(), ended)
            self._on_trouble(self._trouble)


class _Lost(Exception):
    """Frames stay away."""

    def __init__(self, message: str, streamed: bool) -> None:
        super().__init__(message)
        self.streamed = streamed  # whether there were any since the start
