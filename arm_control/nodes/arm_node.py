"""arm_node: executes grasps and moves, through the drivers that the arm and gripper profiles name.

Actions `execute_grasp` (ExecuteGrasp) and `move_to` (MoveTo), one goal at a time over both; another goal meanwhile is
rejected. Publishes `~/held_object` (visualization_msgs/Marker in the flange frame, latched; DELETE: nothing is held),
`~/status` (diagnostic_msgs/DiagnosticStatus, latched) and `/diagnostics`.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.parameter import Parameter
from seegrasp_msgs.action import ExecuteGrasp, MoveTo
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from arm_control.cancel import CancelToken, wait_until
from arm_control.drivers.gripper import GripperClient
from arm_control.drivers.joint_states import JointStateMonitor
from arm_control.drivers.trajectory import TrajectoryClient
from arm_control.grasping import grasp
from arm_control.moves import Target, TargetKind, named_pose
from arm_control.nodes.arm_state import ArmState
from arm_control.nodes.goals import ActiveGoal, GoalGate, GoalServer
from arm_control.nodes.requests import parse_candidates, parse_gripper, parse_scaling, parse_target
from arm_control.nodes.scene import CloudBuffer
from arm_control.nodes.status import HeldPublisher, StatusPublisher
from arm_control.planning import MotionPlanner, Trajectory, make_planner
from arm_control.stages.context import ArmContext, Detection, GraspSettings
from arm_control.stages.result import timings
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError, SeegraspError, StaleError
from grasp_core.gripper import Gripper
from grasp_ros import qos
from grasp_ros.conversions import stamp_to_ns, timings_to_msgs
from grasp_ros.diagnostics import ERROR, WARN, Diagnostics, Report
from grasp_ros.params import Params
from grasp_ros.runtime import run_node
from grasp_ros.tf_listener import TfListener

_THREADS = 4
_TF_TIMEOUT = 0.5  # s
_URDF_TIMEOUT = 3.0  # s after the start: the latched URDF is on its way


class ArmNode(Node):
    """See the module. Big and frequent messages arrive at `data`, a second node for an executor of its own."""

    def __init__(self, name: str = "arm_node", **node_options: Any) -> None:
        super().__init__(name, **node_options)
        params = Params(self)
        self.cell = Cell.load(params.declare("cell", "bin_picking", "work cell: name of a profile or path of a YAML"))
        self.arm = ArmProfile.load(params.declare("arm", "", "arm profile; empty: the cell's") or self.cell.arm)
        self.model = Gripper.load(
            params.declare("gripper", "", "gripper profile; empty: the cell's") or self.cell.gripper
        )
        self._planner_name = params.declare("planner", "builtin", "motion planner: builtin")
        cloud_topic = params.declare("cloud_topic", "/camera_node/cloud", "clouds of the scene")
        self._max_scene_age = params.declare("max_scene_age", 15.0, "s: no grasp in an older picture", 0.1, 600.0)
        joint_age = params.declare("joint_state_timeout", 1.0, "s: joint states older than this are stale", 0.05, 10.0)
        client_timeout = params.declare(
            "client_timeout", 2.0, "s without a client until its goal is cancelled", 0.5, 60.0
        )
        self._settings = GraspSettings(
            plan_time=params.declare("plan_time", 3.0, "s to find a path to one of the candidates", 0.1, 60.0),
            held_width=params.declare("held_width", 0.003, "m: closed further than this is empty", 0.0, 0.05),
        )
        params.check_unknown()
        if self.cell.base_frame != self.arm.base_frame:
            raise ConfigError(
                f"cell {self.cell.name} is in frame {self.cell.base_frame}, arm {self.arm.name} in "
                f"{self.arm.base_frame}: key base_frame must be the same"
            )
        named_pose(next(iter({**self.arm.poses, **self.cell.poses})), self.cell, self.arm)
        self.data = self._data_node(name)
        driver = self.arm.driver
        self.joints = JointStateMonitor(
            self.arm.joints, self.model.joint.name, joint_age, self.now_ns, topic=driver.joint_states
        )
        self.data.create_subscription(JointState, driver.joint_states, self._on_joints, qos.SENSOR)
        self.data.create_subscription(String, driver.robot_description, self._on_description, qos.LATCHED)
        self._tf = TfListener(self.data)
        self.clouds = CloudBuffer(self.data, cloud_topic, self._max_scene_age)
        group = ReentrantCallbackGroup()
        self.trajectory = TrajectoryClient(self, driver.trajectory_action, self.joints, group)
        self.gripper = GripperClient(self, self.model, self.joints, group)
        self.state = ArmState(self.model, self.cell, self._max_scene_age, self._settings.held_width)
        self._urdf = ""
        self._planner: MotionPlanner | None = None
        self._planner_error = f"no URDF on {driver.robot_description}: start the driver or robot_state_publisher"
        self._status = StatusPublisher(self)
        self._held = HeldPublisher(self, self.arm.flange_frame, self.model)
        self.gate = GoalGate(self, client_timeout)
        self.context.on_shutdown(self._on_shutdown)
        self._servers = (
            GoalServer(self, self.gate, ExecuteGrasp, "execute_grasp", self._execute_grasp),
            GoalServer(self, self.gate, MoveTo, "move_to", self._move_to),
        )
        Diagnostics(self).add("state", self._report)
        self._status.set("idle")

    def now_ns(self) -> int:
        """ROS time in ns."""
        return self.data.get_clock().now().nanoseconds

    def _data_node(self, name: str) -> Node:
        sim_time = self.get_parameter("use_sim_time").value
        return Node(
            f"{name}_data",
            context=self.context,
            namespace=self.get_namespace(),
            parameter_overrides=[Parameter("use_sim_time", value=sim_time)],
        )

    # inputs

    def _on_joints(self, msg: JointState) -> None:
        self.joints.update(msg.name, msg.position, msg.velocity, stamp_to_ns(msg.header.stamp))

    def _on_description(self, msg: String) -> None:
        if msg.data == self._urdf:
            return
        self._urdf = msg.data
        try:
            self._planner = make_planner(self._planner_name, msg.data, self.arm, self.model, self.cell)
            self.get_logger().info(f"planner {self._planner_name} is ready")
        except Exception as error:  # a URDF from outside: whatever is wrong with it must not end the node
            self._planner = None
            self._planner_error = f"no planner for the URDF on {self.arm.driver.robot_description}: {error}"
            self.get_logger().error(self._planner_error)

    def _on_shutdown(self) -> None:
        self.gate.cancel("the node is shutting down")

    def _lookup(self, frame: str, stamp: int) -> np.ndarray:
        if frame == self.arm.base_frame:
            return np.eye(4)
        return self._tf.lookup(self.arm.base_frame, frame, stamp or None, timeout_s=_TF_TIMEOUT)

    def _require_planner(self, cancel: CancelToken) -> MotionPlanner:
        wait_until(lambda: self._planner is not None or bool(self._urdf), _URDF_TIMEOUT, cancel)
        if self._planner is None:
            raise ConfigError(self._planner_error)
        return self._planner

    # execute_grasp

    def _execute_grasp(self, request: ExecuteGrasp.Goal, goal: ActiveGoal) -> ExecuteGrasp.Result:
        detection = parse_candidates(request, self.model, self.arm.base_frame, self._lookup)
        scaling = parse_scaling(request.velocity_scaling)
        planner = self._require_planner(goal.cancel)
        self.trajectory.await_rest(goal.cancel)
        self.state.refresh(self.joints)
        self.state.require_empty(self.gripper)
        ctx = self._grasp_context(planner, detection, scaling, goal)
        decisive, results = grasp(ctx)
        self.state.grasped(ctx.held, ctx.width, ctx.points if ctx.scene is None else ctx.scene, detection.stamp)
        self._held.publish(ctx.held, self.now_ns())
        self._status.set("idle")
        told = f"execute_grasp: {decisive.stage}: {decisive.code.name}: {decisive.message}"
        if decisive.ok:
            self.get_logger().info(told)
        else:
            self.get_logger().warning(told)
        return ExecuteGrasp.Result(
            error_code=int(decisive.code),
            error_msg="" if decisive.ok else decisive.message,
            stage=decisive.stage,
            executed=ctx.executed,
            tried=ctx.tried,
            width=float(ctx.width) if np.isfinite(ctx.width) else 0.0,
            timings=timings_to_msgs(timings(results)),
        )

    def _grasp_context(
        self, planner: MotionPlanner, detection: Detection, scaling: float | None, goal: ActiveGoal
    ) -> ArmContext:
        feedback = ExecuteGrasp.Feedback(stage="plan", candidate=-1)

        def on_stage(stage: str) -> None:
            feedback.stage = stage
            goal.feedback(feedback)
            self._status.set(f"execute_grasp: {stage}")

        def on_candidate(index: int) -> None:
            feedback.candidate = index

        return ArmContext(
            planner,
            self.trajectory,
            self.gripper,
            self.joints,
            self.model,
            self.cell,
            detection.grasps,
            self._scene(detection.stamp),
            goal.cancel,
            self._settings,
            scaling,
            on_stage,
            on_candidate,
            self.get_logger(),
        )

    def _scene(self, stamp: int) -> np.ndarray:
        """Points (N, 3) in the base frame of the cloud that the candidates were found in; StaleError."""
        age = (self.now_ns() - stamp) * 1e-9
        if not -1.0 <= age <= self._max_scene_age:
            raise StaleError(
                f"candidates are stamped {age:.1f} s before now (allowed: 0 to {self._max_scene_age} s, parameter "
                "max_scene_age): detect again"
            )
        cloud = self.clouds.at(stamp)
        T_base_cloud = self._lookup(cloud.frame, cloud.stamp)
        return cloud.transformed(T_base_cloud, self.arm.base_frame).points

    # move_to

    def _move_to(self, request: MoveTo.Goal, goal: ActiveGoal) -> MoveTo.Result:
        target = parse_target(request, self.arm, self._lookup)
        width = parse_gripper(request, self.model)
        scaling = parse_scaling(request.velocity_scaling)
        took: dict[str, float] = {}
        self.trajectory.await_rest(goal.cancel)
        self.state.refresh(self.joints)
        if target.kind != TargetKind.HERE:
            path = self._timed("plan", goal, took, lambda: self._plan(target, scaling, goal.cancel))
            self._timed("move", goal, took, lambda: self.trajectory.execute(path, goal.cancel))
        if width is not None:
            self._timed("gripper", goal, took, lambda: self._set_gripper(width, goal.cancel))
        self._status.set("idle")
        return MoveTo.Result(timings=timings_to_msgs(took))

    def _timed(self, stage: str, goal: ActiveGoal, took: dict[str, float], step: Any) -> Any:
        goal.cancel.check()
        goal.feedback(MoveTo.Feedback(stage=stage))
        self._status.set(f"move_to: {stage}")
        started = time.monotonic()
        try:
            return step()
        finally:
            took[stage] = (time.monotonic() - started) * 1e3

    def _plan(self, target: Target, scaling: float | None, cancel: CancelToken) -> Trajectory:
        planner = self._require_planner(cancel)
        if self.state.update_held(self.gripper) is None:
            self._held.publish(None, self.now_ns())
        q, width = self.joints.arm().q, self.gripper.width()
        newest = self.clouds.newest_stamp()
        points = self.state.scene(self.now_ns(), newest, self._scene)
        path, note = self.state.plan(planner, target, q, width, points, self.arm, scaling)
        if note:
            self.get_logger().warning(note)
        return path

    def _set_gripper(self, width: float, cancel: CancelToken) -> None:
        closing = width < self.gripper.width()
        if not closing:
            self.state.released()
            self._held.publish(None, self.now_ns())
        self.gripper.move(width, cancel, allow_stall=closing)

    # diagnostics

    def _report(self) -> Report:
        goal = self.gate.active
        report = Report(values={"goal": goal.action if goal else "", "holding": self.state.held is not None})
        if self._planner is None:
            report.worse(ERROR, self._planner_error)
        try:
            self.joints.arm()
        except SeegraspError as error:
            report.worse(ERROR, str(error))
        if not self.trajectory.available():
            report.worse(ERROR, f"no action server {self.arm.driver.trajectory_action}")
        if not self.gripper.available():
            report.worse(ERROR, f"no action server {self.model.driver.action}")
        newest = self.clouds.newest_stamp()
        age = float("inf") if newest is None else (self.now_ns() - newest) * 1e-9
        if age > self._max_scene_age:
            report.worse(WARN, f"no recent cloud on {self.clouds.topic}")
        report.values = {**report.values, "joint_state_age_s": self.joints.age(), "cloud_age_s": age}
        return report

    def destroy_node(self) -> None:
        """Also ends the data node."""
        self.data.destroy_node()
        super().destroy_node()


def make_nodes() -> list[Node]:
    """The node and its data node, for `run_node`."""
    node = ArmNode()
    return [node, node.data]


def main() -> int:
    """Entry point."""
    return run_node(make_nodes, threads=_THREADS)


if __name__ == "__main__":
    sys.exit(main())
