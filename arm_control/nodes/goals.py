"""Action servers that run one goal at a time, stop on cancellation, and do not outlive their client."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.action import (
    ActionServer,
    CancelResponse,
    GoalResponse,
    get_action_client_names_and_types_by_node,
)
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from arm_control.cancel import CancelToken, wait_until
from grasp_core.errors import ErrorCode, SeegraspError

_PERIOD = 0.5  # s between heartbeats and looks for the client
_CANCEL_STATE_TIMEOUT = 1.0


class ActiveGoal:
    """The goal being executed: its cancellation and its feedback, which is repeated as a heartbeat."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.cancel = CancelToken()
        self.started = time.monotonic()
        self.client_seen = time.monotonic()
        self.stopped_by_client = False
        self.cause = action
        self._handle: ServerGoalHandle | None = None
        self._feedback: Any = None
        self._lock = threading.Lock()

    def bind(self, handle: ServerGoalHandle, clients: Sequence[str]) -> None:
        """Attach the accepted goal's handle; `clients`: the nodes that may have sent it."""
        self._handle = handle
        goal_id = bytes(handle.goal_id.uuid).hex()[:8]
        self.cause = f"{self.action} goal {goal_id} of {' or '.join(clients) or 'an unknown client'}"

    def feedback(self, msg: Any) -> None:
        """Publish feedback and keep it for the heartbeat."""
        with self._lock:
            self._feedback = msg
            self._handle.publish_feedback(msg)

    def heartbeat(self, once: Callable[[Any], Any] | None = None) -> None:
        """Repeat the last feedback, passed through `once` (to leave out what may be told only once)."""
        with self._lock:
            if self._feedback is not None and self._handle.is_active:
                self._handle.publish_feedback(once(self._feedback) if once else self._feedback)


class GoalGate:
    """Lets one goal in at a time, over all actions of a node, and watches over it twice a second of steady time.

    An action client that dies leaves no trace at the server. The rule here: when no client of the goal's action has
    been in the graph for `client_timeout` s, the goal is cancelled. A second client that only listens to the feedback
    does not count; a second client able to send goals does.
    """

    def __init__(self, node: Node, client_timeout: float = 2.0) -> None:
        self._node = node
        self._client_timeout = client_timeout
        self._lock = threading.Lock()
        self._active: ActiveGoal | None = None
        self._timer = node.create_timer(
            _PERIOD,
            self._supervise,
            callback_group=ReentrantCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    @property
    def active(self) -> ActiveGoal | None:
        """The goal being executed."""
        return self._active

    def enter(self, action: str) -> bool:
        """Reserve the gate for a goal of `action`; False while another is in."""
        with self._lock:
            if self._active is not None:
                return False
            self._active = ActiveGoal(action)
            return True

    def leave(self) -> None:
        """Let the next one in."""
        with self._lock:
            self._active = None

    def cancel(self, reason: str, code: ErrorCode = ErrorCode.CANCELLED) -> None:
        """Cancel whatever is being executed."""
        active = self._active
        if active is not None:
            active.cancel.cancel(reason, code)

    def _supervise(self) -> None:
        active = self._active
        if active is None:
            return
        active.heartbeat(_without_news)
        now = time.monotonic()
        if self._clients(active.action) > 0:
            active.client_seen = now
        elif now - active.client_seen > self._client_timeout and not active.cancel.cancelled:
            self._node.get_logger().error(f"the client of {active.action} has gone: cancelling its goal")
            active.cancel.cancel(f"the client of {active.action} went away")

    def _clients(self, action: str) -> int:
        if hasattr(self._node, "count_clients"):
            return self._node.count_clients(f"{action}/_action/get_result")
        return self._node.count_subscribers(f"{action}/_action/feedback")  # Humble


class GoalServer:
    """One action behind a gate. `run(request, goal)` blocks and returns the result; it may raise `SeegraspError`."""

    def __init__(
        self, node: Node, gate: GoalGate, action_type: Any, name: str, run: Callable[[Any, ActiveGoal], Any]
    ) -> None:
        self._node = node
        self._gate = gate
        self._type = action_type
        self._name = name
        self._run = run
        self._server = ActionServer(
            node,
            action_type,
            name,
            self._execute,
            callback_group=ReentrantCallbackGroup(),
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
        )

    def _on_goal(self, _: Any) -> GoalResponse:
        if self._gate.enter(self._name):
            return GoalResponse.ACCEPT
        active = self._gate.active
        busy = f"a goal of {active.action}" if active else "another goal"
        self._node.get_logger().warning(f"goal of {self._name} rejected (BUSY): {busy} is being executed")
        return GoalResponse.REJECT

    def _on_cancel(self, _: ServerGoalHandle) -> CancelResponse:
        active = self._gate.active
        if active is not None:
            active.stopped_by_client = True
        self._gate.cancel(f"{self._name} was cancelled by its client")
        return CancelResponse.ACCEPT

    def _execute(self, handle: ServerGoalHandle) -> Any:
        goal = self._gate.active
        goal.bind(handle, clients_of(self._node, self._name))
        try:
            result = self._guarded(handle.request, goal)
            self._conclude(handle, goal, result)
            return result
        finally:
            self._gate.leave()

    def _guarded(self, request: Any, goal: ActiveGoal) -> Any:
        try:
            goal.cancel.check()
            return self._run(request, goal)
        except SeegraspError as error:
            code, message = error.code, str(error)
        except Exception as error:
            self._node.get_logger().error(f"{self._name}: {traceback.format_exc()}")
            code, message = ErrorCode.INTERNAL, f"{type(error).__name__}: {error}"
        if code != ErrorCode.CANCELLED:
            self._node.get_logger().warning(f"{self._name}: {ErrorCode(code).name}: {message}")
        return self._type.Result(error_code=int(code), error_msg=message)

    def _conclude(self, handle: ServerGoalHandle, goal: ActiveGoal, result: Any) -> None:
        if result.error_code in (ErrorCode.NONE, ErrorCode.REGION_CLEARED):
            handle.succeed()
        elif result.error_code == ErrorCode.CANCELLED and goal.stopped_by_client and self._canceling(handle):
            handle.canceled()
        else:
            handle.abort()

    def _canceling(self, handle: ServerGoalHandle) -> bool:
        """rclpy runs the cancel callback just before it changes the goal's state: wait for that."""
        return wait_until(lambda: handle.is_cancel_requested, _CANCEL_STATE_TIMEOUT, None, 0.01)


def clients_of(node: Node, action: str) -> list[str]:
    """Full names of the nodes that are clients of an action: a goal does not tell who sent it."""
    wanted = node.resolve_topic_name(action)
    found = []
    for name, namespace in set(node.get_node_names_and_namespaces()):
        try:
            actions = get_action_client_names_and_types_by_node(node, name, namespace)
        except RuntimeError:  # it has left the graph meanwhile
            continue
        if any(known == wanted for known, _ in actions):
            found.append(f"{namespace.rstrip('/')}/{name}")
    return sorted(found)


def _without_news(feedback: Any) -> Any:
    """A copy of the feedback without the attempts that it told of: they are told once."""
    if not getattr(feedback, "finished", None):
        return feedback
    copy = type(feedback)(**{name: getattr(feedback, name) for name in feedback.get_fields_and_field_types()})
    copy.finished = []
    return copy
