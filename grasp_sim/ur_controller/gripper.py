"""The socket of Robotiq's gripper URCap (63352): `SET POS 255 SPE 255 FOR 100 GTO 1` is answered by `ack`, `GET POS` by
`POS 3`. Names and meaning of the variables: Robotiq 2F-85/2F-140 instruction manual, status and control registers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from grasp_sim.ur_controller.lines import TextServer, by_line

if TYPE_CHECKING:
    from grasp_sim.ur_controller.controller import Controller

PORT = 63352
OPEN, CLOSED = 3, 230  # counts of an open and a closed 2F-85: it stops a little before the ends of its scale
_STROKE_TIME = 0.7  # s at full speed
_MOVING, _STOPPED_OPENING, _STOPPED_CLOSING, _ARRIVED = range(4)  # OBJ
_ACTIVE = 3  # STA


class Fingers(Protocol):
    """What moves: positions 0 (open) to 1 (closed)."""

    def move(self, position: float, speed: float, force: float) -> None:
        """Go to a position with shares of the full speed and force."""
        ...

    def step(self, dt: float) -> None:
        """Advance by ``dt`` s."""
        ...

    @property
    def position(self) -> float:
        """Where they are."""
        ...

    @property
    def done(self) -> str:
        """ "" while they move, else "reached" or "stalled"."""
        ...


class FreeFingers:
    """Fingers that close on an object of a settable width, or on nothing."""

    def __init__(self) -> None:
        self.position = 0.0
        self.blocked_at: float | None = None  # position at which an object stops the closing fingers
        self._target, self._speed = 0.0, 1.0

    def move(self, position: float, speed: float, force: float) -> None:
        """See `Fingers`."""
        self._target, self._speed = position, max(speed, 0.05)

    def step(self, dt: float) -> None:
        """See `Fingers`."""
        step = self._speed * dt / _STROKE_TIME
        self.position += min(max(self._limit - self.position, -step), step)

    @property
    def done(self) -> str:
        """See `Fingers`."""
        if abs(self.position - self._target) < 1e-6:
            return "reached"
        return "stalled" if abs(self.position - self._limit) < 1e-6 else ""

    @property
    def _limit(self) -> float:
        return self._target if self.blocked_at is None else min(self._target, self.blocked_at)


class GripperServer:
    """The registers of one gripper, moved by `Fingers`."""

    def __init__(self, controller: Controller, fingers: Fingers, address: str, port: int = PORT) -> None:
        self._controller = controller
        self.fingers = fingers
        self._set = {"ACT": 0, "GTO": 0, "POS": 0, "SPE": 255, "FOR": 0, "ATR": 0, "ADR": 0}
        self._closing = False
        self.fault = 0
        self.server = TextServer(address, port, by_line(self._locked))

    @property
    def active(self) -> bool:
        """Whether somebody has activated it: a gripper that gets power is not."""
        return bool(self._set["ACT"])

    def lose_power(self) -> None:
        """And get it again: it is not active any more."""
        self._set |= {"ACT": 0, "GTO": 0}

    def _locked(self, line: str) -> str:
        with self._controller.lock:
            words = line.split()
            if words[0] == "GET" and len(words) == 2:
                return f"{words[1]} {self._get(words[1])}"
            if words[0] == "SET" and len(words) % 2 == 1:
                return self._write(dict(zip(words[1::2], words[2::2], strict=True)))
            return "?"

    def _write(self, values: dict[str, str]) -> str:
        if not set(values) <= set(self._set) or not all(v.isdigit() and int(v) <= 255 for v in values.values()):
            return "nack"
        self._set |= {name: int(value) for name, value in values.items()}
        if not self.active:
            self.fault = 0
        if self._set["ACT"] and self._set["GTO"] and {"POS", "GTO"} & set(values):
            position = (self._set["POS"] - OPEN) / (CLOSED - OPEN)
            position = min(max(position, 0.0), 1.0)
            self._closing = position > self.fingers.position
            self.fingers.move(position, self._set["SPE"] / 255, self._set["FOR"] / 255)
        return "ack"

    def _get(self, name: str) -> int | str:
        if name == "POS":
            return round(OPEN + self.fingers.position * (CLOSED - OPEN))
        if name == "STA":
            return _ACTIVE if self.active else 0
        if name == "PRE":
            return self._set["POS"]
        if name == "OBJ":
            done = self.fingers.done
            stopped = _STOPPED_CLOSING if self._closing else _STOPPED_OPENING
            return {"": _MOVING, "reached": _ARRIVED, "stalled": stopped}[done]
        if name == "FLT":
            return self.fault
        return self._set.get(name, "?")
