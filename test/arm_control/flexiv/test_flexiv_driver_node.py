"""flexiv_driver_node over DDS, with a stand-in for the RDK: what a Rizon looks like from the stack."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from control_msgs.action import FollowJointTrajectory, GripperCommand
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from seegrasp_msgs.action import ServoTo
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectoryPoint

from arm_control.cancel import wait_future
from arm_control.nodes.flexiv_driver_node import FlexivDriverNode
from grasp_core.arm import ArmProfile
from grasp_core.errors import ConfigError, ErrorCode
from grasp_core.gripper import Gripper
from grasp_ros import qos
from grasp_ros.conversions import matrix_to_pose, ns_to_stamp
from test.arm_control.fakes import Client
from test.flexiv_robot import FakeRizon
from test.ur_robot import wait_for

ARM, GRIPPER = ArmProfile.load("rizon4"), Gripper.load("flexiv_gripper")


def make(ros: SimpleNamespace, **given: object) -> FlexivDriverNode:
    given = {"cell": "bin_picking_rizon4", "realtime": False, **given}
    return FlexivDriverNode(
        context=ros.context, parameter_overrides=[Parameter(name, value=value) for name, value in given.items()]
    )


@pytest.fixture(scope="module")
def rig(ros, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    with pytest.MonkeyPatch.context() as patch:
        rizon = FakeRizon(tmp_path_factory.mktemp("rizon"), patch)
        node = make(ros, robot_sn="Rizon4-123456", link_timeout=1.0, session_timeout=10.0, servo_timeout=5.0)
        user = Node("user", context=ros.context)
        rig = SimpleNamespace(rizon=rizon, node=node, user=user, joints=[], fingers=[], statuses={})
        user.create_subscription(JointState, "/joint_states", rig.joints.append, qos.SENSOR)
        user.create_subscription(JointState, GRIPPER.driver.joint_states, rig.fingers.append, qos.SENSOR)
        user.create_subscription(
            DiagnosticArray, "/diagnostics", lambda m: rig.statuses.update({s.name: s for s in m.status}), 10
        )
        rig.recovery = user.create_client(Trigger, "/flexiv_driver_node/recover")
        ros.spin(node, threads=6)
        ros.spin(user)
        rig.follow = Client(user, FollowJointTrajectory, ARM.driver.trajectory_action)
        rig.grip = Client(user, GripperCommand, GRIPPER.driver.action)
        rig.servo = Client(user, ServoTo, ARM.driver.servo_action)
        wait_for(lambda: rig.joints and rig.fingers, "arm and gripper")
        yield rig


def ask(client: Client, goal: object) -> SimpleNamespace:
    return client.result(client.send(goal), 40.0)


def trajectory(rig: SimpleNamespace, change: float, seconds: int) -> FollowJointTrajectory.Goal:
    goal = FollowJointTrajectory.Goal()
    goal.trajectory.joint_names = list(ARM.joints)
    q = np.array(rig.joints[-1].position)
    for share, at in ((0.0, 0), (1.0, seconds)):
        point = JointTrajectoryPoint(positions=(q + share * change * np.eye(7)[0]).tolist(), velocities=[0.0] * 7)
        point.time_from_start = Duration(sec=at)
        goal.trajectory.points.append(point)
    goal.goal_time_tolerance = Duration(sec=20)
    return goal


def test_arm_and_finger_are_told_where_their_profiles_say(rig: SimpleNamespace) -> None:
    assert rig.joints[-1].name == list(ARM.joints)
    assert rig.fingers[-1].name == [GRIPPER.joint.name]
    assert rig.fingers[-1].position[0] == pytest.approx(0.1, abs=0.01)


def test_a_trajectory_is_executed(rig: SimpleNamespace) -> None:
    before = rig.joints[-1].position[0]
    answer = ask(rig.follow, trajectory(rig, 0.2, 2))
    assert answer.status == GoalStatus.STATUS_SUCCEEDED, answer.result.error_string
    wait_for(lambda: abs(rig.joints[-1].position[0] - before - 0.2) < 0.02, "the arm there")


def test_the_gripper_closes_on_an_object(rig: SimpleNamespace) -> None:
    rig.rizon.set(object=0.04)
    goal = GripperCommand.Goal()
    goal.command.position, goal.command.max_effort = 0.0, 0.0
    answer = ask(rig.grip, goal)
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert answer.result.stalled
    assert answer.result.position == pytest.approx(0.04, abs=0.003)
    rig.rizon.set(object=0.0)


def test_a_target_is_served(rig: SimpleNamespace) -> None:
    T = rig.node._driver.state().tcp.copy()
    T[2, 3] += 0.02
    goal = ServoTo.Goal(settle=0.1, position_tolerance=0.003, rotation_tolerance=0.05)
    goal.target.header.frame_id = ARM.base_frame
    goal.target.header.stamp = ns_to_stamp(rig.user.get_clock().now().nanoseconds)
    goal.target.pose = matrix_to_pose(T)
    answer = ask(rig.servo, goal)
    assert answer.result.error_code == int(ErrorCode.NONE), answer.result.error_msg


def test_an_emergency_stop_ends_the_motion_and_recover_says_what_to_do(rig: SimpleNamespace) -> None:
    handle = rig.follow.send(trajectory(rig, -0.3, 6))
    time.sleep(0.5)
    rig.rizon.set(status="ESTOP_NOT_RELEASED")
    answer = rig.follow.result(handle, 40.0)
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert "emergency stop" in answer.result.error_string
    wait_for(
        lambda: (
            rig.statuses["flexiv_driver_node: robot"].level == DiagnosticStatus.ERROR
            and "emergency stop" in rig.statuses["flexiv_driver_node: robot"].message
        ),
        "the diagnostics",
    )
    assert "release the emergency-stop button" in recover(rig).message
    rig.rizon.set(status="NOT_ENABLED")
    response = recover(rig)
    assert response.success, response.message


def recover(rig: SimpleNamespace) -> Trigger.Response:
    future = rig.recovery.call_async(Trigger.Request())
    assert wait_future(future, 30.0)
    return future.result()


def test_without_a_serial_number_it_says_so(ros) -> None:
    with pytest.raises(ConfigError, match="robot_sn"):
        make(ros)
