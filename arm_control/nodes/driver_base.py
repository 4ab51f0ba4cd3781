"""What driver nodes have in common: an arm of `drivers.streaming` behind the interfaces of ros2_control's world.

Actions of the arm and gripper profiles, `/joint_states`, `/tf`, `/robot_description`, ServoTo, the service `~/recover`;
see docs/NODES.md.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from rclpy._rclpy_pybind11 import RCLError
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from arm_control.drivers.streaming import messages as m
from arm_control.drivers.streaming.clock import RobotClock
from arm_control.drivers.streaming.driver import ArmDriver
from arm_control.drivers.streaming.faults import ArmState
from arm_control.drivers.streaming.gripper import GripperDevice
from arm_control.drivers.streaming.link import LinkSettings
from arm_control.drivers.streaming.servo import ServoLimits
from arm_control.drivers.streaming.session import SessionSettings
from arm_control.nodes.gripper_server import GripperServer
from arm_control.nodes.robot_feed import RobotFeed
from arm_control.nodes.servo_server import ServoServer
from arm_control.nodes.trajectory_server import TrajectoryServer
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError, ExecutionError
from grasp_core.gripper import Gripper
from grasp_ros import qos
from grasp_ros.conversions import ns_to_stamp
from grasp_ros.diagnostics import ERROR, OK, WARN, Diagnostics, RateMeter, Report
from grasp_ros.params import Params
from grasp_ros.trajectory_goal import Limits

THREADS = 6  # three actions with a goal that ends and one that begins each
_TF_PERIOD = 0.02  # s
_ANGULAR = 4.0  # rad of a streamed rotation per m of the linear limits: as fast as a tool of 25 cm would swing
_LATE = 0.005  # share of late periods that is worth a warning


class DriverNode(Node, ABC):
    """See the module. A subclass reads its parameters, then calls `_start`."""

    def __init__(self, name: str, **node_options: Any) -> None:
        super().__init__(name, **node_options)
        self._params = params = Params(self)
        self._cell = Cell.load(params.declare("cell", "bin_picking", "work cell: name of a profile or path of a YAML"))
        self._arm = ArmProfile.load(params.declare("arm", "", "arm profile; empty: the cell's") or self._cell.arm)
        self._gripper = Gripper.load(
            params.declare("gripper", "", "gripper profile; empty: the cell's") or self._cell.gripper
        )
        self._realtime = params.declare("realtime", True, "ask for real-time priority")
        self._max_age = params.declare("servo_timeout", 0.2, "s: a servo target that is older stops the arm", 0.02, 5.0)
        self._publish_description = params.declare(
            "publish_description", True, "/tf and /robot_description, as robot_state_publisher"
        )
        self._device: GripperDevice | None = None

    def _start(self, link: LinkSettings, silence: float, hardware: str) -> None:
        """Connect; ``silence`` s without a word until a session is ended by force."""
        self._link, self._silence = link, silence
        self._joint_states = self.create_publisher(JointState, self._arm.driver.joint_states, qos.RELIABLE)
        apart = self._gripper.driver.joint_states
        self._finger_states = (
            self.create_publisher(JointState, apart, qos.RELIABLE)
            if apart not in ("", self._arm.driver.joint_states)
            else None
        )
        self._meter, self._last_tf = RateMeter(), 0.0
        self._clock_of_robot = RobotClock(simulated=bool(self.get_parameter("use_sim_time").value))
        urdf = self._arm.urdf_path.read_text(encoding="utf-8")
        self._feed = self._make_feed(urdf) if self._publish_description else None
        settings = SessionSettings(link, self._arm.joints, np.array(self._arm.max_acceleration), self._realtime)
        self._driver = ArmDriver(settings, silence, self._on_state, self.get_logger().warning)
        self._device = self._make_gripper()
        driver = self._arm.driver
        self._servers: list[Any] = [
            TrajectoryServer(self, self._driver, driver.trajectory_action, _limits(urdf, self._arm))
        ]
        if self._device is not None:
            self._servers.append(GripperServer(self, self._device, self._gripper))
        if driver.servo_action:
            most = self._servo_limits()
            self._servers.append(
                ServoServer(self, self._driver, driver.servo_action, driver.servo_target, most, self._arm.base_frame)
            )
        self.create_service(Trigger, "~/recover", self._on_recover, callback_group=MutuallyExclusiveCallbackGroup())
        diagnostics = Diagnostics(self)
        diagnostics.add("robot", self._report_robot, hardware)
        if self._device is not None:
            diagnostics.add("gripper", self._report_gripper, hardware)

    @abstractmethod
    def _make_gripper(self) -> GripperDevice | None:
        """The gripper that this driver moves; None: somebody else does."""

    @abstractmethod
    def _about(self, connection: m.Connected, update: m.Update | None) -> dict[str, Any]:
        """Values of the robot's diagnostics that only this kind of robot has."""

    def close(self) -> None:
        """Brake and disconnect."""
        self._driver.close()
        if self._device is not None:
            self._device.close()

    def _make_feed(self, urdf: str) -> RobotFeed:
        now = self.get_clock().now().nanoseconds
        return RobotFeed(self, urdf, self._arm.driver.robot_description, self._arm.joints, now)

    def _servo_limits(self) -> ServoLimits:
        arm, box = self._arm, self._cell.safety.workspace or self._cell.workspace
        return ServoLimits(
            speed=arm.linear_velocity,
            acceleration=arm.linear_acceleration,
            angular_speed=arm.linear_velocity * _ANGULAR,
            angular_acceleration=arm.linear_acceleration * _ANGULAR,
            low=np.array(box.min),
            high=np.array(box.max),
            max_age=self._max_age,
            position=0.0,
            rotation=0.0,
        )

    def _on_state(self, state: ArmState) -> None:
        """In the driver's thread, at the rate of its session's reports."""
        if not self.context.ok():
            return
        try:
            self._publish(state)
        except RCLError:
            if self.context.ok():  # else the process is ending between the two lines
                raise

    def _publish(self, state: ArmState) -> None:
        now = self._clock_of_robot.stamp(state.timestamp, self.get_clock().now().nanoseconds)
        msg = JointState(name=list(self._arm.joints), position=state.q.tolist(), velocity=state.qd.tolist())
        msg.header.stamp = ns_to_stamp(now)
        msg.header.frame_id = self._arm.base_frame
        self._add_finger(msg)
        self._joint_states.publish(msg)
        self._meter.tick()
        if self._feed is not None and abs(state.timestamp - self._last_tf) >= _TF_PERIOD:
            self._last_tf = state.timestamp
            self._feed.publish(state.q, now)

    def _add_finger(self, msg: JointState) -> None:
        """The gripper's joint, in the arm's message or on the topic that its profile names."""
        position = self._finger()
        if position is None:
            return
        if self._finger_states is not None:
            msg = JointState(header=msg.header)
        msg.name = [*msg.name, self._gripper.joint.name]
        msg.position = [*msg.position, position]
        msg.velocity = [*msg.velocity, 0.0]
        if self._finger_states is not None:
            self._finger_states.publish(msg)

    def _finger(self) -> float | None:
        """Position of the gripper's joint."""
        if self._device is None or self._device.problem:
            return None
        try:
            return self._gripper.joint_from_width(self._device.width())
        except ExecutionError:  # lost between the two lines
            return None

    def _on_recover(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        problem = self._driver.resume()
        if not problem and self._device is not None and (gripper := self._device.recover()):
            problem = f"the arm can be moved, but not the gripper: {gripper}"
        response.success, response.message = not problem, problem or "the arm can be moved"
        return response

    def _report_robot(self) -> Report:
        driver, report = self._driver, Report()
        connection, update = driver.connection, driver.update
        if driver.problem:
            report.worse(ERROR, driver.problem)
        report.values = {"joint_states_hz": self._meter.rate(), "joint_states_age_s": self._meter.idle_s()}
        if connection is not None:
            report.values |= {**self._about(connection, update), "realtime": connection.realtime}
            if self._realtime and not connection.realtime:
                report.worse(WARN, "no real-time priority: `ulimit -r` must allow it, or targets come late under load")
        if update is not None:
            share = update.late / max(update.cycles, 1)
            report.values |= {
                "speed_scaling": update.state.speed_scaling,
                "late_targets": update.late,
                "targets": update.cycles,
            }
            if share > _LATE and report.level == OK:
                late = f"{share:.1%} of the targets came more than {self._link.late * 1e3:g} ms off"
                report.worse(WARN, f"{late}: this machine is too busy")
        return report

    def _report_gripper(self) -> Report:
        report = Report()
        if self._device.problem:
            report.worse(ERROR, self._device.problem)
        return report


def _limits(urdf: str, arm: ArmProfile) -> Limits:
    """The joints' limits: the URDF's, narrowed by the profile's `position_limits`; ConfigError."""
    limits = {joint.get("name"): joint.find("limit") for joint in ET.fromstring(urdf).iter("joint")}
    missing = [name for name in arm.joints if limits.get(name) is None]
    if missing:
        raise ConfigError(f"{arm.urdf_path}: no limits of joint {', '.join(missing)}")
    position = np.array([[float(limits[name].get("lower")), float(limits[name].get("upper"))] for name in arm.joints])
    velocity = np.array([float(limits[name].get("velocity")) for name in arm.joints])
    if arm.position_limits is not None:
        own = np.array(arm.position_limits)
        position = np.stack([np.maximum(position[:, 0], own[:, 0]), np.minimum(position[:, 1], own[:, 1])], axis=1)
    return Limits(arm.joints, position, velocity)
