"""Latest-wins streams: matching messages by stamp, and handing the newest one to a worker."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Synchroniser:
    """Matches messages of several streams by stamp, the newest first; never waits for an older one.

    The first stream is the reference: a set is one message of it with, from every other stream, the one of closest
    stamp within `slop_ns`. `dropped` counts reference messages that never became part of a set. Not thread-safe.
    """

    def __init__(self, streams: Sequence[str], slop_ns: int, keep: int = 8) -> None:
        """`keep` is how many messages of a stream wait for their partners."""
        self._slop = slop_ns
        self._reference, *self._others = streams
        self._waiting: dict[str, deque[tuple[int, Any]]] = {name: deque() for name in streams}
        self._keep = keep
        self.dropped = 0

    def add(self, stream: str, stamp_ns: int, message: Any) -> dict[str, Any] | None:
        """Take in a message; the newest complete set (stream -> message) when there is one now.

        A set makes everything older than it in every stream obsolete.
        """
        waiting = self._waiting[stream]
        waiting.append((stamp_ns, message))
        if len(waiting) > self._keep:
            waiting.popleft()
            self.dropped += stream == self._reference
        for stamp, reference in sorted(self._waiting[self._reference], key=lambda item: -item[0]):
            partners = {name: self._closest(name, stamp) for name in self._others}
            if all(partner is not None for partner in partners.values()):
                self._forget(stamp, {name: partner[0] for name, partner in partners.items()})
                return {self._reference: reference} | {name: partner[1] for name, partner in partners.items()}
        return None

    def reset(self) -> None:
        """Forget all messages that wait; the count of drops stays."""
        for waiting in self._waiting.values():
            waiting.clear()

    def _closest(self, stream: str, stamp: int) -> tuple[int, Any] | None:
        best = min(self._waiting[stream], key=lambda item: abs(item[0] - stamp), default=None)
        return best if best is not None and abs(best[0] - stamp) <= self._slop else None

    def _forget(self, stamp: int, used: dict[str, int]) -> None:
        obsolete = sum(s < stamp for s, _ in self._waiting[self._reference])
        self.dropped += obsolete
        for name, waiting in self._waiting.items():
            limit = stamp if name == self._reference else used[name]
            self._waiting[name] = deque(item for item in waiting if item[0] > limit)


class LatestSlot(Generic[T]):
    """Holds the newest item for one worker thread; an item that was not taken in time is overwritten and counted."""

    def __init__(self) -> None:
        self._item: T | None = None
        self._changed = threading.Condition()
        self._closed = False
        self.overwritten = 0

    def put(self, item: T) -> None:
        """Offer an item; replaces the one that waits."""
        with self._changed:
            self.overwritten += self._item is not None
            self._item = item
            self._changed.notify_all()

    def take(self) -> T | None:
        """Wait for an item and take it; None once the slot is closed."""
        with self._changed:
            while self._item is None and not self._closed:
                self._changed.wait()
            item, self._item = (None if self._closed else self._item), None
            self._changed.notify_all()
            return item

    def wait_empty(self) -> None:
        """Wait until no item waits, or the slot is closed."""
        with self._changed:
            while self._item is not None and not self._closed:
                self._changed.wait()

    def clear(self) -> None:
        """Forget the waiting item."""
        with self._changed:
            self._item = None
            self._changed.notify_all()

    def close(self) -> None:
        """Wake the worker for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
