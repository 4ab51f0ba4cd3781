"""ur_driver_node over DDS, with the real ur_rtde and a controller: what a UR arm looks like from the stack."""

from collections.abc import Iterator
from types import SimpleNamespace

import mujoco
import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from control_msgs.action import FollowJointTrajectory, GripperCommand
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from seegrasp_msgs.action import ServoTo
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from trajectory_msgs.msg import JointTrajectoryPoint

from arm_control.cancel import wait_future
from arm_control.drivers.trajectory import LINK_LOST
from arm_control.nodes.ur_driver_node import UrDriverNode
from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.errors import ConfigError, ErrorCode
from grasp_ros import qos
from grasp_ros.conversions import matrix_to_pose, pose_to_matrix
from test.arm_control.fakes import Client
from test.ur_robot import UrRobot, wait_for

ARM = ArmProfile.load("ur5e")
Result = FollowJointTrajectory.Result
JOINT = "robotiq_85_left_knuckle_joint"


@pytest.fixture(scope="module")
def rig(ros) -> Iterator[SimpleNamespace]:
    with UrRobot() as robot:
        given = {
            "robot_ip": robot.address,
            "link_timeout": 1.0,
            "session_timeout": 6.0,
            "servo_timeout": 1.0,
            "realtime": False,
            "gripper_init": True,
        }
        node = UrDriverNode(
            context=ros.context, parameter_overrides=[Parameter(name, value=value) for name, value in given.items()]
        )
        user = Node("user", context=ros.context)
        rig = SimpleNamespace(robot=robot, node=node, user=user, joints=[], tf=[], static=[], urdf=[], statuses={})
        user.create_subscription(JointState, "/joint_states", rig.joints.append, qos.SENSOR)
        user.create_subscription(TFMessage, "/tf", rig.tf.append, qos.TF)
        user.create_subscription(TFMessage, "/tf_static", rig.static.append, qos.TF_STATIC)
        user.create_subscription(String, "/robot_description", rig.urdf.append, qos.LATCHED)
        user.create_subscription(
            DiagnosticArray, "/diagnostics", lambda m: rig.statuses.update({s.name: s for s in m.status}), 10
        )
        rig.targets = user.create_publisher(PoseStamped, "/ur_driver_node/servo_target", qos.LATEST)
        rig.recovery = user.create_client(Trigger, "/ur_driver_node/recover")
        ros.spin(node, threads=6)
        ros.spin(user)
        rig.follow = Client(user, FollowJointTrajectory, ARM.driver.trajectory_action)
        rig.grip = Client(user, GripperCommand, "/robotiq_gripper_controller/gripper_cmd")
        rig.servo = Client(user, ServoTo, ARM.driver.servo_action)
        wait_for(lambda: rig.joints and len(rig.joints[-1].name) == 7, "arm and gripper")
        yield rig


def ask(client: Client, goal: object) -> SimpleNamespace:
    """Status and result of a goal."""
    return client.result(client.send(goal), 90.0)


def q_now(rig: SimpleNamespace) -> np.ndarray:
    return np.array(rig.joints[-1].position[:6])


def recover(rig: SimpleNamespace) -> Trigger.Response:
    future = rig.recovery.call_async(Trigger.Request())
    assert wait_future(future, 20.0)
    return future.result()


def trajectory(rig: SimpleNamespace, change: float, seconds: int) -> FollowJointTrajectory.Goal:
    goal = FollowJointTrajectory.Goal()
    goal.trajectory.joint_names = list(ARM.joints)
    q = q_now(rig)
    for t, offset in ((0, 0.0), (seconds, change)):
        end = (q + offset * np.eye(6)[0]).tolist()
        point = JointTrajectoryPoint(positions=end, velocities=[0.0] * 6, time_from_start=Duration(sec=t))
        goal.trajectory.points.append(point)
    return goal


def moving(rig: SimpleNamespace) -> bool:
    return abs(rig.joints[-1].velocity[0]) > 0.05


def test_frames_are_those_of_the_urdf(rig: SimpleNamespace) -> None:
    wait_for(lambda: rig.tf and rig.static and rig.urdf, "frames and description")
    transforms = {t.child_frame_id: t for m in (*rig.static, rig.tf[-1]) for t in m.transforms}
    T, frame = np.eye(4), "tool0"
    while frame != "base_link":
        step = transforms[frame]
        one = PoseStamped().pose
        one.position.x, one.position.y, one.position.z = (getattr(step.transform.translation, k) for k in "xyz")
        one.orientation = step.transform.rotation
        T, frame = pose_to_matrix(one, frame) @ T, step.header.frame_id
    spec = mujoco.MjSpec.from_string(rig.urdf[-1].data)
    spec.compiler.fusestatic = False
    model = spec.compile()
    data = mujoco.MjData(model)
    data.qpos[[model.joint(j).qposadr[0] for j in ARM.joints]] = q_now(rig)
    mujoco.mj_kinematics(model, data)
    poses = [se3.make(data.body(b).xmat.reshape(3, 3), data.body(b).xpos) for b in ("base_link", "tool0")]
    np.testing.assert_allclose(T, se3.inverse(poses[0]) @ poses[1], atol=1e-4)


def test_a_trajectory_is_followed_and_another_cancelled(rig: SimpleNamespace) -> None:
    start = q_now(rig)[0]
    answer = ask(rig.follow, trajectory(rig, 0.3, 1))
    assert (answer.status, answer.result.error_code) == (GoalStatus.STATUS_SUCCEEDED, Result.SUCCESSFUL)
    wait_for(lambda: abs(q_now(rig)[0] - start - 0.3) < 0.02, "the end")
    handle = rig.follow.send(trajectory(rig, -1.0, 8))
    wait_for(lambda: moving(rig), "the motion")
    handle.cancel_goal_async()
    assert rig.follow.result(handle).status == GoalStatus.STATUS_CANCELED
    wait_for(lambda: not moving(rig), "the stop")


def test_a_goal_from_elsewhere_is_refused(rig: SimpleNamespace) -> None:
    goal = trajectory(rig, 0.1, 1)
    goal.trajectory.points[0].positions[2] += 0.3
    answer = ask(rig.follow, goal)
    assert (answer.status, answer.result.error_code) == (GoalStatus.STATUS_ABORTED, Result.INVALID_GOAL)
    assert "starts 0.300 rad from where elbow_joint is" in answer.result.error_string


def test_the_gripper_moves_and_stalls(rig: SimpleNamespace) -> None:
    goal = GripperCommand.Goal()
    goal.command.position, goal.command.max_effort = 0.4, 40.0
    answer = ask(rig.grip, goal)
    assert (answer.result.reached_goal, answer.result.stalled) == (True, False)
    rig.robot.say("block_gripper 0.7")
    goal.command.position = 0.8
    answer = ask(rig.grip, goal)
    assert (answer.status, answer.result.stalled) == (GoalStatus.STATUS_SUCCEEDED, True)
    assert answer.result.position == pytest.approx(0.56, abs=0.01)
    rig.robot.say("block_gripper 1.0")
    goal.command.position = float("nan")
    assert not rig.grip.send(goal).accepted


def test_a_gripper_that_had_no_power_is_activated_by_recover_alone(rig: SimpleNamespace) -> None:
    rig.robot.say("gripper_power")
    wait_for(lambda: "not activated" in rig.statuses["ur_driver_node: gripper"].message, "the diagnostics")
    assert rig.statuses["ur_driver_node: gripper"].level == DiagnosticStatus.ERROR
    wait_for(lambda: len(rig.joints[-1].name) == 6, "joint states without a finger")
    goal = GripperCommand.Goal()
    goal.command.position, goal.command.max_effort = 0.4, 40.0
    assert not rig.grip.send(goal).accepted
    response = recover(rig)
    assert response.success, response.message
    wait_for(lambda: len(rig.joints[-1].name) == 7, "the finger")
    assert ask(rig.grip, goal).result.reached_goal


def servo_goal(rig: SimpleNamespace, offset: tuple[float, float, float]) -> ServoTo.Goal:
    T = rig.node._driver.state().tcp.copy()
    T[:3, 3] += offset
    goal = ServoTo.Goal(settle=0.1)
    goal.target.pose = matrix_to_pose(T)
    goal.target.header.frame_id = "base_link"
    goal.target.header.stamp = rig.user.get_clock().now().to_msg()
    return goal


def keep_sending(rig: SimpleNamespace, goal: ServoTo.Goal, until: object) -> None:
    msg = goal.target
    while not until.done():
        msg.header.stamp = rig.user.get_clock().now().to_msg()
        rig.targets.publish(msg)
        wait_future(until, 0.05)


def test_a_target_is_followed_until_the_arm_rests_there(rig: SimpleNamespace) -> None:
    goal = servo_goal(rig, (-0.05, 0.03, -0.30))  # into the workspace
    handle = rig.servo.send(goal)
    result = handle.get_result_async()
    keep_sending(rig, goal, result)
    assert ErrorCode(result.result().result.error_code) == ErrorCode.NONE, result.result().result.error_msg
    want = pose_to_matrix(goal.target.pose, "target")
    wait_for(lambda: np.allclose(rig.node._driver.state().tcp[:3, 3], want[:3, 3], atol=3e-3), "the target")


def test_without_new_targets_the_arm_stops(rig: SimpleNamespace) -> None:
    goal = servo_goal(rig, (0.0, 0.0, 0.02))
    goal.settle = 0.0
    answer = ask(rig.servo, goal)
    assert ErrorCode(answer.result.error_code) == ErrorCode.STALE_DATA
    assert answer.status == GoalStatus.STATUS_ABORTED


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        ({"frame_id": "camera"}, ErrorCode.BAD_INPUT, "takes 'base_link'"),
        ({"offset": (2.0, 0.0, 0.0)}, ErrorCode.OUT_OF_LIMITS, "outside of the workspace"),
        ({"sec": 1}, ErrorCode.STALE_DATA, "before now"),
        ({"settle": -1.0}, ErrorCode.INVALID_GOAL, "numbers from 0"),
    ],
)
def test_targets_that_cannot_be_meant_move_nothing(
    rig: SimpleNamespace, change: dict, code: ErrorCode, told: str
) -> None:
    goal = servo_goal(rig, change.get("offset", (0.0, 0.0, 0.0)))
    goal.settle = change.get("settle", 0.1)
    goal.target.header.frame_id = change.get("frame_id", "base_link")
    goal.target.header.stamp.sec = change.get("sec", goal.target.header.stamp.sec)
    before = q_now(rig)
    answer = ask(rig.servo, goal)
    assert ErrorCode(answer.result.error_code) == code
    assert told in answer.result.error_msg
    np.testing.assert_allclose(q_now(rig), before, atol=1e-4)


def test_a_protective_stop_is_told_everywhere_and_left_by_recover(rig: SimpleNamespace) -> None:
    handle = rig.follow.send(trajectory(rig, 0.5, 8))
    wait_for(lambda: moving(rig), "the motion")
    rig.robot.say("protective_stop")
    answer = rig.follow.result(handle)
    assert (answer.status, answer.result.error_code) == (GoalStatus.STATUS_ABORTED, Result.INVALID_GOAL)
    assert "protective stop" in answer.result.error_string
    wait_for(lambda: "protective stop" in rig.statuses["ur_driver_node: robot"].message, "the diagnostics")
    assert rig.statuses["ur_driver_node: robot"].level == DiagnosticStatus.ERROR
    again = ask(rig.follow, trajectory(rig, 0.1, 1))
    assert "~/recover" in again.result.error_string
    response = recover(rig)
    assert response.success, response.message
    wait_for(lambda: "protective" not in rig.statuses["ur_driver_node: robot"].message, "the diagnostics")
    assert ask(rig.follow, trajectory(rig, 0.1, 1)).result.error_code == Result.SUCCESSFUL


def test_recover_says_what_stands_in_the_way(rig: SimpleNamespace) -> None:
    rig.robot.say("emergency_stop")
    wait_for(lambda: "emergency stop" in rig.node._driver.problem, "the stop")
    response = recover(rig)
    assert not response.success
    assert "emergency-stop button" in response.message
    rig.robot.say("release")
    rig.robot.say("power_on")
    wait_for(lambda: recover(rig).success, "the way out")


def test_a_lost_link_has_a_code_of_its_own(rig: SimpleNamespace) -> None:
    handle = rig.follow.send(trajectory(rig, 0.5, 8))
    wait_for(lambda: moving(rig), "the motion")
    rig.robot.say("pull_cable")
    answer = rig.follow.result(handle)
    assert (answer.status, answer.result.error_code) == (GoalStatus.STATUS_ABORTED, LINK_LOST)
    assert "link to the robot is lost" in answer.result.error_string
    rig.robot.say("plug_cable")
    wait_for(lambda: not rig.node._driver.problem, "the connection")


@pytest.mark.parametrize(
    ("given", "told"),
    [({}, "'robot_ip'"), ({"robot_ip": "127.0.0.1", "ur_type": "kuka"}, "no arm of Universal Robots")],
)
def test_parameters_that_cannot_do_are_named(ros, given: dict[str, str], told: str) -> None:
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    with pytest.raises(ConfigError, match=told):
        UrDriverNode(context=ros.context, parameter_overrides=overrides)
