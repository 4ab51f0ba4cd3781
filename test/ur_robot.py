"""UR controllers for tests, at addresses of their own."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable

from grasp_sim.ur_controller.process import ControllerProcess

_count = itertools.count(1)


def own_address() -> str:
    """A loopback address that no other test uses: ports are fixed."""
    number = os.getpid() * 16 + next(_count)
    return f"127.{64 + (number >> 16) % 64}.{number >> 8 & 255}.{max(number & 255, 1)}"


class UrRobot(ControllerProcess):
    """A controller's process."""

    def __init__(self, *args: str) -> None:
        super().__init__(own_address(), *args)


def wait_for(condition: Callable[[], object], what: str, timeout: float = 120.0) -> None:
    """Until `condition` holds; AssertionError after `timeout` s."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.02)
