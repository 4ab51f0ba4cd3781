"""The gripper on a Rizon's flange through the RDK, on the arm's own connection."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np

from arm_control.drivers.flexiv.rdk import Rizon
from grasp_core.gripper import Gripper

_PERIOD = 0.04  # s between questions
_GRACE = 0.25  # s until the fingers must have begun to move
_REACHED = 0.003  # m
_INIT = 10.0  # s: the RDK does not tell when the initialization has ended
_RETRY = 2.0  # s


@dataclass(frozen=True)
class _Command:
    number: int
    width: float
    force: float


class RdkGripper:
    """Enables the gripper, asks for its opening all the time, and carries out one command at a time. Thread-safe.

    The RDK's gripper calls wait for the robot's answer: they run in a thread of their own, beside the arm's targets.
    """

    def __init__(self, rizon: Rizon, gripper: Gripper, name: str, init: bool) -> None:
        """``name``: of the gripper in Flexiv Elements; ``init``: whether it has to be initialized by command."""
        self._rizon, self._profile, self._name, self._init = rizon, gripper, name, init
        self._lock = threading.Lock()
        self._state: tuple[float | None, str] = (None, "the gripper is not enabled yet")
        self._next: _Command | None = None
        self._halt = False
        self._current: tuple[_Command, float, float] | None = None  # command, width asked for, steady time
        self._ended: list[tuple[int, bool, bool, str]] = []
        self._wake = threading.Event()
        threading.Thread(target=self._run, name="rdk gripper", daemon=True).start()

    def report(self) -> tuple[float | None, str]:
        """See `ArmGripper`."""
        return self._state

    def move(self, number: int, width: float, force: float) -> None:
        """See `ArmGripper`."""
        with self._lock:
            self._next = _Command(number, width, force)
        self._wake.set()

    def halt(self) -> None:
        """See `ArmGripper`."""
        self._halt = True
        self._wake.set()

    def ended(self) -> list[tuple[int, bool, bool, str]]:
        """See `ArmGripper`."""
        with self._lock:
            ended, self._ended = self._ended, []
        return ended

    def _run(self) -> None:
        while True:
            try:
                self._serve(self._enable())
            except (RuntimeError, ValueError) as error:
                self._fail(
                    f"gripper {self._name!r}: {' '.join(str(error).split())}; is it connected, and named so in Flexiv "
                    "Elements (Settings, Device)?"
                )
            time.sleep(_RETRY)

    def _enable(self) -> object:
        gripper = self._rizon.rdk.Gripper(self._rizon.robot)
        if gripper.params().name != self._name:
            gripper.Enable(self._name)
        if self._init:
            gripper.Init()
            self._init = False  # once: the fingers move
            time.sleep(_INIT)
        return gripper

    def _serve(self, gripper: object) -> None:
        params = gripper.params()
        while True:
            with self._lock:
                new, self._next = self._next, None
            if self._halt:
                self._halt = False
                gripper.Stop()
                self._end(False, False, "stopped")
            if new is not None:
                self._end(False, False, "replaced by a newer command")
                width = float(np.clip(new.width, params.min_width, params.max_width))
                speed = float(np.clip(self._profile.speed.default, params.min_vel, params.max_vel))
                force = float(np.clip(new.force or self._profile.force.default, params.min_force, params.max_force))
                self._current = (new, width, time.monotonic())
                gripper.Move(width, speed, force)
            states = gripper.states()
            self._state = (float(states.width), "")
            self._judge(states)
            self._wake.wait(_PERIOD)
            self._wake.clear()

    def _judge(self, states: object) -> None:
        if self._current is None:
            return
        _, wanted, since = self._current
        reached = abs(states.width - wanted) <= _REACHED
        if not states.is_moving and (reached or time.monotonic() - since > _GRACE):
            self._end(reached, not reached, "")

    def _end(self, reached: bool, stalled: bool, failure: str) -> None:
        if self._current is not None:
            number = self._current[0].number
            self._current = None
            with self._lock:
                self._ended.append((number, reached, stalled, failure))

    def _fail(self, problem: str) -> None:
        self._state = (None, problem)
        self._end(False, False, problem)
        with self._lock:
            new, self._next = self._next, None
            if new is not None:
                self._ended.append((new.number, False, False, problem))
