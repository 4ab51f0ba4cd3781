"""pick_node: clears a region. Action `pick` (Pick), a client of arm_node and detector_node, and arm_node's guard.

Services `~/pause`, `~/resume`, `~/stop`. Topics: docs/NODES.md.
"""

from __future__ import annotations

import sys
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.parameter import Parameter
from seegrasp_msgs.action import Pick
from seegrasp_msgs.msg import PickAttempt
from sensor_msgs.msg import JointState

from arm_control.cancel import wait_until
from arm_control.drivers.joint_states import JointStateMonitor
from arm_control.drop import DropSpots
from arm_control.nodes.arm_guard import ArmGuard
from arm_control.nodes.clients import ArmClient, DetectorClient
from arm_control.nodes.goals import ActiveGoal, GoalGate, GoalServer
from arm_control.nodes.heartbeat import Heartbeat
from arm_control.nodes.operator_services import PickOperator
from arm_control.nodes.scene import CloudBuffer
from arm_control.nodes.status import StatusPublisher
from arm_control.picking import Attempt, PickLimits, PickRun
from arm_control.stages.context import PickContext, PickSettings
from grasp_core.arm import ArmProfile
from grasp_core.cell import Box, Cell
from grasp_core.errors import ErrorCode, InputError, SeegraspError
from grasp_core.gripper import Gripper
from grasp_ros import qos
from grasp_ros.conversions import grasps_to_msg, ns_to_stamp, region_to_box, stamp_to_ns, timings_to_msgs
from grasp_ros.diagnostics import WARN, Diagnostics, Report
from grasp_ros.params import Params
from grasp_ros.runtime import run_node

_THREADS = 4
_CLOUD_SECONDS = 1.0
_END_TIMEOUT = 5.0  # s for the run to end when the node does


class PickNode(Node):
    """See the module. Clouds and joint states arrive at `data`, a second node for an executor of its own."""

    def __init__(self, name: str = "pick_node", **node_options: Any) -> None:
        super().__init__(name, **node_options)
        params = Params(self)
        self.cell = Cell.load(params.declare("cell", "bin_picking", "work cell: name of a profile or path of a YAML"))
        self.arm = ArmProfile.load(params.declare("arm", "", "arm profile; empty: the cell's") or self.cell.arm)
        gripper = params.declare("gripper", "", "gripper profile; empty: the cell's") or self.cell.gripper
        self.model = Gripper.load(gripper)
        cloud_topic = params.declare("cloud_topic", "camera_node/cloud", "clouds of the scene")
        held_topic = params.declare("held_topic", "arm_node/held_object", "what arm_node holds")
        self._max_cloud_age = params.declare(
            "max_cloud_age", 2.0, "s: an older newest cloud means no camera", 0.1, 60.0
        )
        joint_age = params.declare("joint_state_timeout", 1.0, "s: joint states older than this are stale", 0.05, 10.0)
        client_timeout = params.declare("client_timeout", 2.0, "s without a client until its goal ends", 0.5, 60.0)
        detect_timeout = params.declare("detect_timeout", 10.0, "s for one detection", 0.5, 600.0)
        max_grasps = params.declare("max_grasps", 100, "candidates to ask for", 1, 10000)
        self._max_attempts = params.declare("max_attempts", 50, "attempts in a run, unless the goal says", 1, 100000)
        self._max_failures = params.declare("max_consecutive_failures", 5, "in a row, unless the goal says", 1, 1000)
        self._min_score = params.declare("min_score", 0.2, "worse grasps are left, unless the goal says", 0.0, 1.0)
        self._settings = _settings(params)
        arm_node = params.declare("arm_node", "arm_node", "name of the node that moves the arm")
        heartbeat = params.declare(
            "heartbeat_timeout", 0.5, "s without arm_node in motion until the arm is stopped", 0.1, 60.0
        )
        params.check_unknown()
        sim_time = Parameter("use_sim_time", value=self.get_parameter("use_sim_time").value)
        self.data = Node(
            f"{name}_data", context=self.context, namespace=self.get_namespace(), parameter_overrides=[sim_time]
        )
        topic = self.model.driver.joint_states or self.arm.driver.joint_states
        self.joints = JointStateMonitor((), self.model.joint.name, joint_age, self.now_ns, topic)
        self.data.create_subscription(JointState, topic, self._on_joints, qos.SENSOR)
        self.clouds = CloudBuffer(self.data, cloud_topic, _CLOUD_SECONDS, limit=2)
        group, frame = ReentrantCallbackGroup(), self.arm.base_frame
        self.arm_client = ArmClient(self, self.data, self.model, frame, self.joints, group, held_topic)
        self.detector = DetectorClient(self, self.clouds, frame, group, detect_timeout, max_grasps)
        self._spots = DropSpots(self.cell)
        self._status = StatusPublisher(self)
        self._run: PickRun | None = None
        self.guard = ArmGuard(self, arm_node, self.arm.driver.trajectory_action, heartbeat)
        self.gate = GoalGate(self, client_timeout)
        self._operator = PickOperator(self, self.gate, self.guard)
        self._heartbeat = Heartbeat(self, lambda: self.gate.active is not None)
        self._server = GoalServer(self, self.gate, Pick, "pick", self._pick)
        Diagnostics(self).add("state", self._report)
        self._status.set("idle")

    def now_ns(self) -> int:
        """ROS time in ns."""
        return self.data.get_clock().now().nanoseconds

    def missing(self) -> str:
        """What keeps a run from working; empty when all is there."""
        out = []
        if not self.arm_client.available():
            out.append("arm_node (actions move_to, execute_grasp)")
        if not self.detector.available():
            out.append("detector_node (action detect_grasps)")
        try:
            self.joints.gripper_position()
        except SeegraspError as error:
            out.append(str(error))
        if self.guard.problem:
            out.append(self.guard.problem)
        newest = self.clouds.newest_stamp()
        age = None if newest is None else (self.now_ns() - newest) * 1e-9
        if age is None or abs(age) > self._max_cloud_age:
            out.append(f"no cloud on {self.clouds.topic}" if age is None else f"{self.clouds.topic} is {age:.1f} s old")
        return "; ".join(out)

    def _on_joints(self, msg: JointState) -> None:
        self.joints.update(msg.name, msg.position, msg.velocity, stamp_to_ns(msg.header.stamp))

    def close(self) -> None:
        """End the run, and with it the arm's motion, while everything still spins."""
        self.gate.cancel("the node is shutting down")
        wait_until(lambda: self.gate.active is None, _END_TIMEOUT, None)

    def _pick(self, request: Pick.Goal, goal: ActiveGoal) -> Pick.Result:
        region = self._region(request)
        if not 0.0 <= request.min_score <= 1.0:
            raise SeegraspError(f"min_score is {request.min_score}: expected [0, 1]", ErrorCode.INVALID_GOAL)
        told = _Teller(self, goal)
        ctx = PickContext(
            arm=self.arm_client,
            detector=self.detector,
            model=self.model,
            cell=self.cell,
            region=region,
            spots=self._spots,
            now=self.now_ns,
            min_score=request.min_score or self._min_score,
            cancel=goal.cancel,
            settings=self._settings,
            on_stage=told.stage,
            log=self.get_logger(),
        )
        limits = PickLimits(
            request.count,
            request.max_attempts or self._max_attempts,
            request.max_consecutive_failures or self._max_failures,
        )
        run = self._run = PickRun(ctx, limits, self.missing, told.attempt)
        told.run = run
        try:
            code, message = run.run()
        except SeegraspError as error:
            code, message = error.code, str(error)
        self._status.set("idle")
        self.get_logger().info(f"pick: {ErrorCode(code).name}: {message}")
        attempts = [self.attempt_msg(a) for a in run.attempts]
        return Pick.Result(error_code=int(code), error_msg=message, picked=run.picked, attempts=attempts)

    def _region(self, request: Pick.Goal) -> Box:
        try:
            return region_to_box(request.region, self.arm.base_frame) or self.cell.pick_region()
        except InputError as error:
            raise SeegraspError(str(error), ErrorCode.INVALID_GOAL) from error

    def attempt_msg(self, a: Attempt) -> PickAttempt:
        """The message of an attempt."""
        return PickAttempt(
            index=a.index,
            start=ns_to_stamp(a.start),
            observed=ns_to_stamp(a.observed),
            success=a.success,
            error_code=int(a.code),
            error_msg=a.message,
            stage=a.stage,
            grasp=grasps_to_msg(a.grasp, a.frame, a.observed, gripper_name=self.model.name),
            candidates=a.candidates,
            candidates_tried=a.tried,
            duration_s=(a.end - a.start) * 1e-9,
            timings=timings_to_msgs(a.timings),
        )

    def _report(self) -> Report:
        run, goal = self._run, self.gate.active
        report = Report(values={"goal": goal.action if goal else ""})
        if run is not None:
            report.values = {**report.values, "attempts": len(run.attempts), "picked": run.picked}
        if self.arm_client.paused:
            report.worse(WARN, "arm_node is paused: `seegrasp resume`")
        missing = self.missing()
        if missing:
            report.worse(WARN, f"missing: {missing}")
        return report

    def destroy_node(self) -> None:
        """Also ends the data node."""
        self.data.destroy_node()
        super().destroy_node()


class _Teller:
    """Feedback of a run: the stage, the counters, and each finished attempt once."""

    def __init__(self, node: PickNode, goal: ActiveGoal) -> None:
        self._node = node
        self._goal = goal
        self._stage = ""
        self.run: PickRun | None = None

    def stage(self, stage: str) -> None:
        self._stage = stage
        self._node._status.set(f"pick: {stage}")
        self._send([])

    def attempt(self, attempt: Attempt) -> None:
        self._send([self._node.attempt_msg(attempt)])

    def _send(self, finished: list[PickAttempt]) -> None:
        attempts = picked = 0
        if self.run is not None:
            attempts, picked = len(self.run.attempts), self.run.picked
        self._goal.feedback(Pick.Feedback(stage=self._stage, attempt=attempts, picked=picked, finished=finished))


def _settings(params: Params) -> PickSettings:
    default = PickSettings()
    return PickSettings(
        settle=params.declare("settle", default.settle, "s after the arm has stopped until pictures count", 0.0, 5.0),
        looks=params.declare("looks", default.looks, "looks without a grasp until a run ends", 1, 20),
        clear_height=params.declare(
            "clear_height", default.clear_height, "m above the region's floor: objects", 0.0, 0.1
        ),
        clear_points=params.declare("clear_points", default.clear_points, "this many points are noise", 0, 100000),
        held_width=params.declare("held_width", default.held_width, "m: closed further than this is empty", 0.0, 0.05),
        release_gap=params.declare(
            "release_gap", default.release_gap, "m between object and tray at release", 0.0, 0.3
        ),
        carry_height=params.declare("carry_height", default.carry_height, "m between object and tray rim", 0.0, 0.5),
        retreat=params.declare("retreat", default.retreat, "m straight up after the release", 0.0, 0.5),
        spots=params.declare("spots", default.spots, "drop spots to try for one object", 1, 100),
        recovery=params.declare(
            "recovery_timeout", default.recovery, "s to wait for a node that went away", 0.0, 600.0
        ),
    )


def make_nodes() -> list[Node]:
    """The node and its data node, for `run_node`."""
    node = PickNode()
    return [node, node.data]


def main() -> int:
    """Entry point."""
    return run_node(make_nodes, threads=_THREADS)


if __name__ == "__main__":
    sys.exit(main())
