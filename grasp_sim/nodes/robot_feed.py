"""What the arm's and the gripper's drivers publish: joint states, tf, clock and the robot description."""

from __future__ import annotations

import numpy as np
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from grasp_ros import qos
from grasp_ros.conversions import ns_to_stamp, transforms_to_tf
from grasp_sim.work_cell import WorkCell

TF_TICKS = 2  # of 10 ms: 50 Hz


class RobotFeed:
    """Publishes /joint_states at 100 Hz, /tf and /clock at 50 Hz; latched /tf_static and /robot_description.

    With a driver of the arm beside it, only the clock and the cameras' frames.
    """

    def __init__(self, node: Node, cell: WorkCell, stamp_ns: int, driven: bool = False) -> None:
        """``driven``: another node is the arm's driver."""
        driver, self._driven = cell.arm_profile.driver, driven
        cameras = [(c.parent, c.frame, c.T_parent_optical) for c in cell.cell.cameras]
        self._tf_static = node.create_publisher(TFMessage, "/tf_static", qos.LATCHED)
        self._clock = node.create_publisher(Clock, "/clock", qos.SENSOR)
        links = [] if driven else cell.frames(static=True)
        self._tf_static.publish(transforms_to_tf(links + cameras, stamp_ns))
        if driven:
            return
        self._joint_states = node.create_publisher(JointState, driver.joint_states, qos.RELIABLE)
        self._tf = node.create_publisher(TFMessage, "/tf", qos.TF)
        self._description = node.create_publisher(String, driver.robot_description, qos.LATCHED)
        self._description.publish(String(data=cell.arm_profile.urdf_path.read_text(encoding="utf-8")))

    def tick(self, cell: WorkCell, stamp_ns: int, tick: int) -> None:
        """Publish what is due; called by the simulation's thread."""
        if tick % TF_TICKS == 0:
            self._clock.publish(Clock(clock=ns_to_stamp(stamp_ns)))
        if self._driven:
            return
        if tick % TF_TICKS == 0:
            self._tf.publish(transforms_to_tf(cell.frames(), stamp_ns))
        self._joint_states.publish(_joint_state(cell, stamp_ns))


def _joint_state(cell: WorkCell, stamp_ns: int) -> JointState:
    gripper = cell.gripper_profile
    width = float(np.clip(cell.width, gripper.min_width, gripper.max_width))
    ahead = float(np.clip(width + 1e-4, gripper.min_width, gripper.max_width))
    behind = float(np.clip(width - 1e-4, gripper.min_width, gripper.max_width))
    slope = (gripper.joint_from_width(ahead) - gripper.joint_from_width(behind)) / (ahead - behind)
    msg = JointState(name=[*cell.arm_profile.joints, gripper.joint.name])
    msg.header.stamp = ns_to_stamp(stamp_ns)
    msg.header.frame_id = cell.arm_profile.base_frame
    msg.position = [*cell.q.tolist(), gripper.joint_from_width(width)]
    msg.velocity = [*cell.qd.tolist(), slope * cell.gripper.speed(cell.data)]
    msg.effort = [*cell.torque.tolist(), float(cell.gripper.effort)]
    return msg
