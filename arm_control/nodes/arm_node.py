"""arm_node: executes grasps and moves, through the drivers that the arm and gripper profiles name.

Actions `execute_grasp` (ExecuteGrasp) and `move_to` (MoveTo), one goal at a time over both; another goal meanwhile is
rejected. Services `~/arm`, `~/pause`, `~/resume`, `~/stop`. Topics: docs/NODES.md.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from arm_control.cancel import CancelToken, wait_until
from arm_control.drivers.gripper import GripperClient
from arm_control.drivers.joint_states import JointStateMonitor
from arm_control.drivers.trajectory import TrajectoryClient
from arm_control.guarded import Safety
from arm_control.interlock import Interlock
from arm_control.limits import SafetyLimits
from arm_control.moves import named_pose
from arm_control.nodes.arm_goals import ArmGoals
from arm_control.nodes.arm_state import ArmState
from arm_control.nodes.goals import GoalGate
from arm_control.nodes.heartbeat import Heartbeat
from arm_control.nodes.operator_services import OperatorServices
from arm_control.nodes.scene import CloudBuffer
from arm_control.nodes.servo_goal import ServoGoal
from arm_control.nodes.shown import PlanPublisher
from arm_control.nodes.status import HeldPublisher, StatusPublisher
from arm_control.nodes.vitals import VitalParams, vitals
from arm_control.planning import PLANNERS, MotionPlanner, make_planner
from arm_control.stages.context import GraspSettings
from arm_control.watchdog import MotionWatchdog
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError, SeegraspError
from grasp_core.gripper import Gripper
from grasp_ros import qos
from grasp_ros.conversions import stamp_to_ns
from grasp_ros.diagnostics import ERROR, WARN, Diagnostics, Report
from grasp_ros.params import Params
from grasp_ros.runtime import run_node
from grasp_ros.tf_listener import TfListener

_THREADS = 4
_TF_TIMEOUT = 0.5  # s
_URDF_TIMEOUT = 3.0  # s after the start: the latched URDF is on its way
_PLANNER_TIMEOUT = 15.0  # s that the planner may take to start: MoveItPy loads its plugins
_END_TIMEOUT = 5.0  # s for the goal to end when the node does


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
        told = "motion planner; move_group: a running MoveIt, moveit: MoveIt in the node"
        self._planner_name = params.declare("planner", "builtin", told, choices=PLANNERS)
        self._moveit_params = params.declare("moveit_params", "", "YAML of MoveItPy's parameters, for planner moveit")
        cloud_topic = params.declare("cloud_topic", "camera_node/cloud", "clouds of the scene")
        self._max_scene_age = params.declare("max_scene_age", 15.0, "s: no grasp in an older picture", 0.1, 600.0)
        joint_age = params.declare("joint_state_timeout", 1.0, "s: joint states older than this are stale", 0.05, 10.0)
        client_timeout = params.declare(
            "client_timeout", 2.0, "s without a client until its goal is cancelled", 0.5, 60.0
        )
        settings = GraspSettings(
            plan_time=params.declare("plan_time", 3.0, "s to find a path to one of the candidates", 0.1, 60.0),
            held_width=params.declare("held_width", 0.003, "m: closed further than this is empty", 0.0, 0.05),
        )
        self.interlock = Interlock(
            params.declare("armed", False, "whether goals may move the arm before somebody calls ~/arm")
        )
        dry_run = params.declare("dry_run", False, "plan and show motions, never move arm or gripper")
        speed = params.declare("speed", 1.0, "part of the profile's speeds that is used at most", 0.01, 1.0)
        vital = VitalParams(params)
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
        for topic in {driver.joint_states, self.model.driver.joint_states or driver.joint_states}:
            self.data.create_subscription(JointState, topic, self._on_joints, qos.SENSOR)
        self.data.create_subscription(String, driver.robot_description, self._on_description, qos.LATCHED)
        self._tf = TfListener(self.data)
        self.clouds = CloudBuffer(self.data, cloud_topic, self._max_scene_age)
        group = ReentrantCallbackGroup()
        self.trajectory = TrajectoryClient(self, driver.trajectory_action, self.joints, group)
        self.gripper = GripperClient(self, self.model, self.joints, group)
        self.state = ArmState(self.model, self.cell, self._max_scene_age, settings.held_width)
        self._urdf, self._starting = "", False
        self._planner: MotionPlanner | None = None
        self._planner_error = f"no URDF on {driver.robot_description}: start the driver or robot_state_publisher"
        self.status = StatusPublisher(self)
        self.held = HeldPublisher(self, self.arm.flange_frame, self.model)
        self.shown = PlanPublisher(self, self.arm.base_frame, self.model)
        self.safety = Safety(
            self.interlock,
            SafetyLimits(self.arm, self.model, self.cell, speed),
            MotionWatchdog(vitals(self.data, self._tf, vital)),
            dry_run,
            self.get_logger(),
        )
        self.gate = GoalGate(self, client_timeout)
        self._operator = OperatorServices(self, self.interlock, self.gate)
        self._heartbeat = Heartbeat(self, lambda: self.interlock.moving)
        self.interlock.on_motion = self._heartbeat.beat
        self._goals = ArmGoals(self, settings, self._max_scene_age)
        self._servo = ServoGoal(self)
        Diagnostics(self).add("state", self._report)
        self.status.set("idle")

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
        self._starting, self._urdf = True, msg.data
        self._close_planner()
        self._planner_error = f"planner {self._planner_name} is still being started"
        given = (self._planner_name, msg.data, self.arm, self.model, self.cell)
        try:
            self._planner = make_planner(*given, node=self, moveit_params=self._moveit_params)
            self.get_logger().info(f"planner {self._planner_name} is ready")
        except Exception as error:  # a URDF from outside: whatever is wrong with it must not end the node
            self._planner = None
            self._planner_error = f"no planner for the URDF on {self.arm.driver.robot_description}: {error}"
            self.get_logger().error(self._planner_error)
        finally:
            self._starting = False

    def _close_planner(self) -> None:
        planner, self._planner = self._planner, None
        if planner is not None:
            planner.close()

    def lookup(self, frame: str, stamp: int) -> np.ndarray:
        """T_base_frame (4, 4) at a time in ns (0: the newest), waiting a little for it; FrameError."""
        if frame == self.arm.base_frame:
            return np.eye(4)
        return self._tf.lookup(self.arm.base_frame, frame, stamp or None, timeout_s=_TF_TIMEOUT)

    def require_planner(self, cancel: CancelToken) -> MotionPlanner:
        """The planner, waiting a little for the URDF; ConfigError."""
        wait_until(lambda: bool(self._urdf) or self._planner is not None, _URDF_TIMEOUT, cancel)
        wait_until(lambda: not self._starting, _PLANNER_TIMEOUT, cancel)
        if self._planner is None:
            raise ConfigError(self._planner_error)
        return self._planner

    def require_armed(self) -> None:
        """ExecutionError NOT_ARMED, except in a dry run."""
        if not self.safety.dry_run:
            self.interlock.check()

    def close(self) -> None:
        """Stop the arm while everything still spins."""
        self.gate.cancel("the node is shutting down")
        wait_until(lambda: self.gate.active is None, _END_TIMEOUT, None)

    # diagnostics

    def _report(self) -> Report:
        goal = self.gate.active
        report = Report(values={"goal": goal.action if goal else "", "holding": self.state.held is not None})
        self._report_safety(report)
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

    def _report_safety(self, report: Report) -> None:
        lock, safety = self.interlock, self.safety
        report.values = {**report.values, "armed": lock.armed, "paused": lock.paused, "speed": safety.limits.speed}
        if safety.dry_run:
            report.worse(WARN, "dry run: nothing is moved (parameter dry_run)")
        elif not lock.armed:
            report.worse(WARN, "not armed: no goal moves the arm before `seegrasp arm`")
        if lock.paused:
            report.worse(WARN, f"paused by {lock.paused}: goals wait for `seegrasp resume`")

    def destroy_node(self) -> None:
        """Also ends the data node and the planner."""
        self.data.destroy_node()
        self._close_planner()
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
