"""Grippers as driver nodes see them: one command at a time."""

from __future__ import annotations

import itertools
import threading
from typing import Protocol

from arm_control.drivers.streaming import messages as m
from arm_control.drivers.streaming.driver import ArmDriver
from grasp_core.errors import ErrorCode, ExecutionError


class GripperMove:
    """One command: ``reached`` or ``stalled``, or ``failure``, when it has ended."""

    def __init__(self) -> None:
        self.reached = self.stalled = False
        self.failure = ""
        self._event = threading.Event()

    def end(self, reached: bool = False, stalled: bool = False, failure: str = "") -> None:
        """Called by the gripper, once."""
        self.reached, self.stalled, self.failure = reached, stalled, failure
        self._event.set()

    def wait(self, timeout: float) -> bool:
        """Whether it has ended within ``timeout`` s."""
        return self._event.wait(timeout)


class GripperDevice(Protocol):
    """``problem`` tells why it cannot be used ("": it can)."""

    problem: str

    def width(self) -> float:
        """The opening, m; ExecutionError GRIPPER_UNAVAILABLE."""
        ...

    def move(self, width: float, force: float) -> GripperMove:
        """Go to an opening in m with at most ``force`` N (0: the profile's default; clipped to what it can)."""
        ...

    def halt(self) -> None:
        """Stay at the present opening; a grip is kept."""
        ...

    def recover(self) -> str:
        """Ready again where somebody has to ask for it, which may move the fingers; "" or why not."""
        ...

    def close(self) -> None:
        """End; the fingers stay."""
        ...


class ArmsGripper:
    """A `GripperDevice` that hangs on the arm's own connection."""

    def __init__(self, driver: ArmDriver) -> None:
        self._driver = driver
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._moves: dict[int, GripperMove] = {}
        driver.on_gripped = self._on_gripped

    @property
    def problem(self) -> str:
        """Why it cannot be used ("": it can)."""
        update = self._driver.update
        if self._driver.connection is None or update is None or update.gripper is None:
            return f"no connection to the gripper: {self._driver.problem}"
        return update.gripper[1]

    def width(self) -> float:
        """See `GripperDevice`."""
        problem = self.problem
        width = None if problem else self._driver.update.gripper[0]
        if width is None:
            raise ExecutionError(problem or "the gripper tells no opening", ErrorCode.GRIPPER_UNAVAILABLE)
        return width

    def move(self, width: float, force: float) -> GripperMove:
        """See `GripperDevice`."""
        move, number = GripperMove(), next(self._numbers)
        with self._lock:
            older, self._moves = self._moves, {number: move}
        for one in older.values():
            one.end(failure="replaced by a newer command")
        if not self._driver.send(m.Grip(number, width, force)):
            self._on_gripped(m.Gripped(number, False, False, self.problem))
        return move

    def halt(self) -> None:
        """See `GripperDevice`."""
        self._driver.send(m.HaltGripper())

    def recover(self) -> str:
        """Nothing: it gets ready with the arm."""
        return ""

    def close(self) -> None:
        """Nothing: it ends with the arm's connection."""

    def _on_gripped(self, ended: m.Gripped | None) -> None:
        with self._lock:
            if ended is None:
                moves, self._moves = list(self._moves.values()), {}
            else:
                moves = [self._moves.pop(ended.number)] if ended.number in self._moves else []
        for move in moves:
            if ended is None:
                move.end(failure=self._driver.problem)
            else:
                move.end(ended.reached, ended.stalled, ended.failure)
