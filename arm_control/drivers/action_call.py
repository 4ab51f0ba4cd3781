"""Calling a ROS action from a thread that may block: acceptance, result, loss of the server, cancellation."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from arm_control.cancel import CancelToken, wait_future, wait_until
from arm_control.drivers.patience import FROZEN, Patience
from grasp_core.errors import ErrorCode, ExecutionError

_SERVER_CHECK = 0.25  # s between looks whether the server is still there
_SERVER_LOST = 1.0  # s without a server until it counts as lost
_LOOK = 0.5  # s between looks at the clock
_PROBE = 3.0  # s between questions whether the server still knows the goal (a restarted one does not)


@dataclass(frozen=True)
class CallCodes:
    """What a failure of the call itself is reported as."""

    unavailable: ErrorCode
    rejected: ErrorCode
    timeout: ErrorCode


class ActionCaller:
    """One action server, called with blocking `Call`s from outside the executor that spins `node`."""

    def __init__(
        self,
        node: Node,
        action_type: Any,
        name: str,
        codes: CallCodes,
        callback_group: CallbackGroup,
        accept_timeout: float = 2.0,
        server_timeout: float = 1.0,
        stop_timeout: float = 3.0,
    ) -> None:
        self.name = name
        self.codes = codes
        self.server_timeout = server_timeout
        self.accept_timeout = accept_timeout
        self.stop_timeout = stop_timeout
        self.clock = node.get_clock()
        self.client = ActionClient(node, action_type, name, callback_group=callback_group)

    def available(self) -> bool:
        """Whether a server is there now."""
        return self.client.server_is_ready()

    def start(
        self, goal: Any, cancel: CancelToken | None = None, on_feedback: Callable[[Any], None] | None = None
    ) -> Call:
        """Send a goal; raises the `unavailable` code when no server appears within `server_timeout` s."""
        if not wait_until(self.available, self.server_timeout, cancel):
            raise ExecutionError(
                f"action server {self.name} is not there: is its node running?", self.codes.unavailable
            )
        handler = None if on_feedback is None else (lambda msg: on_feedback(msg.feedback))
        return Call(self, self.client.send_goal_async(goal, feedback_callback=handler))


class Call:
    """One goal under way."""

    def __init__(self, caller: ActionCaller, accepting: Any) -> None:
        self._caller = caller
        self._accepting = accepting
        self._handle: Any = None
        self._results: list[Any] = []
        self._anew = False
        self._last_probe = self._last_look = self._last_seen = time.monotonic()

    def wait(self, timeout: float, cancel: CancelToken, check: Callable[[], None] | None = None) -> tuple[int, Any]:
        """Block until the goal has ended; its `GoalStatus` and result.

        `timeout` s counts from here in ROS time, see `Patience`. Raises the caller's codes for a rejection, a lost
        server and a timeout, `Cancelled` on cancellation, and whatever `check` (run every 50 ms) raises. Before it
        raises, the goal has been cancelled and, if the server still answers, has ended.
        """
        try:
            return self._wait(timeout, cancel, check)
        except BaseException:
            self.stop()
            raise

    def begin_anew(self) -> None:
        """Count the time limit of `wait` anew from now: the server told that it waits on purpose."""
        self._anew = True

    def stop(self) -> bool:
        """Cancel the goal, also when it is accepted only later; True when it is known to have ended."""
        if self._handle is None:
            self._accepting.add_done_callback(_cancel_when_accepted)
            if not wait_future(self._accepting, self._caller.accept_timeout):
                return False
            self._adopt()
            if self._handle is None:
                return True
        self._handle.cancel_goal_async()
        deadline = time.monotonic() + self._caller.stop_timeout
        while self._ended() is None and time.monotonic() < deadline and self._caller.available():
            wait_future(self._results[-1], 0.1)
        return self._ended() is not None

    def _wait(self, timeout: float, cancel: CancelToken, check: Callable[[], None] | None) -> tuple[int, Any]:
        codes, name = self._caller.codes, self._caller.name
        patience = Patience(timeout, lambda: self._caller.clock.now().nanoseconds)
        if not wait_future(self._accepting, self._caller.accept_timeout, cancel, check):
            raise ExecutionError(
                f"{name} did not answer the goal within {self._caller.accept_timeout} s", codes.unavailable
            )
        self._adopt()
        if self._handle is None:
            raise ExecutionError(f"{name} rejected the goal", codes.rejected)

        def watch() -> None:
            self._watch_server()
            if check is not None:
                check()

        while self._ended() is None:
            if self._anew:
                self._anew, patience = False, Patience(timeout, lambda: self._caller.clock.now().nanoseconds)
            left = patience.left()
            if left <= 0.0:
                raise ExecutionError(f"{name} did not finish within {timeout:.1f} s", codes.timeout)
            if patience.frozen():
                raise ExecutionError(
                    f"{name}: ROS time has stood still for {FROZEN:.0f} s: is the publisher of /clock alive?",
                    codes.unavailable,
                )
            wait_future(self._results[-1], min(left, _LOOK), cancel, watch)
            self._probe()
        response = self._ended().result()
        if response.status == GoalStatus.STATUS_UNKNOWN:
            raise ExecutionError(f"{name} no longer knows the goal: its node was restarted", codes.unavailable)
        return response.status, response.result

    def _adopt(self) -> None:
        handle = self._accepting.result()
        if self._handle is None and handle is not None and handle.accepted:
            self._handle = handle
            self._results.append(handle.get_result_async())

    def _ended(self) -> Any:
        return next((r for r in self._results if r.done()), None)

    def _probe(self) -> None:
        if self._ended() is None and time.monotonic() - self._last_probe >= _PROBE:
            self._last_probe = time.monotonic()
            self._results.append(self._handle.get_result_async())

    def _watch_server(self) -> None:
        now = time.monotonic()
        if now - self._last_look < _SERVER_CHECK:
            return
        self._last_look = now
        if self._caller.available():
            self._last_seen = now
        elif now - self._last_seen > _SERVER_LOST:
            raise ExecutionError(
                f"{self._caller.name} went away while it had a goal: its node has died", self._caller.codes.unavailable
            )


def _cancel_when_accepted(accepting: Any) -> None:
    handle = accepting.result()
    if handle is not None and handle.accepted:
        handle.cancel_goal_async()
