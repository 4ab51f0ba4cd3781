"""Moving the arm for a calibration: slowly, through arm_node's MoveTo, and never without consent."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

import numpy as np
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.task import Future
from seegrasp_msgs.action import MoveTo

from grasp_core.errors import ErrorCode, ExecutionError, PlanningError, SeegraspError
from grasp_ros.conversions import matrix_to_pose

_REPLY_S = 10.0
_CANCEL_S = 20.0
# No motion was made: another look may be possible. Everything else ends the tour.
SKIPPED = range(ErrorCode.UNREACHABLE, ErrorCode.TIMING_FAILED + 1)


def consent(plan: str, yes: bool, ask: Callable[[str], str] = input) -> None:
    """Show the plan and get the user's word; `yes`: it was given on the command line.

    Raises:
        SeegraspError: refused, or there is nobody to ask.
    """
    print(plan, flush=True)
    if yes:
        return
    if not sys.stdin.isatty() and ask is input:
        raise SeegraspError("nobody to ask whether the arm may move: give --yes to allow it", ErrorCode.CANCELLED)
    if ask("Keep a hand on the emergency stop. Type yes to let the arm move: ").strip().lower() != "yes":
        raise SeegraspError("not allowed to move the arm: nothing moved", ErrorCode.CANCELLED)


class Mover:
    """Client of arm_node. Its node spins elsewhere."""

    def __init__(self, node: Node, base_frame: str, speed: float) -> None:
        """`speed`: velocity scaling, (0, 1]."""
        self._base_frame, self._speed = base_frame, speed
        self._client = ActionClient(node, MoveTo, "move_to")

    def require(self, wait_s: float) -> None:
        """ExecutionError when arm_node is not there."""
        if not self._client.wait_for_server(timeout_sec=wait_s):
            raise ExecutionError(
                f"no action server move_to within {wait_s:g} s: start arm_node, or calibrate without --auto",
                ErrorCode.CONTROLLER_UNAVAILABLE,
            )

    def go(self, T_base_tcp: np.ndarray, straight: bool = True) -> None:
        """Move the grasp frame to a pose (4, 4); returns when the arm has stopped there.

        Ctrl-C stops the arm.

        Raises:
            PlanningError: there is no such motion; nothing moved. ExecutionError: it failed; the tour must end.
        """
        goal = MoveTo.Goal(target_type=MoveTo.Goal.POSE_LINEAR if straight else MoveTo.Goal.POSE)
        goal.velocity_scaling = self._speed
        goal.pose.header.frame_id = self._base_frame
        goal.pose.pose = matrix_to_pose(T_base_tcp)
        sent = self._client.send_goal_async(goal)
        self._await(sent, _REPLY_S, "accepting move_to")
        handle = sent.result()
        if not handle.accepted:
            raise ExecutionError("arm_node refused the motion: it is busy", ErrorCode.BUSY)
        answer = handle.get_result_async()
        try:
            self._await(answer, None, "the motion")
        except KeyboardInterrupt:
            print("stopping the arm", flush=True)
            handle.cancel_goal_async()
            self._await(answer, _CANCEL_S, "stopping")
            raise
        result = answer.result().result
        if result.error_code in SKIPPED:
            raise PlanningError(result.error_msg, ErrorCode(result.error_code))
        if result.error_code != ErrorCode.NONE:
            raise ExecutionError(f"the arm did not move as asked: {result.error_msg}", ErrorCode(result.error_code))

    def _await(self, future: Future, timeout_s: float | None, what: str) -> None:
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while not done.wait(0.1):
            if not self._client.server_is_ready():
                raise ExecutionError(f"arm_node went away while waiting for {what}", ErrorCode.CONTROLLER_UNAVAILABLE)
            if end is not None and time.monotonic() > end:
                raise ExecutionError(f"no answer from arm_node within {timeout_s:g} s: {what}", ErrorCode.TIMEOUT)
