"""A UR controller in a process of its own, as ur_rtde needs it: it keeps Python's lock while it connects."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from types import TracebackType

from grasp_sim.ur_controller.__main__ import READY

_count = itertools.count(1)


def own_address() -> str:
    """A loopback address that no other test uses: ports are fixed."""
    number = os.getpid() * 16 + next(_count)
    return f"127.{64 + (number >> 16) % 64}.{number >> 8 & 255}.{max(number & 255, 1)}"


class UrRobot:
    """The controller's process; `say` one of its commands."""

    def __init__(self, *args: str) -> None:
        self.address = own_address()
        argv = [sys.executable, "-m", "grasp_sim.ur_controller", "--address", self.address, *args]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout.readline().strip() == READY

    def say(self, command: str) -> str:
        """The answer to a command."""
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert not answer.startswith("unknown"), answer
        return answer

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def __enter__(self) -> UrRobot:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def wait_for(condition: Callable[[], object], what: str, timeout: float = 40.0) -> None:
    """Until `condition` holds; AssertionError after `timeout` s."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.02)
