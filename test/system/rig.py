"""The whole stack under test: its five processes, a client, and everything they tell, kept for questions."""

from __future__ import annotations

import os
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from action_msgs.msg import GoalStatus, GoalStatusArray
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.task import Future
from seegrasp_msgs.action import MoveTo, Pick
from seegrasp_msgs.msg import PickAttempt
from sensor_msgs.msg import Image, JointState
from visualization_msgs.msg import MarkerArray

from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ErrorCode
from grasp_eval.demo_client import DemoClient, split_by_tray
from grasp_ros import qos
from grasp_ros.conversions import stamp_to_ns
from seegrasp.bringup import Bringup

PATIENCE_S = 180.0  # for anything that the stack does by itself, on a machine that does other things too
READY_S = 300.0
MOVING = 0.1  # rad/s
STILL = 0.02
_ENDED = (GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_CANCELED, GoalStatus.STATUS_ABORTED)
_TAIL = 25  # log lines of each node in the message of a failure


@dataclass
class PickCall:
    """A /pick goal: the stages and attempts that its feedback told, and the result once it has ended."""

    stages: list[tuple[int, str]] = field(default_factory=list)  # number of the attempt, stage
    attempts: list[PickAttempt] = field(default_factory=list)
    status: int = GoalStatus.STATUS_UNKNOWN
    result: Pick.Result | None = None

    @property
    def stage(self) -> str:
        """The present stage."""
        return self.stages[-1][1] if self.stages else ""

    @property
    def codes(self) -> list[str]:
        """The code of every attempt in the result."""
        return [ErrorCode(a.error_code).name for a in self.result.attempts]

    def __str__(self) -> str:
        told = [f"{a.index} {a.stage} {ErrorCode(a.error_code).name} {a.error_msg}" for a in self.attempts]
        end = "running" if self.result is None else f"{ErrorCode(self.result.error_code).name} {self.result.error_msg}"
        return "\n".join([f"/pick: {end}; stages {self.stages}", *told])


class Rig:
    """Client of a started bringup. Every wait is woken by messages and bounded on the steady clock."""

    def __init__(self, bringup: Bringup, node: Node, cell: Cell) -> None:
        self.bringup, self.cell, self.node = bringup, cell, node
        self.arm = ArmProfile.load(cell.arm)
        self.client = DemoClient(node)
        self.call: PickCall | None = None
        self.killed: set[str] = set()
        self.changed = threading.Condition()
        self._statuses: dict[str, DiagnosticStatus] = {}  # newest of /diagnostics, by name
        self._reports = 0
        self._objects: dict[str, np.ndarray] = {}  # name -> centre (3,) in the base frame
        self.arm_stage = ""
        self.trajectories: dict[bytes, int] = {}  # goal -> status, as the controller tells
        self.detections: dict[bytes, int] = {}
        self.joints: JointState | None = None
        self.joint_messages = 0
        self.peak_speed = 0.0  # rad/s, since it was last set to 0
        self._mover = ActionClient(node, MoveTo, "/move_to")
        self.depth_stamps: list[tuple[int, int]] = []  # of the pictures, and of the newest joint states then; ns
        driver = self.arm.driver
        node.create_subscription(JointState, driver.joint_states, self._on_joints, qos.SENSOR)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.RELIABLE)
        node.create_subscription(DiagnosticStatus, "/arm_node/status", self._on_arm_status, qos.LATCHED)
        node.create_subscription(MarkerArray, "/sim_node/objects", self._on_objects, qos.RELIABLE)
        self._listen_to_goals(driver.trajectory_action, self.trajectories)
        self._listen_to_goals("/detect_grasps", self.detections)

    # what the stack tells, in the client's thread

    def _on_joints(self, msg: JointState) -> None:
        with self.changed:
            self.joints = msg
            self.joint_messages += 1
            self.peak_speed = max(self.peak_speed, self.speed())
            self.changed.notify_all()

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        with self.changed:
            self._statuses.update({status.name: status for status in msg.status})
            self._reports += any(status.name == "sim_node: contacts" for status in msg.status)
            self.changed.notify_all()

    def _on_objects(self, msg: MarkerArray) -> None:
        centres = {m.ns: m.pose.position for m in msg.markers}
        with self.changed:
            self._objects = {name: np.array([p.x, p.y, p.z]) for name, p in centres.items()}
            self.changed.notify_all()

    def _on_arm_status(self, msg: DiagnosticStatus) -> None:
        with self.changed:
            self.arm_stage = msg.message
            self.changed.notify_all()

    def _listen_to_goals(self, action: str, goals: dict[bytes, int]) -> None:
        def take(msg: GoalStatusArray) -> None:
            with self.changed:
                goals.update({bytes(s.goal_info.goal_id.uuid): s.status for s in msg.status_list})
                self.changed.notify_all()

        self.node.create_subscription(GoalStatusArray, f"{action}/_action/status", take, qos.RELIABLE)

    def _on_depth(self, raw: bytes) -> None:
        """An Image as it comes over the wire: 4 bytes of CDR header, then the header's stamp."""
        sec, nanosec = struct.unpack_from("<iI", raw, 4)
        with self.changed:
            self.depth_stamps.append((sec * 1_000_000_000 + nanosec, stamp_to_ns(self.joints.header.stamp)))
            self.changed.notify_all()

    def _on_feedback(self, call: PickCall, feedback: Pick.Feedback) -> None:
        with self.changed:
            if not call.stages or call.stages[-1] != (feedback.attempt, feedback.stage):
                call.stages.append((feedback.attempt, feedback.stage))
            call.attempts += feedback.finished
            self.changed.notify_all()

    def _on_result(self, call: PickCall, response: Any) -> None:
        with self.changed:
            call.status, call.result = response.status, response.result
            self.changed.notify_all()

    # asking

    def speed(self) -> float:
        """Of the fastest arm joint, rad/s; 0 while nothing is known."""
        if self.joints is None:
            return 0.0
        velocity = dict(zip(self.joints.name, self.joints.velocity, strict=True))
        return max(abs(velocity[name]) for name in self.arm.joints)

    def detecting(self) -> bool:
        """Whether detector_node works on a goal."""
        return GoalStatus.STATUS_EXECUTING in self.detections.values()

    def trajectories_under_way(self) -> set[bytes]:
        """The controller's goals that have not ended."""
        return {goal for goal, status in self.trajectories.items() if status not in _ENDED}

    def moving(self, stage: str) -> bool:
        """Whether the arm moves in a stage of arm_node such as "execute_grasp: approach"."""
        return self.arm_stage == stage and self.speed() > MOVING

    def wait(self, condition: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
        """Until `condition` holds, looked at after every message; AssertionError with the logs after the timeout."""
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while not condition():
                left = deadline - time.monotonic()
                assert left > 0, f"{what}: not within {timeout_s:.0f} s\n{self.story()}"
                assert not self.client.failure, self.client.failure
                dead = [d for d in self.bringup.dead() if d.name not in self.killed]
                assert not dead, f"while waiting for {what}: {dead[0]}\n{self.story()}"
                self.changed.wait(min(left, 0.25))

    def story(self) -> str:
        """What happened, for the message of a failed test."""
        parts = [str(self.call or "no /pick yet"), f"arm_node: {self.arm_stage}; {self.speed():.2f} rad/s"]
        for name in self.bringup.names:
            log = Path(self.bringup.log_dir) / f"{name}.log"
            lines = log.read_text(encoding="utf-8").splitlines()[-_TAIL:] if log.exists() else []
            parts += [f"--- {name}", *lines]
        return "\n".join(parts)

    def in_tray(self) -> list[str]:
        """Names of the objects in the tray, by the simulator's own knowledge."""
        return split_by_tray(self._objects, self.cell)[0]

    def contacts(self) -> dict[str, str]:
        """What the simulator counts as contacts since the scene was built, in a report that comes after this call."""
        seen = self._reports
        self.wait(lambda: self._reports > seen + 1, "two reports of sim_node")
        return {v.key: v.value for v in self._statuses["sim_node: contacts"].values}

    # acting

    def kill(self, name: str) -> None:
        """SIGKILL to a node's process group."""
        self.killed.add(name)
        os.killpg(self.bringup.pid(name), signal.SIGKILL)

    def restart(self, name: str) -> None:
        """Start a killed node again."""
        with self.changed:
            self._statuses.clear()  # told before
        self.bringup.restart(name)
        self.killed.discard(name)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """A node's process group hangs (SIGSTOP)."""
        os.killpg(self.bringup.pid(name), signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.bringup.pid(name), signal.SIGCONT)

    def watch_depth(self) -> Any:
        """Collect the stamps of the depth pictures; returns the subscription, to be destroyed."""
        self.depth_stamps = []
        topic = self.cell.cameras[0].topic("depth")
        return self.node.create_subscription(Image, topic, self._on_depth, qos.RELIABLE, raw=True)

    def fresh_scene(self, objects: int, seed: int) -> None:
        """All nodes running and ready, a new scene, the arm at home and still."""
        for name in self.bringup.names:
            if not self.bringup.alive(name):
                self.restart(name)
        self.client.wait_ready(READY_S, self._abort, lambda missing: None)
        states = ("arm_node: state", "pick_node: state")  # they hear of joint states, of clouds and of each other
        self.wait(lambda: all(map(self.fine, states)), "nothing missing", READY_S)
        self.client.reset("bin", objects, seed, self._abort)
        with self.changed:
            seen, self._objects = self.joint_messages, {}
            self.trajectories.clear()  # those of a node that was killed never end
            self.detections.clear()
        self.wait(lambda: self.joint_messages > seen + 5 and self.speed() < STILL, "the arm at rest in the new scene")
        self.wait(lambda: len(self._objects) == objects and not self.in_tray(), "the new scene")

    def _abort(self) -> None:
        dead = [d for d in self.bringup.dead() if d.name not in self.killed]
        assert not dead, str(dead[0])

    def start_pick(self, **goal: int) -> PickCall:
        """Send a /pick goal; it has been accepted."""
        call = self.call = PickCall()
        future = self.client.start_pick(Pick.Goal(**goal), lambda f: self._on_feedback(call, f), self._abort)
        future.add_done_callback(lambda done: self._on_result(call, done.result()))
        return call

    def finish(self, call: PickCall, timeout_s: float = PATIENCE_S) -> Pick.Result:
        """Wait for the end of the goal."""
        self.wait(lambda: call.result is not None, "the end of /pick", timeout_s)
        return call.result

    def start_move(self, name: str, velocity_scaling: float = 0.0) -> Future:
        """Ask arm_node for a named pose; the future of its answer."""
        goal = MoveTo.Goal(target_type=MoveTo.Goal.NAMED, name=name, velocity_scaling=velocity_scaling)
        sent = self._mover.send_goal_async(goal)
        self.wait(sent.done, "arm_node accepting /move_to")
        assert sent.result().accepted, f"arm_node rejected /move_to\n{self.story()}"
        return sent.result().get_result_async()

    def move_to(self, name: str) -> MoveTo.Result:
        """Ask arm_node for a named pose; its answer."""
        answer = self.start_move(name)
        self.wait(answer.done, "the end of /move_to")
        return answer.result().result

    def fine(self, status: str) -> bool:
        """Whether a status of /diagnostics was OK when it came last."""
        return status in self._statuses and self._statuses[status].level == DiagnosticStatus.OK

    def near(self, pose: str) -> bool:
        """Whether the arm is at a named pose of cell or arm."""
        position = dict(zip(self.joints.name, self.joints.position, strict=True))
        wanted = {**self.arm.poses, **self.cell.poses}[pose]
        return all(abs(position[name] - q) < 0.05 for name, q in zip(self.arm.joints, wanted, strict=True))
