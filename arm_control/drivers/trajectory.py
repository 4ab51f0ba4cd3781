"""Joint trajectories through `control_msgs/action/FollowJointTrajectory`, watched until the arm stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from control_msgs.action import FollowJointTrajectory
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from arm_control.cancel import Cancelled, CancelToken, wait_until
from arm_control.drivers.action_call import ActionCaller, Call, CallCodes
from arm_control.drivers.joint_states import JointStateMonitor
from arm_control.planning import Trajectory
from grasp_core.errors import ErrorCode, ExecutionError, SeegraspError

LINK_LOST = -100  # error_code of ur_driver_node, beyond those of the action: there is no link to the robot

_RESULTS = {
    FollowJointTrajectory.Result.INVALID_GOAL: "INVALID_GOAL",
    FollowJointTrajectory.Result.INVALID_JOINTS: "INVALID_JOINTS",
    FollowJointTrajectory.Result.OLD_HEADER_TIMESTAMP: "OLD_HEADER_TIMESTAMP",
    FollowJointTrajectory.Result.PATH_TOLERANCE_VIOLATED: "PATH_TOLERANCE_VIOLATED",
    FollowJointTrajectory.Result.GOAL_TOLERANCE_VIOLATED: "GOAL_TOLERANCE_VIOLATED",
}


@dataclass(frozen=True)
class MotionWatch:
    """When a motion counts as failed (s of ROS time, rad, rad/s)."""

    factor: float = 4.0  # a trajectory may take this times its duration (slow simulator, speed slider) ...
    margin: float = 5.0  # ... plus this
    start_tolerance: float = 0.05  # how far the arm may be from a trajectory's first point
    goal_tolerance: float = 0.05  # how far from its last point in the end
    still: float = 0.02  # slower than this is standing still
    settle_timeout: float = 2.0  # on the steady clock
    rest_timeout: float = 10.0  # how long something else may go on moving the arm


class TrajectoryClient:
    """Sends trajectories to a joint trajectory controller and returns when the arm has arrived or has been stopped."""

    def __init__(
        self,
        node: Node,
        action: str,
        joints: JointStateMonitor,
        callback_group: CallbackGroup,
        watch: MotionWatch | None = None,
    ) -> None:
        codes = CallCodes(
            unavailable=ErrorCode.CONTROLLER_UNAVAILABLE,
            rejected=ErrorCode.CONTROLLER_ABORTED,
            timeout=ErrorCode.CONTROLLER_ABORTED,
        )
        self._caller = ActionCaller(node, FollowJointTrajectory, action, codes, callback_group)
        self._joints = joints
        self._watch = watch or MotionWatch()
        self._running = False

    def available(self) -> bool:
        """Whether the controller's action server is there."""
        return self._caller.available()

    def moving(self) -> bool:
        """Whether a trajectory is being executed or the arm is not known to stand still."""
        if self._running:
            return True
        try:
            return not self._joints.settled(self._watch.still)
        except SeegraspError:
            return True

    def await_rest(self, cancel: CancelToken) -> None:
        """Wait until the arm stands still: no plan from where it is only passing.

        ExecutionError: NO_JOINT_STATES; BUSY when it goes on moving, though not by this client. `Cancelled`.
        """
        limit = self._watch.rest_timeout
        if not wait_until(lambda: self._joints.settled(self._watch.still), limit, cancel, 0.02):
            raise ExecutionError(
                f"the arm has been moving for {limit:.0f} s without a goal from here: end what commands "
                f"{self._caller.name}, or whoever guides the arm by hand",
                ErrorCode.BUSY,
            )

    def execute(
        self,
        trajectory: Trajectory,
        cancel: CancelToken,
        settle: bool = True,
        check: Callable[[], None] | None = None,
    ) -> None:
        """Execute from where the arm stands; `check` runs every 50 ms meanwhile and may raise.

        ExecutionError: NO_JOINT_STATES (missing or stale, also while moving), CONTROLLER_UNAVAILABLE (no server, no
        answer in 2 s, server lost), CONTROLLER_ABORTED (rejected, aborted, not finished in time, not arrived);
        `Cancelled`. The arm has been told to stop, and is standing still if it can be seen, before any of these.
        """
        cancel.check()
        self._check_start(trajectory)
        self._running = True
        try:
            call = self._caller.start(FollowJointTrajectory.Goal(trajectory=to_msg(trajectory)), cancel)
            self._follow(call, trajectory, cancel, check)
            if settle:
                self._settle(trajectory)
        except Cancelled:
            wait_until(self._still, self._watch.settle_timeout, None, 0.02)
            raise
        finally:
            self._running = False

    def _check_start(self, trajectory: Trajectory) -> None:
        for name in ("times", "q", "qd", "qdd"):
            if not np.isfinite(getattr(trajectory, name)).all():
                raise ExecutionError(f"trajectory has NaN or infinite {name}: not sent", ErrorCode.INVALID_GOAL)
        gap = np.abs(self._joints.arm().q - trajectory.q[0])
        if gap.max() > self._watch.start_tolerance:
            raise ExecutionError(
                f"trajectory starts {gap.max():.3f} rad from {trajectory.names[int(gap.argmax())]}'s position "
                f"(allowed: {self._watch.start_tolerance}): the arm was moved after planning; not sent",
            )

    def _follow(
        self, call: Call, trajectory: Trajectory, cancel: CancelToken, check: Callable[[], None] | None
    ) -> None:
        limit = trajectory.duration * self._watch.factor + self._watch.margin

        def watch() -> None:
            self._joints.arm()
            if check is not None:
                check()

        status, result = call.wait(limit, cancel, watch)
        if status == GoalStatus.STATUS_SUCCEEDED and result.error_code == FollowJointTrajectory.Result.SUCCESSFUL:
            return
        if status == GoalStatus.STATUS_CANCELED:
            raise ExecutionError(f"{self._caller.name}: someone else cancelled or replaced the trajectory")
        if result.error_code == LINK_LOST:
            raise ExecutionError(f"{self._caller.name}: {result.error_string}", ErrorCode.CONTROLLER_UNAVAILABLE)
        name = _RESULTS.get(result.error_code, f"error {result.error_code}")
        raise ExecutionError(f"{self._caller.name} aborted the trajectory: {name} {result.error_string}".rstrip())

    def _settle(self, trajectory: Trajectory) -> None:
        if not wait_until(self._still, self._watch.settle_timeout, None, 0.01):
            raise ExecutionError(f"the arm does not come to rest within {self._watch.settle_timeout} s of its goal")
        gap = np.abs(self._joints.arm().q - trajectory.q[-1])
        if gap.max() > self._watch.goal_tolerance:
            raise ExecutionError(
                f"{self._caller.name} reports success, but {trajectory.names[int(gap.argmax())]} is "
                f"{gap.max():.3f} rad off (allowed: {self._watch.goal_tolerance})"
            )

    def _still(self) -> bool:
        try:
            return self._joints.settled(self._watch.still)
        except SeegraspError:
            return False


def to_msg(trajectory: Trajectory) -> JointTrajectory:
    """The message of a trajectory; its zero stamp means: start now."""
    rows = zip(trajectory.times, trajectory.q, trajectory.qd, trajectory.qdd, strict=True)
    points = [
        JointTrajectoryPoint(
            positions=q.tolist(), velocities=qd.tolist(), accelerations=qdd.tolist(), time_from_start=_duration(t)
        )
        for t, q, qd, qdd in rows
    ]
    return JointTrajectory(joint_names=list(trajectory.names), points=points)


def _duration(seconds: float) -> Duration:
    ns = round(float(seconds) * 1e9)
    return Duration(sec=ns // 1_000_000_000, nanosec=ns % 1_000_000_000)
