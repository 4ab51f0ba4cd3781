"""The doors to arm, gripper and joint states. Stages see these protocols; the ROS clients beside implement them."""

from __future__ import annotations

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

    def execute(self, trajectory: Trajectory, cancel: CancelToken, settle: bool = True) -> None:
        """Block until the arm has arrived (and stands still, with `settle`); ExecutionError otherwise.

        Whatever ends it (error, cancellation) has stopped the arm before it raises.
        """
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


__all__ = ["GripperDriver", "JointSample", "JointSource", "PendingMove", "TrajectoryDriver"]
