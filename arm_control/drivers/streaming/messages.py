"""What driver and session tell each other over their pipe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arm_control.drivers.streaming.faults import ArmState
from arm_control.drivers.streaming.servo import ServoLimits
from grasp_core.errors import ErrorCode
from grasp_core.follower import Outcome, Tolerances
from grasp_core.trajectory import Spline

# to the session


@dataclass(frozen=True)
class Follow:
    """Follow a trajectory from now on."""

    number: int
    spline: Spline
    tolerances: Tolerances


@dataclass(frozen=True)
class Servo:
    """Stream poses until cancelled, arrived (``settle`` s at rest; 0: never) or failed."""

    number: int
    limits: ServoLimits
    settle: float


@dataclass(frozen=True)
class Aim:
    """The servo's target: the grasp frame in base_link 4x4, and when it was seen, steady s."""

    T_base_tcp: np.ndarray
    time: float


@dataclass(frozen=True)
class Cancel:
    """Brake and hold, if this motion still runs."""

    number: int


@dataclass(frozen=True)
class Resume:
    """Out of a stop, and ready to move again."""


@dataclass(frozen=True)
class Grip:
    """Move the gripper to an opening in m with at most ``force`` N (0: the profile's default)."""

    number: int
    width: float
    force: float


@dataclass(frozen=True)
class HaltGripper:
    """Stay at the present opening."""


@dataclass(frozen=True)
class Quit:
    """Brake and end."""


# from the session


@dataclass(frozen=True)
class Connected:
    """Ready; the robot's version, period in s, and whether the process runs with real-time priority."""

    version: str
    period: float
    realtime: bool


@dataclass(frozen=True)
class Update:
    """The robot's state, why it must not be moved ("": it may), and how many of the periods came late or early.

    ``gripper``: opening in m and problem of one that hangs on the arm's connection.
    """

    state: ArmState
    fault: str
    late: int
    cycles: int
    gripper: tuple[float | None, str] | None = None


@dataclass(frozen=True)
class Ended:
    """A motion has ended: NONE, or why not; ``outcome`` where a trajectory's tolerances or its client decided."""

    number: int
    code: ErrorCode
    message: str = ""
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Gripped:
    """A move of the gripper has ended."""

    number: int
    reached: bool
    stalled: bool
    failure: str


@dataclass(frozen=True)
class Quiet:
    """Nothing more is told until the robot has recovered, or has not."""


@dataclass(frozen=True)
class Resumed:
    """The answer to `Resume`: "" when the arm may be moved again."""

    message: str


@dataclass(frozen=True)
class Lost:
    """The session ends: why."""

    code: ErrorCode
    message: str
