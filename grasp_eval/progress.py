"""Progress in the terminal: a status line that refreshes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO


class Progress:
    """`line` prints for good; `status` shows what goes on now (on a pipe only when its `key` changes)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._tty = self._stream.isatty()
        self._start = time.monotonic()
        self._shown = 0
        self._key = ""

    @property
    def elapsed(self) -> str:
        """Time since the start, m:ss."""
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        return f"{minutes}:{seconds:02d}"

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self._clear()
        print(f"[{self.elapsed}] {text}", file=self._stream, flush=True)

    def status(self, text: str, key: str | None = None) -> None:
        """Show the present state."""
        if not self._tty:
            key = text if key is None else key
            if key != self._key:
                self._key = key
                self.line(text)
            return
        width = shutil.get_terminal_size().columns - 1
        shown = f"[{self.elapsed}] {text}"[:width]
        self._stream.write("\r" + shown.ljust(self._shown))
        self._stream.flush()
        self._shown = len(shown)

    def _clear(self) -> None:
        if self._tty and self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._shown = 0
