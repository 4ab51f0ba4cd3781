"""A controller in a process of its own: ur_rtde keeps Python's lock while it connects, so it cannot be in the same."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType

from grasp_core.errors import SeegraspError

READY = "ready"  # what the process says first


class ControllerProcess:
    """Runs `ur_controller` from `with` to its end; `say` one of its commands."""

    def __init__(self, address: str, *args: str) -> None:
        """SeegraspError when it does not start: the address is in use."""
        self.address = address
        argv = [sys.executable, "-m", "grasp_sim.ur_controller", "--address", address, *args]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        if self._process.stdout.readline().strip() != READY:
            raise SeegraspError(f"ur_controller does not start at {address}: is another one running there?")

    def say(self, command: str) -> str:
        """The answer to a command; SeegraspError when there is none such."""
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        if answer.startswith("unknown"):
            raise SeegraspError(answer)
        return answer

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def __enter__(self) -> ControllerProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
