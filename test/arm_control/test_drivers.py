"""The drivers: joint states that cannot be trusted, controllers that reject, vanish or hang, both gripper actions."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from control_msgs.action import FollowJointTrajectory
from rclpy.action import ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from arm_control.cancel import Cancelled, CancelToken
from arm_control.drivers.action_call import ActionCaller, CallCodes
from arm_control.drivers.gripper import GripperClient
from arm_control.drivers.joint_states import JointStateMonitor
from arm_control.drivers.trajectory import MotionWatch, TrajectoryClient
from grasp_core.errors import ErrorCode, ExecutionError, InputError
from test.arm_control.conftest import eventually
from test.arm_control.fakes import ARM, GRIPPER, FakeRobot, straight

S = 1_000_000_000


class Clocks:
    """ROS time and steady time, set by hand."""

    def __init__(self) -> None:
        self.ros, self.steady = 100 * S, 5.0


def monitor(clocks: Clocks) -> JointStateMonitor:
    return JointStateMonitor(["a", "b"], "g", 0.5, lambda: clocks.ros, "/js", lambda: clocks.steady)


def reason(call) -> str:
    with pytest.raises(ExecutionError) as error:
        call()
    assert error.value.code == ErrorCode.NO_JOINT_STATES
    assert "/js" in str(error.value)
    return str(error.value)


def test_joint_states_in_several_messages_and_any_order():
    clocks = Clocks()
    joints = monitor(clocks)
    joints.update(["b", "x"], [2.0, 9.0], [0.2, 0.0], clocks.ros)
    assert "no state of a" in reason(joints.arm)
    joints.update(["a"], [1.0], [0.1], clocks.ros)
    sample = joints.arm()
    assert sample.q.tolist() == [1.0, 2.0]
    assert sample.qd.tolist() == [0.1, 0.2]
    assert not joints.settled(0.15)
    assert "no state of g" in reason(joints.gripper_position)
    joints.update(["g"], [0.4], [], clocks.ros)
    assert joints.gripper_position() == 0.4


def test_joint_states_without_velocities_get_differences():
    clocks = Clocks()
    joints = monitor(clocks)
    joints.update(["a", "b"], [0.0, 0.0], [], clocks.ros)
    joints.update(["a", "b"], [0.01, 0.0], [], clocks.ros + S // 10)
    assert joints.arm().qd == pytest.approx([0.1, 0.0])


def test_stale_by_arrival_by_stamp_and_from_the_future():
    clocks = Clocks()
    joints = monitor(clocks)
    joints.update(["a", "b"], [0.0, 0.0], [0.0, 0.0], clocks.ros)
    clocks.steady += 0.6  # ROS time stands still: the simulator has died
    assert "0.6 s ago" in reason(joints.arm)
    joints.update(["a", "b"], [0.0, 0.0], [0.0, 0.0], clocks.ros - S)
    assert "1.0 s old" in reason(joints.arm)
    joints.update(["a", "b"], [0.0, 0.0], [0.0, 0.0], clocks.ros + 3 * S)
    assert "future" in reason(joints.arm)


def test_nan_names_the_joint():
    clocks = Clocks()
    joints = monitor(clocks)
    joints.update(["a", "b"], [0.0, np.nan], [0.0, 0.0], clocks.ros)
    assert "position of b" in reason(joints.arm)
    joints.update(["a", "b"], [0.0, 0.0], [0.0, np.nan], clocks.ros)
    assert not joints.settled(0.1)  # a velocity that is unknown is no proof of standing still


def test_clock_that_jumps_back_is_a_restart():
    clocks = Clocks()
    joints = monitor(clocks)
    joints.update(["a", "b"], [1.0, 1.0], [0.0, 0.0], clocks.ros)
    clocks.ros = 2 * S
    joints.update(["a", "b"], [0.0, 0.0], [0.0, 0.0], clocks.ros)
    assert joints.restarts == 1
    assert joints.arm().q.tolist() == [0.0, 0.0]


def test_cancel_token_ends_every_wait():
    token = CancelToken()
    token.cancel("first")
    token.cancel("second")
    with pytest.raises(Cancelled, match="first"):
        token.sleep(60.0)


# over DDS


@pytest.fixture(scope="module")
def rig(ros) -> SimpleNamespace:
    robot = FakeRobot(ros.context, parallel=True)
    user = Node("user", context=ros.context)
    data = Node("data", context=ros.context)
    joints = JointStateMonitor(ARM.joints, GRIPPER.joint.name, 1.0, lambda: user.get_clock().now().nanoseconds)
    from sensor_msgs.msg import JointState

    from grasp_ros.conversions import stamp_to_ns

    def on_joints(m: JointState) -> None:
        joints.update(m.name, m.position, m.velocity, stamp_to_ns(m.header.stamp))

    data.create_subscription(JointState, "/joint_states", on_joints, 10)
    group = ReentrantCallbackGroup()
    watch = MotionWatch(factor=0.5, margin=1.0)
    arm = TrajectoryClient(user, ARM.driver.trajectory_action, joints, group, watch)
    parallel = GRIPPER.model_copy(
        update={"driver": GRIPPER.driver.model_copy(update={"type": "parallel_gripper_command"})}
    )
    gripper = GripperClient(user, parallel, joints, group)
    for node, threads in ((robot, 4), (data, 1), (user, 2)):
        ros.spin(node, threads=threads)
    eventually(lambda: arm.available() and gripper.available() and joints.age() < 1.0)
    return SimpleNamespace(ros=ros, robot=robot, user=user, joints=joints, arm=arm, gripper=gripper, group=group)


@pytest.fixture(autouse=True)
def fresh(request) -> None:
    if "rig" not in request.fixturenames:
        return
    rig = request.getfixturevalue("rig")
    rig.robot.reset()
    eventually(lambda: np.allclose(rig.joints.arm().q, rig.robot.q) and rig.gripper.width() > 0.084)


def error_of(call) -> ExecutionError:
    with pytest.raises(ExecutionError) as error:
        call()
    return error.value


def test_trajectory_arrives_and_stands(rig):
    q = rig.joints.arm().q
    rig.arm.execute(straight(q, q + 0.2), CancelToken())
    assert np.allclose(rig.robot.q, q + 0.2, atol=1e-6)
    assert not rig.arm.moving()
    sent = rig.robot.trajectories[0].trajectory
    assert list(sent.joint_names) == list(ARM.joints)
    assert (sent.header.stamp.sec, sent.header.stamp.nanosec) == (0, 0)
    assert sent.points[-1].time_from_start.sec == 1


def test_trajectory_from_elsewhere_or_with_nan_is_not_sent(rig):
    q = rig.joints.arm().q
    assert "moved after planning" in str(error_of(lambda: rig.arm.execute(straight(q + 0.3, q), CancelToken())))
    bad = straight(q, q + np.nan)
    assert error_of(lambda: rig.arm.execute(bad, CancelToken())).code == ErrorCode.INVALID_GOAL
    assert not rig.robot.trajectories


def test_trajectory_that_does_not_end_is_cancelled(rig):
    rig.robot.arm_mode = "silent"
    q = rig.joints.arm().q
    error = error_of(lambda: rig.arm.execute(straight(q, q + 0.2), CancelToken()))
    assert error.code == ErrorCode.CONTROLLER_ABORTED
    assert "did not finish within 1.5 s" in str(error)
    eventually(lambda: rig.robot.cancelled == 1)


def test_parallel_gripper_moves_stalls_and_is_blocked(rig):
    token = CancelToken()
    assert rig.gripper.move(0.05, token) == pytest.approx(0.05, abs=1e-4)
    assert rig.gripper.move(0.0, token, allow_stall=True) == pytest.approx(0.04, abs=1e-4)
    rig.gripper.move(0.06, token)
    error = error_of(lambda: rig.gripper.move(0.0, token))
    assert error.code == ErrorCode.GRIPPER_FAILED
    assert "40 mm instead of 0 mm" in str(error)


def test_gripper_limits(rig):
    with pytest.raises(InputError, match=r"0\.085"):
        rig.gripper.move(0.1, CancelToken())
    assert error_of(lambda: rig.gripper.move(0.05, CancelToken(), force=1e4)).code == ErrorCode.OUT_OF_LIMITS


CODES = CallCodes(ErrorCode.CONTROLLER_UNAVAILABLE, ErrorCode.BUSY, ErrorCode.TIMEOUT)


def serve(rig, name: str, execute) -> tuple[ActionServer, ActionCaller]:
    server = ActionServer(rig.robot, FollowJointTrajectory, name, execute, callback_group=rig.group)
    caller = ActionCaller(rig.user, FollowJointTrajectory, name, CODES, rig.group)
    eventually(caller.available)
    return server, caller


def test_no_server(rig):
    caller = ActionCaller(rig.user, FollowJointTrajectory, "nobody", CODES, rig.group, server_timeout=0.1)
    error = error_of(lambda: caller.start(FollowJointTrajectory.Goal()))
    assert error.code == ErrorCode.CONTROLLER_UNAVAILABLE
    assert "nobody" in str(error)


def test_server_that_vanishes_with_a_goal(rig):
    over = CancelToken()

    def hang(handle):
        while not over.cancelled:
            time.sleep(0.02)
        return FollowJointTrajectory.Result()

    server, caller = serve(rig, "vanishing", hang)
    call = caller.start(FollowJointTrajectory.Goal())
    eventually(lambda: call._accepting.done())
    server.destroy()
    error = error_of(lambda: call.wait(20.0, CancelToken()))
    assert error.code == ErrorCode.CONTROLLER_UNAVAILABLE
    assert "went away" in str(error)
    over.cancel("end")


def test_server_that_was_restarted_does_not_know_the_goal(rig):
    over = CancelToken()

    def hang(handle):
        while not over.cancelled:
            time.sleep(0.02)
        return FollowJointTrajectory.Result()

    server, caller = serve(rig, "restarted", hang)
    call = caller.start(FollowJointTrajectory.Goal())
    eventually(lambda: call._accepting.done())
    server.destroy()
    serve(rig, "restarted", hang)
    error = error_of(lambda: call.wait(20.0, CancelToken()))
    assert error.code == ErrorCode.CONTROLLER_UNAVAILABLE
    over.cancel("end")


def test_server_that_does_not_answer_in_time(rig):
    node = Node("asleep", context=rig.ros.context)  # nobody spins it: discovered, but silent
    try:
        server = ActionServer(node, FollowJointTrajectory, "asleep", lambda h: None)
        caller = ActionCaller(rig.user, FollowJointTrajectory, "asleep", CODES, rig.group, accept_timeout=0.3)
        eventually(caller.available)
        call = caller.start(FollowJointTrajectory.Goal())
        error = error_of(lambda: call.wait(5.0, CancelToken()))
        assert error.code == ErrorCode.CONTROLLER_UNAVAILABLE
        assert "did not answer" in str(error)
        server.destroy()
    finally:
        node.destroy_node()
