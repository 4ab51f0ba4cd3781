"""The operator's word: services `~/arm`, `~/pause`, `~/resume`, `~/stop` of arm_node; the last three of pick_node."""

from __future__ import annotations

from functools import partial

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from arm_control.interlock import Interlock
from arm_control.nodes.arm_guard import ArmGuard
from arm_control.nodes.goals import GoalGate
from grasp_core.errors import ErrorCode


class OperatorServices:
    """Acts at once, also while a goal is executed, and says what was done."""

    def __init__(self, node: Node, interlock: Interlock, gate: GoalGate) -> None:
        self._log, self._interlock, self._gate = node.get_logger(), interlock, gate
        group = ReentrantCallbackGroup()
        self._services = [
            node.create_service(SetBool, "~/arm", self._on_arm, callback_group=group),
            *(
                node.create_service(Trigger, f"~/{word}", handle, callback_group=group)
                for word, handle in (("pause", self._on_pause), ("resume", self._on_resume), ("stop", self._on_stop))
            ),
        ]

    def stop(self, who: str) -> str:
        """Disarm and end the goal; what was ended. Nothing moves until somebody arms again."""
        self._interlock.disarm(f"it was stopped by {who}")
        active = self._gate.active
        self._gate.cancel(f"stopped by {who}", ErrorCode.STOPPED)
        return "nothing was under way" if active is None else f"{active.action} was stopped"

    def _on_arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data:
            self._interlock.arm()
            response.message = "armed: goals move the arm from now on"
        else:
            response.message = f"disarmed; {self.stop('~/arm (false)')}"
        return self._done(response, "~/arm")

    def _on_pause(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        moved = self._interlock.pause("~/pause")
        response.message = "paused: the motion was stopped" if moved else "paused: nothing was moving"
        return self._done(response, "~/pause")

    def _on_resume(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        was = self._interlock.resume()
        response.message = "resumed: a waiting motion is planned anew" if was else "it was not paused"
        return self._done(response, "~/resume")

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message = f"{self.stop('~/stop')}; nothing moves until it is armed again (~/arm)"
        return self._done(response, "~/stop")

    def _done(self, response: Trigger.Response, name: str) -> Trigger.Response:
        response.success = True
        self._log.warning(f"operator: {name}: {response.message}")
        return response


class PickOperator:
    """pick_node's `~/pause`, `~/resume` and `~/stop`: handed on to arm_node; a stop ends the run, too."""

    def __init__(self, node: Node, gate: GoalGate, guard: ArmGuard) -> None:
        self._log, self._gate, self._guard = node.get_logger(), gate, guard
        group = ReentrantCallbackGroup()
        self._services = [
            node.create_service(Trigger, f"~/{word}", partial(self._on_word, word), callback_group=group)
            for word in ("pause", "resume", "stop")
        ]

    def _on_word(self, word: str, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if word == "stop":
            self._gate.cancel("stopped by pick_node's ~/stop", ErrorCode.STOPPED)
        response.success, response.message = self._guard.tell(word)
        self._log.warning(f"operator: ~/{word}: {response.message}")
        return response
