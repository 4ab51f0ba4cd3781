"""ur_driver_node: a UR arm and a Robotiq gripper on its controller, behind the interfaces of ur_robot_driver's world.

Actions of the arm and gripper profiles, `/joint_states`, `/tf`, `/robot_description`, ServoTo, the service `~/recover`;
see docs/NODES.md. The robot itself is talked to by `arm_control.drivers.ur`.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
from rclpy._rclpy_pybind11 import RCLError
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from arm_control.drivers.ur.clock import RobotClock
from arm_control.drivers.ur.driver import UrDriver
from arm_control.drivers.ur.faults import RobotState
from arm_control.drivers.ur.link import LinkSettings
from arm_control.drivers.ur.robotiq import RobotiqGripper
from arm_control.drivers.ur.servo import ServoLimits
from arm_control.drivers.ur.session import SessionSettings
from arm_control.nodes.robot_feed import RobotFeed
from arm_control.nodes.ur_gripper import GripperServer
from arm_control.nodes.ur_servo import ServoServer
from arm_control.nodes.ur_trajectory import TrajectoryServer
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError, ExecutionError
from grasp_core.gripper import Gripper
from grasp_ros import qos
from grasp_ros.conversions import ns_to_stamp
from grasp_ros.diagnostics import ERROR, OK, WARN, Diagnostics, RateMeter, Report
from grasp_ros.params import Params
from grasp_ros.runtime import run_node
from grasp_ros.trajectory_goal import Limits

_THREADS = 6  # three actions with a goal that ends and one that begins each
_TF_PERIOD = 0.02  # s
_ANGULAR = 4.0  # rad of a streamed rotation per m of the linear limits: as fast as a tool of 25 cm would swing
_LATE = 0.005  # share of late periods that is worth a warning


class UrDriverNode(Node):
    """See the module."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("ur_driver_node", **node_options)
        params = Params(self)
        host = params.declare("robot_ip", "", "address of the robot's controller")
        self._cell = Cell.load(params.declare("cell", "bin_picking", "work cell: name of a profile or path of a YAML"))
        self._arm = ArmProfile.load(params.declare("arm", "", "arm profile; empty: the cell's") or self._cell.arm)
        self._gripper = Gripper.load(
            params.declare("gripper", "", "gripper profile; empty: the cell's") or self._cell.gripper
        )
        ur_type = params.declare("ur_type", "", "ur3, ur5, ur10 (CB3), or ur3e, ur5e, ur10e …; empty: the arm profile")
        timeout = params.declare("link_timeout", 0.04, "s without data until the link counts as lost", 0.01)
        silence = params.declare("session_timeout", 2.0, "s until a connection that hangs is ended by force", 0.2)
        realtime = params.declare("realtime", True, "ask for real-time priority")
        lookahead = params.declare("servo_lookahead", 0.03, "s, lookahead_time of servoj", 0.03, 0.2)
        gain = params.declare("servo_gain", 2000.0, "gain of servoj", 100.0, 2000.0)
        max_age = params.declare("servo_timeout", 0.2, "s: a servo target that is older stops the arm", 0.02, 5.0)
        robotiq = params.declare("robotiq", True, "whether a Robotiq gripper hangs on the controller")
        publish = params.declare("publish_description", True, "/tf and /robot_description, as robot_state_publisher")
        params.check_unknown()
        if not host:
            raise ConfigError("parameter 'robot_ip' of ur_driver_node is empty: give the robot's address")
        link = LinkSettings(
            host, _series(ur_type or self._arm.name), timeout, self._gripper.T_flange_tcp, lookahead, gain
        )
        self._joint_states = self.create_publisher(JointState, self._arm.driver.joint_states, qos.RELIABLE)
        self._meter, self._last_tf = RateMeter(), 0.0
        self._clock_of_robot = RobotClock(simulated=bool(self.get_parameter("use_sim_time").value))
        urdf = self._arm.urdf_path.read_text(encoding="utf-8")
        self._feed = self._make_feed(urdf) if publish else None
        log = self.get_logger().warning
        self._robotiq = RobotiqGripper(host, self._gripper, log) if robotiq else None
        self._realtime = realtime
        settings = SessionSettings(link, self._arm.joints, np.array(self._arm.max_acceleration), realtime)
        self._driver = UrDriver(settings, silence, self._on_state, log)
        self._servers: list[Any] = [
            TrajectoryServer(self, self._driver, self._arm.driver.trajectory_action, _limits(urdf, self._arm))
        ]
        if self._robotiq is not None:
            self._servers.append(GripperServer(self, self._robotiq, self._gripper))
        if self._arm.driver.servo_action:
            driver, most = self._arm.driver, self._servo_limits(max_age)
            self._servers.append(
                ServoServer(self, self._driver, driver.servo_action, driver.servo_target, most, self._arm.base_frame)
            )
        self.create_service(Trigger, "~/recover", self._on_recover, callback_group=MutuallyExclusiveCallbackGroup())
        diagnostics = Diagnostics(self)
        diagnostics.add("robot", self._report_robot, host)
        if self._robotiq is not None:
            diagnostics.add("gripper", self._report_gripper, host)

    def close(self) -> None:
        """Brake and disconnect."""
        self._driver.close()
        if self._robotiq is not None:
            self._robotiq.close()

    def _make_feed(self, urdf: str) -> RobotFeed:
        now = self.get_clock().now().nanoseconds
        return RobotFeed(self, urdf, self._arm.driver.robot_description, self._arm.joints, now)

    def _servo_limits(self, max_age: float) -> ServoLimits:
        arm, box = self._arm, self._cell.safety.workspace or self._cell.workspace
        return ServoLimits(
            speed=arm.linear_velocity,
            acceleration=arm.linear_acceleration,
            angular_speed=arm.linear_velocity * _ANGULAR,
            angular_acceleration=arm.linear_acceleration * _ANGULAR,
            low=np.array(box.min),
            high=np.array(box.max),
            max_age=max_age,
            position=0.0,
            rotation=0.0,
        )

    def _on_state(self, state: RobotState) -> None:
        """In the driver's thread, at 125 Hz."""
        if not self.context.ok():
            return
        try:
            self._publish(state)
        except RCLError:
            if self.context.ok():  # else the process is ending between the two lines
                raise

    def _publish(self, state: RobotState) -> None:
        now = self._clock_of_robot.stamp(state.timestamp, self.get_clock().now().nanoseconds)
        msg = JointState(name=list(self._arm.joints), position=state.q.tolist(), velocity=state.qd.tolist())
        msg.header.stamp = ns_to_stamp(now)
        msg.header.frame_id = self._arm.base_frame
        if self._robotiq is not None and not self._robotiq.problem:
            try:
                position = self._gripper.joint_from_width(self._robotiq.width())
            except ExecutionError:  # lost between the two lines
                position = None
            if position is not None:
                msg.name.append(self._gripper.joint.name)
                msg.position.append(position)
                msg.velocity.append(0.0)
        self._joint_states.publish(msg)
        self._meter.tick()
        if self._feed is not None and abs(state.timestamp - self._last_tf) >= _TF_PERIOD:
            self._last_tf = state.timestamp
            self._feed.publish(state.q, now)

    def _on_recover(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        message = self._driver.resume()
        response.success, response.message = not message, message or "the arm can be moved"
        return response

    def _report_robot(self) -> Report:
        driver, report = self._driver, Report()
        connection, update = driver.connection, driver.update
        if driver.problem:
            report.worse(ERROR, driver.problem)
        report.values = {"joint_states_hz": self._meter.rate(), "joint_states_age_s": self._meter.idle_s()}
        if connection is not None:
            report.values |= {"polyscope": connection.version, "realtime": connection.realtime}
            if self._realtime and not connection.realtime:
                report.worse(WARN, "no real-time priority: `ulimit -r` must allow it, or targets come late under load")
        if update is not None:
            share = update.late / max(update.cycles, 1)
            report.values |= {
                "robot_mode": update.state.robot_mode.name,
                "safety_mode": update.state.safety_mode.name,
                "speed_scaling": update.state.speed_scaling,
                "late_targets": update.late,
                "targets": update.cycles,
            }
            if share > _LATE and report.level == OK:
                report.worse(WARN, f"{share:.1%} of the targets came more than 1 ms off: this machine is too busy")
        return report

    def _report_gripper(self) -> Report:
        report = Report()
        if self._robotiq.problem:
            report.worse(ERROR, self._robotiq.problem)
        return report


def _series(ur_type: str) -> int:
    """3 of a CB3, 5 of an e-Series; ConfigError on a name that is none of Universal Robots'."""
    if not (ur_type.startswith("ur") and ur_type[2:].removesuffix("e").isdigit()):
        raise ConfigError(f"{ur_type!r} is no arm of Universal Robots: set parameter 'ur_type' to ur5, ur5e, …")
    return 5 if ur_type.endswith("e") or int(ur_type[2:]) > 10 else 3


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


def main() -> int:
    """Entry point."""
    return run_node(UrDriverNode, threads=_THREADS)


if __name__ == "__main__":
    sys.exit(main())
