"""Depth and colour of a device, opened, and paired by their timestamps."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from grasp_perception.realsense.library import realsense
from grasp_perception.realsense.profiles import mode_of
from grasp_perception.realsense.source import SourceError

_BUSY = ("busy", "failed to set power state", "access")
_QUEUE = 8  # frames; older ones are dropped when nobody reads
_SLOP = 0.55  # of the time between frames: a free-running colour sensor is up to half of it off


class Streams:
    """Two streams of one device, streaming.

    The library's syncer takes the frames, but gives them away alone when they do not arrive evenly, as at the start, or
    out of a recording that is read slowly: they are paired here. (A `frame_queue` in its place would be called through
    Python, holding the interpreter's lock while a recording waits for room in it.)
    """

    def __init__(self, name: str, depth: tuple[Any, Any], color: tuple[Any, Any]) -> None:
        """`depth` and `color` are (sensor, profile); SourceError when they cannot be started, `name` says whose."""
        self._name = name
        self._syncer = realsense().syncer(_QUEUE)
        self._kinds = [profile.stream_type() for _, profile in (depth, color)]
        self._waiting: dict[Any, deque] = {kind: deque(maxlen=_QUEUE) for kind in self._kinds}
        self._slop_ms = 1e3 * _SLOP / max(mode_of(profile).fps for _, profile in (depth, color))
        self._seen: dict[Any, float] = {}
        self._opened: list[Any] = []
        self._running: list[Any] = []
        try:
            for sensor, profiles in _by_sensor(depth, color):
                sensor.open(profiles)
                self._opened.append(sensor)
            for sensor in self._opened:
                sensor.start(self._syncer)
                self._running.append(sensor)
        except RuntimeError as error:
            self.close()
            raise SourceError(f"{name} cannot be started: {_explained(error)}") from error

    def read(self, timeout_s: float) -> tuple[Any, Any] | None:
        """The next depth and colour frame that belong together; None when there were none in time.

        SourceError when the library fails.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            try:
                got, frames = self._syncer.try_wait_for_frames(max(1, round(1e3 * left)))
            except RuntimeError as error:
                raise SourceError(f"{self._name} failed while streaming: {_explained(error)}") from error
            pairs = [pair for frame in (frames if got else ()) if (pair := self._paired(frame)) is not None]
            if pairs:
                return pairs[-1]
            if time.monotonic() >= deadline:
                return None

    def _paired(self, frame: Any) -> tuple[Any, Any] | None:
        kind, stamp = frame.get_profile().stream_type(), frame.get_timestamp()
        self._seen[kind] = time.monotonic()
        self._waiting[kind].append(frame)
        (other,) = (k for k in self._kinds if k != kind)
        near = [f for f in self._waiting[other] if abs(f.get_timestamp() - stamp) <= self._slop_ms]
        if not near:
            return None
        partner = min(near, key=lambda f: abs(f.get_timestamp() - stamp))
        self._forget(kind, stamp)
        self._forget(other, partner.get_timestamp())
        return (frame, partner) if kind == self._kinds[0] else (partner, frame)

    def _forget(self, kind: Any, stamp: float) -> None:
        """Frames up to the one that found its partner."""
        newer = [f for f in self._waiting[kind] if f.get_timestamp() > stamp]
        self._waiting[kind] = deque(newer, maxlen=_QUEUE)

    def missing(self, for_s: float) -> str:
        """What did not come for `for_s`: a stream's frames, all, or only such that belong together."""
        now = time.monotonic()
        late = [
            name
            for name, kind in zip(("depth", "colour"), self._kinds, strict=True)
            if now - self._seen.get(kind, -1e9) > 0.9 * for_s
        ]
        return {0: "frames that belong together", 1: f"{' '.join(late)} frames"}.get(len(late), "frames")

    def close(self) -> None:
        """Stop and close; what the library says to that is of no interest, the device may be gone."""
        self._waiting = {kind: deque(maxlen=_QUEUE) for kind in self._kinds}
        for end in [*(s.stop for s in self._running), *(s.close for s in self._opened)]:
            try:
                end()
            except RuntimeError:
                continue
        self._running, self._opened = [], []


def _by_sensor(*streams: tuple[Any, Any]) -> list[tuple[Any, list[Any]]]:
    """Sensor with the profiles to open on it: some devices have depth and colour on one sensor."""
    grouped: dict[str, tuple[Any, list[Any]]] = {}
    info = realsense().camera_info.name
    for sensor, profile in streams:
        grouped.setdefault(sensor.get_info(info), (sensor, []))[1].append(profile)
    return list(grouped.values())


def _explained(error: RuntimeError) -> str:
    text = str(error)
    if any(word in text.lower() for word in _BUSY):
        return f"{text}. Another process may hold the camera: close realsense-viewer, realsense-ros or a second node"
    return text
