"""servo_to of arm_node against a driver that only notes what it is told."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from seegrasp_msgs.action import ServoTo
from std_srvs.srv import SetBool, Trigger

from arm_control.cancel import wait_future
from arm_control.nodes.arm_node import ArmNode
from grasp_core import se3
from grasp_core.errors import ErrorCode
from grasp_ros import qos
from grasp_ros.conversions import matrix_to_pose, pose_to_matrix
from test.arm_control.conftest import eventually
from test.arm_control.fakes import ARM, DOWN, Client, FakeEyes, FakeRobot

GOOD = se3.make(DOWN, [0.5, 0.0, 0.2])
BELOW = se3.make(DOWN, [0.5, 0.0, -0.1])


class FakeServo(Node):
    """Follows until it is cancelled, or told to end with `ending`."""

    def __init__(self, context: Context) -> None:
        super().__init__("fake_servo", context=context)
        self.goals: list[ServoTo.Goal] = []
        self.targets: list[PoseStamped] = []
        self.ending: ServoTo.Result | None = None
        self.end = threading.Event()
        group = ReentrantCallbackGroup()
        self.create_subscription(
            PoseStamped, ARM.driver.servo_target, self.targets.append, qos.LATEST, callback_group=group
        )
        self._server = ActionServer(
            self,
            ServoTo,
            ARM.driver.servo_action,
            self._execute,
            callback_group=group,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def reset(self) -> None:
        self.goals, self.ending = [], None
        self.targets.clear()
        self.end.clear()

    def _execute(self, handle) -> ServoTo.Result:
        self.goals.append(handle.request)
        while not handle.is_cancel_requested and not self.end.wait(0.01):
            handle.publish_feedback(ServoTo.Feedback(distance=0.1))
        if handle.is_cancel_requested:
            handle.canceled()
            return ServoTo.Result(error_code=int(ErrorCode.CANCELLED), error_msg="cancelled")
        if self.ending.error_code:
            handle.abort()
        else:
            handle.succeed()
        return self.ending


@pytest.fixture(scope="module")
def rig(ros) -> SimpleNamespace:
    robot, eyes, servo = FakeRobot(ros.context), FakeEyes(ros.context), FakeServo(ros.context)
    arm = ArmNode(context=ros.context, parameter_overrides=[Parameter("armed", value=True)])
    user = Node("user", context=ros.context)
    targets = user.create_publisher(PoseStamped, "/arm_node/servo_target", qos.LATEST)
    pause, arming = user.create_client(Trigger, "/arm_node/pause"), user.create_client(SetBool, "/arm_node/arm")
    resume = user.create_client(Trigger, "/arm_node/resume")
    nodes = (((robot,), 4), ((eyes,), 2), ((servo,), 4), ((arm,), 4), ((arm.data,), 1), ((user,), 1))
    for some, threads in nodes:
        ros.spin(*some, threads=threads)
    client = Client(user, ServoTo, "servo_to")
    robot.describe()
    eventually(lambda: arm.trajectory.available() and arm.joints.age() < 1.0)
    eventually(lambda: arm._planner is not None, what="planner from the URDF")
    return SimpleNamespace(
        robot=robot,
        servo=servo,
        arm=arm,
        user=user,
        client=client,
        targets=targets,
        pause=pause,
        resume=resume,
        arming=arming,
    )


@pytest.fixture(autouse=True)
def fresh(rig: SimpleNamespace) -> None:
    rig.robot.reset()
    rig.servo.reset()
    eventually(lambda: rig.arm.joints.age() < 0.5 and np.allclose(rig.arm.joints.arm().q, rig.robot.q))


def target(rig: SimpleNamespace, T: np.ndarray) -> PoseStamped:
    msg = PoseStamped(pose=matrix_to_pose(T))
    msg.header.frame_id = "base_link"
    msg.header.stamp = rig.user.get_clock().now().to_msg()
    return msg


def started(rig: SimpleNamespace, **goal: float):
    handle = rig.client.send(ServoTo.Goal(target=target(rig, GOOD), **goal))
    assert handle.accepted
    eventually(lambda: rig.servo.goals, what="the driver's goal")
    return handle


def call(client, request) -> object:
    future = client.call_async(request)
    assert wait_future(future, 5.0)
    return future.result()


def test_goal_and_targets_reach_the_driver_within_the_profile(rig: SimpleNamespace) -> None:
    handle = started(rig, settle=0.5, max_speed=9.0)
    (goal,) = rig.servo.goals
    assert goal.max_speed == pytest.approx(ARM.linear_velocity)
    assert goal.settle == pytest.approx(0.5)
    np.testing.assert_allclose(pose_to_matrix(goal.target.pose, "target"), GOOD, atol=1e-6)
    moved = target(rig, se3.make(DOWN, [0.52, 0.0, 0.2]))

    def sent() -> bool:
        rig.targets.publish(moved)
        return bool(rig.servo.targets)

    eventually(sent, what="the target")
    assert rig.servo.targets[0].header.stamp == moved.header.stamp
    rig.servo.ending = ServoTo.Result(error_code=int(ErrorCode.NONE))
    rig.servo.end.set()
    answer = rig.client.result(handle)
    assert (answer.status, answer.result.error_code) == (GoalStatus.STATUS_SUCCEEDED, ErrorCode.NONE)


def test_the_drivers_reason_is_passed_on(rig: SimpleNamespace) -> None:
    handle = started(rig)
    rig.servo.ending = ServoTo.Result(error_code=int(ErrorCode.STALE_DATA), error_msg="the arm stops")
    rig.servo.end.set()
    answer = rig.client.result(handle)
    assert (answer.status, answer.result.error_code) == (GoalStatus.STATUS_ABORTED, ErrorCode.STALE_DATA)
    assert answer.result.error_msg == "the arm stops"


def test_cancelling_cancels_the_driver(rig: SimpleNamespace) -> None:
    handle = started(rig)
    handle.cancel_goal_async()
    assert rig.client.result(handle).status == GoalStatus.STATUS_CANCELED


def test_a_target_beyond_the_limits_moves_nothing(rig: SimpleNamespace) -> None:
    answer = rig.client.call(ServoTo.Goal(target=target(rig, BELOW)))
    assert ErrorCode(answer.error_code) == ErrorCode.OUT_OF_LIMITS
    assert not rig.servo.goals


def test_a_target_that_leaves_the_limits_ends_the_goal(rig: SimpleNamespace) -> None:
    handle = started(rig)
    for _ in range(5):
        rig.targets.publish(target(rig, BELOW))
    answer = rig.client.result(handle)
    assert ErrorCode(answer.result.error_code) == ErrorCode.OUT_OF_LIMITS
    assert not rig.servo.targets


def test_joint_states_that_cease_end_the_goal(rig: SimpleNamespace) -> None:
    handle = started(rig)
    rig.robot.publish = False
    answer = rig.client.result(handle)
    assert ErrorCode(answer.result.error_code) == ErrorCode.NO_JOINT_STATES
    rig.robot.publish = True


def test_joints_that_leave_the_limits_end_the_goal(rig: SimpleNamespace, monkeypatch) -> None:
    limits = rig.arm.safety.limits
    low, high = rig.robot.q - 0.5, rig.robot.q + 0.5
    narrow = limits.arm.model_copy(update={"position_limits": tuple(zip(low, high, strict=True))})
    monkeypatch.setattr(rig.arm, "safety", replace(rig.arm.safety, limits=replace(limits, arm=narrow)))
    handle = started(rig)
    rig.robot.q = rig.robot.q - 0.6 * np.eye(6)[2]
    answer = rig.client.result(handle)
    assert ErrorCode(answer.result.error_code) == ErrorCode.OUT_OF_LIMITS
    assert "elbow_joint" in answer.result.error_msg
    assert "(position_limits); the arm stops" in answer.result.error_msg


def test_an_arm_that_would_touch_itself_ends_the_goal(rig: SimpleNamespace) -> None:
    handle = started(rig)
    folded = rig.robot.q.copy()
    folded[2] = 2.6  # rad: the fingers reach the upper arm
    rig.robot.q = folded
    answer = rig.client.result(handle)
    assert ErrorCode(answer.result.error_code) == ErrorCode.GOAL_IN_COLLISION
    assert "the arm would touch itself" in answer.result.error_msg
    assert "upper_arm_link" in answer.result.error_msg


def test_a_pause_ends_it(rig: SimpleNamespace) -> None:
    handle = started(rig)
    call(rig.pause, Trigger.Request())
    answer = rig.client.result(handle)
    call(rig.resume, Trigger.Request())
    assert ErrorCode(answer.result.error_code) == ErrorCode.STOPPED


def test_nothing_is_followed_before_arming(rig: SimpleNamespace) -> None:
    call(rig.arming, SetBool.Request(data=False))
    answer = rig.client.call(ServoTo.Goal(target=target(rig, GOOD)))
    call(rig.arming, SetBool.Request(data=True))
    assert ErrorCode(answer.error_code) == ErrorCode.NOT_ARMED
    assert not rig.servo.goals


def test_a_target_without_a_frame_is_refused(rig: SimpleNamespace) -> None:
    answer = rig.client.call(ServoTo.Goal())
    assert ErrorCode(answer.error_code) == ErrorCode.INVALID_GOAL
