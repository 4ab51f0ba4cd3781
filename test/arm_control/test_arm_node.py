"""arm_node against fake drivers over DDS: what it does, and what it refuses."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.parameter import Parameter
from seegrasp_msgs.action import ExecuteGrasp, MoveTo
from std_msgs.msg import String
from visualization_msgs.msg import Marker

from arm_control.cancel import wait_future
from arm_control.drivers.trajectory import MotionWatch
from arm_control.nodes.arm_node import ArmNode
from arm_control.nodes.status import held_from_marker
from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.errors import ErrorCode, ExecutionError
from grasp_ros import qos
from grasp_ros.conversions import matrix_to_pose
from test.arm_control.conftest import eventually
from test.arm_control.fakes import (
    ARM,
    CELL,
    DOWN,
    GRIPPER,
    TOP,
    Client,
    FakeEyes,
    FakePlanner,
    FakeRobot,
    candidates,
    grasps_on_box,
)


@pytest.fixture(scope="module")
def rig(ros) -> SimpleNamespace:
    robot, eyes = FakeRobot(ros.context), FakeEyes(ros.context)
    arm = ArmNode(context=ros.context, parameter_overrides=[Parameter("armed", value=True)])
    user = Node("user", context=ros.context)
    markers: list[Marker] = []
    diagnostics: list[DiagnosticArray] = []
    user.create_subscription(Marker, "/arm_node/held_object", markers.append, qos.LATCHED)
    user.create_subscription(DiagnosticArray, "/diagnostics", diagnostics.append, 10)
    for nodes, threads in (((robot,), 4), ((eyes,), 2), ((arm,), 4), ((arm.data,), 1), ((user,), 1)):
        ros.spin(*nodes, threads=threads)
    move, grasp = Client(user, MoveTo, "move_to"), Client(user, ExecuteGrasp, "execute_grasp")
    rig = SimpleNamespace(
        ros=ros, robot=robot, eyes=eyes, arm=arm, user=user, move=move, grasp=grasp, markers=markers, diag=diagnostics
    )
    eventually(lambda: arm.trajectory.available() and arm.gripper.available() and arm.clouds.newest_stamp())
    return rig


@pytest.fixture(autouse=True)
def fresh(rig) -> None:
    rig.robot.reset()
    rig.eyes.reset()
    rig.move.feedback.clear()
    rig.grasp.feedback.clear()
    rig.planner = FakePlanner()
    rig.arm._planner = rig.planner
    rig.arm.state.released()
    eventually(lambda: rig.arm.gate.active is None)
    eventually(lambda: known(rig.arm.joints) and abs(rig.arm.gripper.width() - GRIPPER.max_width) < 1e-6)
    eventually(lambda: np.allclose(rig.arm.joints.arm().q, rig.robot.q))


def known(joints) -> bool:
    try:
        joints.arm()
        joints.gripper_position()
    except ExecutionError:
        return False
    return True


def now(rig) -> int:
    return rig.arm.clouds.newest_stamp()


def grasp_goal(rig, **kwargs) -> ExecuteGrasp.Goal:
    return ExecuteGrasp.Goal(candidates=candidates(kwargs.pop("stamp", now(rig)), **kwargs))


def pose_goal(T, frame="base_link", linear=False) -> MoveTo.Goal:
    goal = MoveTo.Goal(target_type=MoveTo.Goal.POSE_LINEAR if linear else MoveTo.Goal.POSE)
    goal.pose.pose = matrix_to_pose(T)
    goal.pose.header.frame_id = frame
    return goal


def code(result) -> str:
    return ErrorCode(result.error_code).name


# before there is a URDF: this test has to come first


def test_without_robot_description_says_what_to_start(rig):
    rig.arm._planner = None
    result = rig.move.call(MoveTo.Goal(name="home"))
    assert code(result) == "CONFIG"
    assert "/robot_description" in result.error_msg
    rig.robot.describe()
    eventually(lambda: rig.arm._planner is not None, 20.0, "planner from the latched URDF")


def test_the_description_of_another_arm_is_refused(rig):
    """ur10e behind the driver, ur5e in the cell: the same joint names, other lengths."""
    rig.arm._planner = None
    other = ArmProfile.load("ur10e").urdf_path.read_text()
    rig.robot._description.publish(String(data=other))
    eventually(lambda: rig.arm._urdf == other and not rig.arm._starting)
    result = rig.move.call(MoveTo.Goal(name="home"))
    assert code(result) == "CONFIG"
    for part in ("'ur10e'", "is not arm profile ur5e", "name the arm that stands there"):
        assert part in result.error_msg
    assert not rig.robot.trajectories


# what it does


def test_grasp_is_planned_executed_and_held(rig):
    result = rig.grasp.call(grasp_goal(rig))
    assert (code(result), result.stage, result.executed, result.tried) == ("NONE", "verify_lift", 0, 1), (
        result.error_msg
    )
    assert result.width == pytest.approx(0.04, abs=0.002)
    assert [t.stage for t in result.timings] == ["plan", "approach", "close", "verify", "lift", "verify_lift"]
    assert [f.stage for f in rig.grasp.feedback][:1] == ["plan"]
    eventually(lambda: rig.markers and rig.markers[-1].action == Marker.ADD)
    held = held_from_marker(rig.markers[-1], GRIPPER)
    low, high = held.centre - held.size / 2, held.centre + held.size / 2
    assert (low[:2] <= [-0.02, -0.02]).all()
    assert (high[:2] >= [0.02, 0.02]).all()
    assert 0.013 <= high[2] <= 0.04  # the box stands on the floor, 15 mm below the fingertips


def test_real_planner_moves_and_grasps(rig):
    rig.arm._urdf = ""
    rig.robot.describe()
    eventually(lambda: not isinstance(rig.arm._planner, FakePlanner), 20.0)
    result = rig.grasp.call(grasp_goal(rig), 30.0)
    assert code(result) == "NONE", result.error_msg
    result = rig.move.call(pose_goal(se3.make(DOWN, [0.30, 0.50, 0.25])), 30.0)
    assert code(result) == "NONE", result.error_msg
    goal = MoveTo.Goal(name="observe", set_gripper=True, gripper_width=0.085)
    assert code(rig.move.call(goal, 30.0)) == "NONE"
    assert np.allclose(rig.robot.q, CELL.poses["observe"], atol=1e-3)


def test_next_candidate_when_one_has_no_path(rig):
    rig.planner.refuse = [ErrorCode.UNREACHABLE]
    result = rig.grasp.call(grasp_goal(rig))
    assert (code(result), result.executed, result.tried) == ("NONE", 1, 2)


def test_no_candidate_has_a_path(rig):
    rig.planner.refuse = [ErrorCode.GOAL_IN_COLLISION, ErrorCode.UNREACHABLE, ErrorCode.GOAL_IN_COLLISION]
    result = rig.grasp.call(grasp_goal(rig, grasps=grasps_on_box(3)))
    assert (code(result), result.executed, result.tried, result.stage) == ("GOAL_IN_COLLISION", -1, 3, "plan")
    assert "2 GOAL_IN_COLLISION" in result.error_msg
    assert "1 UNREACHABLE" in result.error_msg
    assert not rig.robot.trajectories


def test_closing_on_nothing_opens_and_retreats(rig):
    rig.robot.object_width = None
    result = rig.grasp.call(grasp_goal(rig))
    assert (code(result), result.stage, result.executed) == ("GRIPPER_EMPTY", "verify", 0)
    assert result.timings[-1].stage == "retreat"
    assert rig.robot.width == pytest.approx(0.06, abs=1e-3)
    assert np.allclose(rig.planner.poses[-1][:3, 3], TOP - [0, 0, 0.025] + [0, 0, 0.08], atol=1e-4)


def test_object_lost_during_the_lift(rig):
    handle = rig.grasp.send(grasp_goal(rig))
    rig.grasp.wait_stage("lift")
    rig.robot.object_width = None
    rig.robot.width = 0.0
    result = rig.grasp.result(handle).result
    assert (code(result), result.stage) == ("OBJECT_LOST", "verify_lift")
    assert rig.robot.width == pytest.approx(GRIPPER.max_width)
    assert rig.arm.state.held is None


def test_controller_abort_in_the_descent_pulls_back(rig):
    handle = rig.grasp.send(grasp_goal(rig))
    eventually(lambda: len(rig.robot.trajectories) == 1)
    rig.robot.arm_mode = "abort"  # for the next trajectory: the descent
    eventually(lambda: len(rig.robot.trajectories) == 2)
    rig.robot.arm_mode = "follow"
    result = rig.grasp.result(handle).result
    assert (code(result), result.stage) == ("CONTROLLER_ABORTED", "approach")
    assert "PATH_TOLERANCE_VIOLATED" in result.error_msg
    assert "elbow_joint" in result.error_msg
    assert result.timings[-1].stage == "retreat"


def test_moves_and_sets_the_gripper(rig):
    result = rig.move.call(MoveTo.Goal(name="home", set_gripper=True, gripper_width=0.05))
    assert code(result) == "NONE", result.error_msg
    assert [t.stage for t in result.timings] == ["plan", "move", "gripper"]
    assert np.allclose(rig.robot.q, ARM.poses["home"], atol=1e-3)
    assert rig.robot.width == pytest.approx(0.05, abs=1e-3)
    joints = [0.1, -1.5, 1.4, -1.4, -1.5, 0.2]
    assert code(rig.move.call(MoveTo.Goal(target_type=MoveTo.Goal.JOINTS, joints=joints))) == "NONE"
    assert np.allclose(rig.robot.q, joints, atol=1e-3)
    here = MoveTo.Goal(target_type=MoveTo.Goal.HERE, set_gripper=True, gripper_width=0.02)
    rig.robot.object_width = 0.03
    assert code(rig.move.call(here)) == "NONE"  # stopping on an object is what closing is for


def test_no_plan_while_something_else_moves_the_arm(rig):
    rig.robot.qd = np.full(6, 0.3)
    eventually(rig.arm.trajectory.moving)
    handle = rig.move.send(MoveTo.Goal(name="home"))
    eventually(lambda: rig.arm.gate.active is not None)
    rig.robot.qd = np.zeros(6)
    assert code(rig.move.result(handle).result) == "NONE"
    assert len(rig.robot.trajectories) == 1


def test_an_arm_that_something_else_keeps_moving(rig, monkeypatch):
    monkeypatch.setattr(rig.arm.trajectory, "_watch", MotionWatch(rest_timeout=0.2))
    rig.robot.qd = np.full(6, 0.3)
    eventually(rig.arm.trajectory.moving)
    for result in (rig.move.call(MoveTo.Goal(name="home")), rig.grasp.call(grasp_goal(rig))):
        assert code(result) == "BUSY"
    assert rig.robot.trajectories == []


def test_opening_releases_what_is_held(rig):
    assert code(rig.grasp.call(grasp_goal(rig))) == "NONE"
    refused = rig.grasp.call(grasp_goal(rig))
    assert code(refused) == "INVALID_GOAL"
    assert "holds" in refused.error_msg
    assert code(rig.move.call(MoveTo.Goal(name="observe"))) == "NONE"
    assert rig.planner.held is not None
    here = MoveTo.Goal(target_type=MoveTo.Goal.HERE, set_gripper=True, gripper_width=0.085)
    assert code(rig.move.call(here)) == "NONE"
    eventually(lambda: rig.markers[-1].action == Marker.DELETE)
    assert code(rig.move.call(MoveTo.Goal(name="observe"))) == "NONE"
    assert rig.planner.held is None


def test_start_in_contact_is_planned_without_what_touches(rig):
    rig.planner.refuse = [ErrorCode.START_IN_COLLISION]
    assert code(rig.move.call(MoveTo.Goal(name="home"))) == "NONE"
    assert len(rig.planner.scenes[-1][2]) == 1
    rig.planner.refuse = [ErrorCode.START_IN_COLLISION] * 2
    assert code(rig.move.call(MoveTo.Goal(name="home"))) == "START_IN_COLLISION"


# goals that are not understood: nothing may move


def bad_grasps(**changes):
    grasps = grasps_on_box()
    for name, value in changes.items():
        getattr(grasps, name)[0] = value
    return grasps


@pytest.mark.parametrize(
    ("goal", "expected", "says"),
    [
        (lambda rig: ExecuteGrasp.Goal(), "INVALID_GOAL", "empty"),
        (lambda rig: grasp_goal(rig, grasps=bad_grasps(t=np.nan)), "INVALID_GOAL", "NaN"),
        (lambda rig: grasp_goal(rig, grasps=bad_grasps(width=0.2)), "OUT_OF_LIMITS", "0.085"),
        (lambda rig: grasp_goal(rig, frame="nowhere"), "NO_TF", "nowhere"),
        (lambda rig: grasp_goal(rig, frame=""), "INVALID_GOAL", "frame_id"),
        (lambda rig: grasp_goal(rig, stamp=0), "STALE_DATA", "max_scene_age"),
        (lambda rig: grasp_goal(rig, stamp=now(rig) + 20_000_000_000), "STALE_DATA", "max_scene_age"),
        (lambda rig: grasp_goal(rig, stamp=now(rig) + 700_000_000), "STALE_DATA", "newest"),
    ],
)
def test_bad_candidates_are_refused(rig, goal, expected, says):
    result = rig.grasp.call(goal(rig))
    assert code(result) == expected
    assert says in result.error_msg
    assert not rig.robot.trajectories


def test_candidates_for_another_gripper_or_with_a_bad_quaternion(rig):
    goal = grasp_goal(rig)
    goal.candidates.gripper = "hand_e"
    assert "hand_e" in rig.grasp.call(goal).error_msg
    goal = grasp_goal(rig)
    goal.candidates.grasps[1].pose.orientation.w = 5.0
    result = rig.grasp.call(goal)
    assert code(result) == "INVALID_GOAL"
    assert "quaternion" in result.error_msg
    goal = grasp_goal(rig)
    goal.velocity_scaling = float("nan")
    assert code(rig.grasp.call(goal)) == "INVALID_GOAL"
    assert not rig.robot.trajectories


def unnormalised() -> MoveTo.Goal:
    goal = pose_goal(np.eye(4))
    goal.pose.pose.orientation.w = 0.0
    return goal


def not_a_number() -> MoveTo.Goal:
    goal = pose_goal(np.eye(4))
    goal.pose.pose.position.x = float("nan")
    return goal


@pytest.mark.parametrize(
    ("goal", "expected", "says"),
    [
        (MoveTo.Goal(name="nowhere"), "INVALID_GOAL", "observe"),
        (MoveTo.Goal(), "INVALID_GOAL", "name"),
        (MoveTo.Goal(target_type=9), "INVALID_GOAL", "target_type"),
        (MoveTo.Goal(target_type=1, joints=[0.0] * 5), "INVALID_GOAL", "6"),
        (MoveTo.Goal(target_type=1, joints=[0.0] * 5 + [np.nan]), "INVALID_GOAL", "finite"),
        (unnormalised(), "INVALID_GOAL", "quaternion"),
        (not_a_number(), "INVALID_GOAL", "position"),
        (pose_goal(np.eye(4), ""), "INVALID_GOAL", "frame_id"),
        (pose_goal(np.eye(4), "nowhere"), "NO_TF", "nowhere"),
        (MoveTo.Goal(name="home", velocity_scaling=1.5), "INVALID_GOAL", "velocity_scaling"),
        (MoveTo.Goal(name="home", set_gripper=True, gripper_width=0.2), "OUT_OF_LIMITS", "0.085"),
        (MoveTo.Goal(name="home", set_gripper=True, gripper_width=np.nan), "INVALID_GOAL", "gripper_width"),
        (MoveTo.Goal(target_type=4), "INVALID_GOAL", "HERE"),
    ],
)
def test_bad_targets_are_refused(rig, goal, expected, says):
    result = rig.move.call(goal)
    assert code(result) == expected
    assert says in result.error_msg
    assert not rig.robot.trajectories


# faults of what is around it


def test_planner_errors_come_through(rig):
    for error in (ErrorCode.UNREACHABLE, ErrorCode.GOAL_IN_COLLISION, ErrorCode.OUT_OF_LIMITS, ErrorCode.NO_PATH):
        rig.planner.refuse = [error]
        assert code(rig.move.call(MoveTo.Goal(name="home"))) == error.name
    assert not rig.robot.trajectories


def test_no_motion_on_stale_or_nan_joint_states(rig):
    rig.robot.nan = True
    eventually(lambda: not np.isfinite(rig.arm.joints._latest[ARM.joints[0]].position))
    result = rig.move.call(MoveTo.Goal(name="home"))
    assert code(result) == "NO_JOINT_STATES"
    assert "finite" in result.error_msg
    rig.robot.nan, rig.robot.publish = False, False
    eventually(lambda: rig.arm.joints.age() > 1.1)
    assert code(rig.grasp.call(grasp_goal(rig))) == "NO_JOINT_STATES"
    assert not rig.robot.trajectories


def test_joint_states_that_stop_while_moving_stop_the_arm(rig):
    rig.robot.arm_mode = "silent"
    handle = rig.move.send(MoveTo.Goal(name="home"))
    eventually(lambda: rig.robot.trajectories)
    rig.robot.publish = False
    assert code(rig.move.result(handle).result) == "NO_JOINT_STATES"
    eventually(lambda: rig.robot.cancelled == 1)


def test_rejected_trajectory_and_false_success(rig):
    rig.robot.arm_mode = "reject"
    result = rig.move.call(MoveTo.Goal(name="home"))
    assert code(result) == "CONTROLLER_ABORTED"
    assert "rejected" in result.error_msg
    rig.robot.arm_mode = "stuck"
    result = rig.move.call(MoveTo.Goal(name="home"))
    assert code(result) == "CONTROLLER_ABORTED"
    assert "off" in result.error_msg


def test_gripper_that_aborts(rig):
    rig.robot.gripper_mode = "abort"
    result = rig.grasp.call(grasp_goal(rig))
    assert code(result) == "GRIPPER_FAILED"
    assert not rig.arm.state.held


def test_gripper_that_never_arrives(rig):
    rig.robot.gripper_mode = "never"
    here = MoveTo.Goal(target_type=MoveTo.Goal.HERE, set_gripper=True, gripper_width=0.02)
    result = rig.move.call(here)
    assert code(result) == "GRIPPER_FAILED"
    assert "did not finish" in result.error_msg


def test_diagnostics_tell_of_missing_joint_states(rig):
    rig.robot.publish = False
    eventually(
        lambda: any(
            s.name == "arm_node: state" and "/joint_states" in s.message for m in list(rig.diag) for s in m.status
        )
    )


# one goal at a time; cancelling; clients that die


def test_second_goal_is_rejected(rig):
    rig.robot.arm_mode = "silent"
    handle = rig.move.send(MoveTo.Goal(name="home"))
    assert handle.accepted
    assert not rig.move.send(MoveTo.Goal(name="home")).accepted
    assert not rig.grasp.send(grasp_goal(rig)).accepted
    assert wait_future(handle.cancel_goal_async(), 5.0)
    assert rig.move.result(handle).status == GoalStatus.STATUS_CANCELED
    rig.robot.arm_mode = "follow"
    assert code(rig.move.call(MoveTo.Goal(name="observe"))) == "NONE"


@pytest.mark.parametrize("stage", ["approach", "close", "lift"])
def test_cancelling_a_grasp_stops_the_arm_and_keeps_the_gripper(rig, stage):
    if stage == "approach":
        rig.robot.arm_mode = "silent"
    handle = rig.grasp.send(grasp_goal(rig))
    if stage == "close":
        eventually(lambda: len(rig.robot.trajectories) == 2)
        rig.robot.gripper_mode = "never"
    if stage == "lift":
        eventually(lambda: len(rig.robot.trajectories) == 2)
        rig.robot.arm_mode = "silent"
    rig.grasp.wait_stage(stage)
    assert wait_future(handle.cancel_goal_async(), 5.0)
    ended = rig.grasp.result(handle)
    assert (ended.status, code(ended.result)) == (GoalStatus.STATUS_CANCELED, "CANCELLED")
    assert ended.result.stage == stage
    assert not rig.arm.trajectory.moving()
    if stage == "lift":
        assert rig.robot.width == pytest.approx(0.04, abs=1e-3)
        assert rig.arm.state.held is not None
    where = rig.robot.q.copy()
    time.sleep(0.1)
    assert np.array_equal(where, rig.robot.q)


def test_goal_of_a_client_that_dies_is_cancelled(rig):
    """The client is a process of its own that is killed; other clients of the action would keep the goal alive."""
    script = textwrap.dedent(
        """
        import rclpy
        from rclpy.action import ActionClient
        from seegrasp_msgs.action import MoveTo
        rclpy.init()
        node = rclpy.create_node("doomed")
        client = ActionClient(node, MoveTo, "move_to")
        client.wait_for_server()
        future = client.send_goal_async(MoveTo.Goal(name="home"))
        rclpy.spin_until_future_complete(node, future)
        print("sent", flush=True)
        rclpy.spin(node)
        """
    )
    rig.robot.arm_mode = "silent"
    rig.move.client.destroy()
    environment = {**os.environ, "ROS_DOMAIN_ID": str(rig.ros.domain)}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment, text=True)
    try:
        assert process.stdout.readline().strip() == "sent"
        eventually(lambda: rig.robot.trajectories)
        process.send_signal(signal.SIGKILL)
        process.wait()
        eventually(lambda: rig.robot.cancelled == 1, 40.0, "the motion of the dead client is cancelled")
        eventually(lambda: rig.arm.gate.active is None)
    finally:
        process.kill()
        process.wait()
        rig.move = Client(rig.user, MoveTo, "move_to")
