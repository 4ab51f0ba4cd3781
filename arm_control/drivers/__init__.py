"""The doors to arm, gripper and joint states. Stages see these protocols; the ROS clients beside implement them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from arm_control.cancel import CancelToken
from arm_control.drivers.joint_states import JointSample
from arm_control.planning import Trajectory


class JointSource(Protocol):
    """The newest joint states."""

    def arm(self) -> JointSample:
        """Positions and velocities of the arm's joints; ExecutionError NO_JOINT_STATES when missing, stale or NaN."""
        ...


class TrajectoryDriver(Protocol):
    """Executes joint trajectories."""

    def execute(
        self,
        trajectory: Trajectory,
        cancel: CancelToken,
        settle: bool = True,
        again: Callable[[], Trajectory] | None = None,
    ) -> None:
        """Block until the arm has arrived (and stands still, with `settle`); ExecutionError otherwise.

        Whatever ends it (error, cancellation) has stopped the arm before it raises. `again` plans the rest of the
        motion from where the arm stands then: after a pause.
        """
        ...

    def moving(self) -> bool:
        """Whether a trajectory is being executed or the arm still moves."""
        ...


class WatchedTrajectoryDriver(Protocol):
    """As `TrajectoryDriver`, without pauses, but with a check of one's own."""

    def execute(
        self, trajectory: Trajectory, cancel: CancelToken, settle: bool, check: Callable[[], None] | None
    ) -> None:
        """`check` runs every 50 ms while the arm moves; what it raises stops the arm, and is raised."""
        ...

    def moving(self) -> bool:
        """Whether a trajectory is being executed or the arm still moves."""
        ...


class PendingMove(Protocol):
    """A gripper command under way."""

    def finish(self, cancel: CancelToken) -> float:
        """Block until it has ended; the opening in m; ExecutionError otherwise."""
        ...


class GripperDriver(Protocol):
    """Opens and closes the gripper; openings in m."""

    def start(self, width: float, force: float | None = None, allow_stall: bool = False) -> PendingMove:
        """Begin to move; `allow_stall`: stopping on an object is success. `force` N; None: the profile's default."""
        ...

    def move(self, width: float, cancel: CancelToken, force: float | None = None, allow_stall: bool = False) -> float:
        """`start` and `finish`."""
        ...

    def width(self) -> float:
        """The measured opening in m; ExecutionError NO_JOINT_STATES when there is none."""
        ...


__all__ = [
    "GripperDriver",
    "JointSample",
    "JointSource",
    "PendingMove",
    "TrajectoryDriver",
    "WatchedTrajectoryDriver",
]
