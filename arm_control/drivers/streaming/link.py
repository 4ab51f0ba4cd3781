"""What a robot's own library has to offer to be streamed to."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from arm_control.drivers.streaming.faults import ArmFault, ArmState


class ArmGripper(Protocol):
    """A gripper that hangs on the arm's own connection. Thread-safe."""

    def report(self) -> tuple[float | None, str]:
        """The opening in m (None: unknown), and why it cannot be used ("": it can)."""
        ...

    def move(self, number: int, width: float, force: float) -> None:
        """Begin to go to an opening in m with at most ``force`` N (0: the profile's default)."""
        ...

    def halt(self) -> None:
        """Stay at the present opening."""
        ...

    def ended(self) -> list[tuple[int, bool, bool, str]]:
        """Moves that have ended since the last call: number, reached, stalled, why it failed."""
        ...


class Link(Protocol):
    """One connection. Every method may raise `ArmFault` or `LinkFault`: the session ends."""

    version: str
    period: float
    gripper: ArmGripper | None

    def next(self) -> ArmState:
        """Wait for the robot's next state."""
        ...

    def judge(self, state: ArmState) -> ArmFault | None:
        """Why an arm in this state must not be moved; None: it may."""
        ...

    def recover(self, state: ArmState) -> None:
        """Out of a stop, if the robot lets it; ArmFault when not."""
        ...

    def begin_poses(self) -> None:
        """Get ready for `servo_pose`; the arm rests."""
        ...

    def servo_joints(self, q: np.ndarray) -> None:
        """Stream a joint target (dof,) rad."""
        ...

    def servo_pose(self, T_base_tcp: np.ndarray) -> None:
        """Stream a target of the grasp frame in base_link, 4x4."""
        ...

    def end_servo(self) -> None:
        """No targets any more: the robot holds itself."""
        ...

    def alive(self) -> None:
        """Tell the robot's watchdog that somebody is here."""
        ...


class LinkSettings(Protocol):
    """How to connect: pickled, and opened in the session's process.

    ``library`` that talks to the robot; s that ``connecting`` and ``recovering`` may take at most; ``late`` s that a
    period may be off until it counts as late.
    """

    library: str
    connecting: float
    recovering: float
    late: float

    def connect(self) -> Link:
        """Connected and ready; LinkFault, ArmFault."""
        ...
