"""ServoTo of a driver node: how fast the stream of poses is that a goal leads to."""

import itertools
import time
from types import SimpleNamespace

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from seegrasp_msgs.action import ServoTo

from arm_control.drivers.streaming.driver import Motion
from arm_control.drivers.streaming.messages import Ended
from arm_control.drivers.streaming.servo import PoseStream, ServoLimits
from arm_control.nodes.servo_server import ServoServer
from grasp_core import se3
from grasp_core.errors import ErrorCode
from grasp_ros.conversions import matrix_to_pose
from test.arm_control.fakes import DOWN, Client

START = se3.make(DOWN, [0.5, 0.0, 0.2])
PERIOD = 0.01  # s of a cycle
TOP = ServoLimits(
    speed=0.15,
    acceleration=0.6,
    angular_speed=0.6,
    angular_acceleration=2.4,
    low=np.array([0.0, -1.0, 0.0]),
    high=np.array([1.0, 1.0, 1.0]),
    max_age=60.0,
    position=0.0,
    rotation=0.0,
)


class RunningDriver:
    """In place of ArmDriver: runs the whole stream as soon as it has a target, and notes how fast it was."""

    def state(self) -> SimpleNamespace:
        return SimpleNamespace(tcp=START)

    @property
    def update(self) -> SimpleNamespace:
        return SimpleNamespace(state=self.state())

    def servo(self, limits: ServoLimits, settle: float) -> Motion:
        self.stream, self.motion = PoseStream(limits, START), Motion(1)
        return self.motion

    def aim(self, T: np.ndarray, seen: float) -> None:
        self.stream.aim(T, seen)
        poses = [START, *(self.stream.step(time.monotonic(), PERIOD).copy() for _ in range(1500))]
        steps = list(itertools.pairwise(poses))
        self.linear = max(np.linalg.norm(b[:3, 3] - a[:3, 3]) for a, b in steps) / PERIOD
        self.angular = max(se3.rotation_angle(a[:3, :3], b[:3, :3]) for a, b in steps) / PERIOD
        self.motion.end(Ended(1, ErrorCode.NONE, ""))


@pytest.fixture(scope="module")
def rig(ros) -> SimpleNamespace:
    node, user = Node("servo_driver", context=ros.context), Node("user", context=ros.context)
    driver = RunningDriver()
    server = ServoServer(node, driver, "servo_to", "servo_target", TOP, "base_link")
    ros.spin(node, threads=3)
    ros.spin(user)
    return SimpleNamespace(driver=driver, user=user, client=Client(user, ServoTo, "servo_to"), server=server)


@pytest.mark.parametrize("part", [0.1, 0.5, 1.0])
def test_rotations_are_as_slow_as_the_speed_asked_for(rig: SimpleNamespace, part: float) -> None:
    msg = PoseStamped(pose=matrix_to_pose(se3.make(DOWN @ se3.rpy_matrix(0.0, 0.0, 0.8), [0.5, 0.2, 0.2])))
    msg.header.frame_id = "base_link"
    msg.header.stamp = rig.user.get_clock().now().to_msg()
    result = rig.client.call(ServoTo.Goal(target=msg, max_speed=part * TOP.speed))
    assert ErrorCode(result.error_code) == ErrorCode.NONE, result.error_msg
    assert rig.driver.linear == pytest.approx(part * TOP.speed, rel=0.02)
    assert rig.driver.angular == pytest.approx(part * TOP.angular_speed, rel=0.02)
