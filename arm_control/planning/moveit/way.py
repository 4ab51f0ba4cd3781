"""How a straight line is to be planned."""

from __future__ import annotations

from dataclasses import dataclass

from arm_control.planning import Exemption, HeldObject
from arm_control.planning.collision import Mode


@dataclass(frozen=True)
class Way:
    """Opening `width` (m), what is held, whose points are exempt, velocity scaling, and what messages call it."""

    width: float
    held: HeldObject | None
    ignore: Exemption | None
    scaling: float | None
    what: str = "straight line"
    mode: Mode = Mode.LINEAR
