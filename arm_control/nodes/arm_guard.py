"""What pick_node does for arm_node: watch that it lives while the arm moves, and hand the operator's word on to it."""

from __future__ import annotations

import threading
import time

from action_msgs.srv import CancelGoal
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.client import Client
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_srvs.srv import Trigger

from arm_control.cancel import wait_future
from arm_control.nodes.heartbeat import HeartbeatWatch

_PERIOD = 0.05  # s between looks at the heartbeat
_AGAIN = 0.5  # s between cancellations while it stays away
_TRIES = 6
_ANSWER = 1.0  # s for arm_node to answer an operator's word


class ArmGuard:
    """Cancels the controller's trajectories when arm_node dies or hangs while the arm moves.

    The server of a FollowJointTrajectory goal does not notice that its client is gone: it would go on to the end of the
    trajectory. Any client may cancel all goals of an action; that stops the arm with the controller's own deceleration.
    """

    def __init__(self, node: Node, arm_node: str, trajectory_action: str, timeout: float) -> None:
        self._node, self._arm_node, self._action, self._timeout = node, arm_node, trajectory_action, timeout
        group = ReentrantCallbackGroup()
        self._watch = HeartbeatWatch(node, f"{arm_node}/heartbeat")
        self._cancel = node.create_client(CancelGoal, f"{trajectory_action}/_action/cancel_goal", callback_group=group)
        self._words = {
            word: node.create_client(Trigger, f"{arm_node}/{word}", callback_group=group)
            for word in ("pause", "resume", "stop")
        }
        self._lock = threading.Lock()
        self._tries, self._last_try = 0, 0.0
        self._timer = node.create_timer(
            _PERIOD, self._look, callback_group=group, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    @property
    def problem(self) -> str:
        """What is wrong with arm_node now; empty: nothing, or it has not been seen yet."""
        age = self._watch.age()
        return f"no sign of life of {self._arm_node} for {age:.1f} s" if self._timeout < age < float("inf") else ""

    def tell(self, word: str) -> tuple[bool, str]:
        """Call `pause`, `resume` or `stop` of arm_node: whether it did so, and what it said.

        Where arm_node does not answer, `stop` goes to the controller itself.
        """
        client: Client = self._words[word]
        if client.service_is_ready():
            future = client.call_async(Trigger.Request())
            if wait_future(future, _ANSWER):
                return future.result().success, future.result().message
        if word == "stop":
            self._cancel_all(f"{self._arm_node} does not answer")
            return True, f"{self._arm_node} does not answer: cancelled every trajectory of {self._action}"
        return False, f"{client.srv_name} does not answer: is {self._arm_node} running?"

    def _look(self) -> None:
        lost = self._watch.busy and self._watch.age() > self._timeout
        with self._lock:
            if not lost:
                self._tries = 0
                return
            now = time.monotonic()
            if self._tries >= _TRIES or now - self._last_try < _AGAIN:
                return
            self._tries, self._last_try = self._tries + 1, now
        self._cancel_all(f"{self.problem} while the arm moved")

    def _cancel_all(self, why: str) -> None:
        self._node.get_logger().error(f"{why}: cancelling every trajectory of {self._action}")
        if not self._cancel.service_is_ready():
            self._node.get_logger().error(f"no action server {self._action}: nothing to cancel, its driver is gone")
            return
        self._cancel.call_async(CancelGoal.Request())  # no goal, no time: all of them
