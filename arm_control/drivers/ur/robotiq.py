"""A Robotiq 2F gripper through the socket of its URCap (63352) on the robot's controller.

Registers: Robotiq 2F-85/2F-140 instruction manual, "Control" (ACT, GTO, POS, SPE, FOR; STA, OBJ, FLT, PRE).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import numpy as np

from arm_control.drivers.streaming.gripper import GripperMove
from arm_control.drivers.ur.faults import RESUME
from grasp_core.errors import ErrorCode, ExecutionError
from grasp_core.gripper import Gripper

PORT = 63352
OPEN, CLOSED = 3, 230  # counts at both ends of the stroke, as Robotiq's drivers use them
_RESET, _ACTIVE = 0, 3  # STA
_MOVING, _ARRIVED = 0, 3  # OBJ; 1 and 2: stopped by an object
_PERIOD = 0.04  # s between questions
_TIMEOUT = 1.0  # s for an answer
_ACTIVATION = 10.0  # s: the fingers open and close once
_RETRY = 2.0  # s
_NEEDS_ACTIVATION = (10, 12, 13, 14, 15)  # faults that only end with a new activation
_INACTIVE = "the gripper is not activated"
_FAULTS = {
    5: "a command came before the activation",
    7: "not activated",
    8: "too hot: let it cool down",
    9: "no communication for a second",
    10: "under-voltage",
    11: "automatic release in progress",
    12: "internal fault",
    13: "activation fault: something blocks the fingers",
    14: "over-current",
    15: "automatic release is done: activate it anew",
}


class _Command(GripperMove):
    """Opening, speed and force in counts."""

    def __init__(self, count: int, speed: int, force: int) -> None:
        super().__init__()
        self.count, self.speed, self.force = count, speed, force


class RobotiqGripper:
    """Connects, asks for the position all the time, and carries out one command at a time. Thread-safe.

    ``problem`` tells why it cannot be used ("": it can); ``log`` is called when that changes. A gripper that is not
    active opens and closes to become so, and may hold something: that is done in `recover` only, and with ``init``
    once, at the start.
    """

    def __init__(self, host: str, gripper: Gripper, log: Callable[[str], None], init: bool = False) -> None:
        self._host, self._gripper, self._log, self._init = host, gripper, log, init
        self._lock = threading.Lock()
        self._count: int | None = None
        self._next: _Command | None = None
        self._current: _Command | None = None
        self._waiting = False  # for an activation
        self._activation: GripperMove | None = None  # asked for
        self._closing = threading.Event()
        self._wake = threading.Event()
        self.problem = "not connected yet"
        self._thread = threading.Thread(target=self._run, name="robotiq", daemon=True)
        self._thread.start()

    def width(self) -> float:
        """The opening, m; ExecutionError GRIPPER_UNAVAILABLE."""
        count = self._count
        if count is None:
            raise ExecutionError(self.problem, ErrorCode.GRIPPER_UNAVAILABLE)
        share = float(np.clip((count - OPEN) / (CLOSED - OPEN), 0.0, 1.0))
        return self._gripper.max_width - share * (self._gripper.max_width - self._gripper.min_width)

    def move(self, width: float, force: float) -> GripperMove:
        """Go to an opening in m with at most ``force`` N (0: the profile's default; clipped to what it can)."""
        g = self._gripper
        share = (g.max_width - width) / (g.max_width - g.min_width)
        move = _Command(
            round(OPEN + float(np.clip(share, 0.0, 1.0)) * (CLOSED - OPEN)),
            _byte(g.speed.default, g.speed.min, g.speed.max),
            _byte(force or g.force.default, g.force.min, g.force.max),
        )
        with self._lock:
            if self._next is not None:
                self._next.end(failure="replaced by a newer command")
            self._next = move
        self._wake.set()
        return move

    def halt(self) -> None:
        """Stay at the present opening; a grip is kept."""
        if self._count is not None and self._current is not None:
            self.move(self.width(), 0.0)

    def recover(self) -> str:
        """Activate it if it waits for that: the fingers open and close; "" or why it is not active then."""
        with self._lock:
            if not self._waiting:
                return ""
            self._activation = activation = self._activation or GripperMove()
        self._wake.set()
        if not activation.wait(2 * _ACTIVATION + _TIMEOUT):
            return "the gripper does not answer"
        return activation.failure

    def close(self) -> None:
        """End the connection; the fingers stay."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=2 * _TIMEOUT)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with socket.create_connection((self._host, PORT), timeout=_TIMEOUT) as connection:
                    self._serve(_Registers(connection))
            except (OSError, ValueError) as error:
                self._lose(
                    f"no Robotiq gripper at {self._host}:{PORT} ({error}): is the Robotiq URCap installed, and the "
                    "gripper connected to the tool?"
                )
            except ExecutionError as error:
                self._lose(str(error))
            self._closing.wait(_RETRY)

    def _lose(self, problem: str) -> None:
        self._fail(problem)
        self._end_waiting(problem)

    def _fail(self, problem: str) -> None:
        self._count = None
        with self._lock:
            moves, self._next, self._current = (self._next, self._current), None, None
        for move in moves:
            if move is not None:
                move.end(failure=problem)
        self._tell(problem)

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._log(problem or "gripper: ready")

    def _serve(self, registers: _Registers) -> None:
        while not self._closing.is_set():
            fault, active = registers.get("FLT"), registers.get("STA") == _ACTIVE
            if fault in _NEEDS_ACTIVATION or not active:
                self._await_activation(registers, _fault(fault) if fault in _NEEDS_ACTIVATION else _INACTIVE)
            elif fault:
                raise ExecutionError(_fault(fault))
            else:
                self._obey(registers)
                self._activated()
            self._wake.wait(_PERIOD)
            self._wake.clear()

    def _obey(self, registers: _Registers) -> None:
        with self._lock:
            new, self._next = self._next, None
        if new is not None:
            if self._current is not None:
                self._current.end(failure="replaced by a newer command")
            self._current = new
            registers.set(POS=new.count, SPE=new.speed, FOR=new.force, GTO=1)
        self._count = registers.get("POS")
        self._tell("")
        self._judge(registers)

    def _judge(self, registers: _Registers) -> None:
        move = self._current
        if move is None or registers.get("PRE") != move.count:  # it has not taken the command yet
            return
        state = registers.get("OBJ")
        if state != _MOVING:
            self._count = registers.get("POS")
            self._current = None
            move.end(reached=state == _ARRIVED, stalled=state != _ARRIVED)

    def _await_activation(self, registers: _Registers, why: str) -> None:
        """Nothing moves until `recover` wants it active, or somebody has made it so at the pendant."""
        self._fail(f"{why}: clear its fingers, which will open and close, {RESUME}, or activate it at the pendant")
        with self._lock:
            self._waiting = True
            wanted = self._init or self._activation is not None
        if wanted:
            self._init = False  # once: the fingers move
            registers.set(ACT=0)
            self._await_state(registers, _RESET)
            registers.set(ACT=1)
            self._await_state(registers, _ACTIVE)

    def _await_state(self, registers: _Registers, state: int) -> None:
        for _ in range(round(_ACTIVATION / _PERIOD)):
            if registers.get("STA") == state or self._closing.wait(_PERIOD):
                return
        raise ExecutionError(f"the gripper does not become active within {_ACTIVATION:.0f} s: does something block it?")

    def _activated(self) -> None:
        self._init = False
        self._end_waiting("")

    def _end_waiting(self, failure: str) -> None:
        with self._lock:
            activation, self._activation, self._waiting = self._activation, None, False
        if activation is not None:
            activation.end(reached=not failure, failure=failure)


class _Registers:
    """Asks and sets the gripper's variables over one connection; OSError, ValueError on a bad answer."""

    def __init__(self, connection: socket.socket) -> None:
        self._lines = connection.makefile("rw", newline="\n", encoding="ascii", errors="replace")

    def get(self, name: str) -> int:
        answer = self._ask(f"GET {name}").split()
        if len(answer) != 2 or answer[0] != name:
            raise ValueError(f"answer to GET {name} is {answer}")
        return int(answer[1])

    def set(self, **values: int) -> None:
        answer = self._ask("SET " + " ".join(f"{name} {value}" for name, value in values.items()))
        if answer != "ack":
            raise ValueError(f"answer to SET is {answer!r}")

    def _ask(self, question: str) -> str:
        self._lines.write(question + "\n")
        self._lines.flush()
        answer = self._lines.readline()
        if not answer:
            raise ValueError("the connection was closed")
        return answer.strip()


def _fault(number: int) -> str:
    return f"gripper fault {number}: {_FAULTS.get(number, 'see its manual')}"


def _byte(value: float, low: float, high: float) -> int:
    return round(255 * float(np.clip((value - low) / (high - low), 0.0, 1.0)))
