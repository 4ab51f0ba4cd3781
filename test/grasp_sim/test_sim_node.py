"""sim_node in a process of its own, over DDS: what drivers publish and how their controllers behave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from control_msgs.action import FollowJointTrajectory, GripperCommand
from control_msgs.msg import JointTolerance
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.action import ActionClient
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from seegrasp_msgs.srv import ResetScene
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from trajectory_msgs.msg import JointTrajectoryPoint
from visualization_msgs.msg import MarkerArray

from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ErrorCode
from grasp_core.gripper import Gripper
from grasp_ros import qos
from grasp_ros.conversions import depth_to_metres, image_to_rgb, stamp_to_ns
from test.domains import own_domain
from test.grasp_ros.kit import rclpy_with, spinning, wait_until

CELL, ARM, GRIPPER = Cell.load("bin_picking"), ArmProfile.load("ur5e"), Gripper.load("robotiq_2f85")
HOME = np.array(ARM.poses["home"])
WRIST = CELL.cameras[0]
Result = FollowJointTrajectory.Result
COMMAND = [sys.executable, "-m", "grasp_sim.nodes.sim_node", "--ros-args"]
OPTIONS = ["scene:=bin", "objects:=3", "seed:=5", "noise:=false", "camera_rate:=5.0", "overhead:=false"]


class Client(Node):
    """Hears everything the simulator says and speaks to its actions."""

    def __init__(self) -> None:
        super().__init__("sim_client")
        self.last: dict[str, object] = {}
        for topic, kind, profile in (
            (WRIST.topic("color"), Image, qos.SENSOR),
            (WRIST.topic("color_info"), CameraInfo, qos.SENSOR),
            (WRIST.topic("depth"), Image, qos.SENSOR),
            (WRIST.topic("depth_info"), CameraInfo, qos.SENSOR),
            ("/joint_states", JointState, qos.RELIABLE),
            ("/tf", TFMessage, qos.TF),
            ("/tf_static", TFMessage, qos.TF_STATIC),
            ("/robot_description", String, qos.LATCHED),
            ("/clock", Clock, qos.SENSOR),
            ("/sim_node/objects", MarkerArray, qos.RELIABLE),
            ("/diagnostics", DiagnosticArray, qos.RELIABLE),
        ):
            self.create_subscription(kind, topic, lambda msg, t=topic: self.last.__setitem__(t, msg), profile)
        self.arm = ActionClient(self, FollowJointTrajectory, ARM.driver.trajectory_action)
        self.gripper = ActionClient(self, GripperCommand, GRIPPER.driver.action)
        self.reset = self.create_client(ResetScene, "/reset_scene")

    def get(self, topic: str) -> object:
        """The newest message of a topic; waits for one that comes after now."""
        self.last.pop(topic, None)
        return wait_until(lambda: self.last.get(topic), what=f"message on {topic}")

    def latched(self, topic: str) -> object:
        """A message of a latched topic."""
        return wait_until(lambda: self.last.get(topic), what=f"message on {topic}")

    def q(self) -> np.ndarray:
        """(6,) present joint positions."""
        msg = self.get("/joint_states")
        return np.array([msg.position[msg.name.index(joint)] for joint in ARM.joints])

    def width(self) -> float:
        """Present opening, m."""
        msg = self.get("/joint_states")
        return GRIPPER.width_from_joint(msg.position[msg.name.index(GRIPPER.joint.name)])


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with own_domain():
        yield dict(os.environ)


@pytest.fixture(scope="module")
def client(environment: dict[str, str]) -> Iterator[Client]:
    arguments = [word for option in OPTIONS for word in ("-p", option)]
    process = subprocess.Popen([*COMMAND, *arguments], env=environment)
    try:
        with rclpy_with():
            node = Client()
            with spinning(node):
                assert node.arm.wait_for_server(timeout_sec=60.0)
                wait_until(lambda: node.last.get("/joint_states"), 30.0, "joint states")
                yield node
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15.0) == 0


@pytest.fixture
def robot(client: Client) -> Client:
    """The client with a freshly reset scene: the arm at home, the gripper open."""
    response = reset(client)
    assert response.success, response.error_msg
    client.q()
    return client


def reset(client: Client, **request: object) -> ResetScene.Response:
    assert client.reset.wait_for_service(timeout_sec=10.0)
    return finished(client.reset.call_async(ResetScene.Request(**request)))


def finished(future: object, timeout_s: float = 30.0) -> object:
    wait_until(future.done, timeout_s, "answer")
    return future.result()


def trajectory(*targets: tuple[float, np.ndarray], **fields: object) -> FollowJointTrajectory.Goal:
    """A goal through joint positions at times, at rest in each."""
    goal = FollowJointTrajectory.Goal(**fields)
    goal.trajectory.joint_names = list(ARM.joints)
    for t, q in targets:
        point = JointTrajectoryPoint(positions=list(map(float, q)), velocities=[0.0] * 6, accelerations=[0.0] * 6)
        point.time_from_start = Duration(sec=int(t), nanosec=int(t % 1 * 1e9))
        goal.trajectory.points.append(point)
    return goal


def send(client: ActionClient, goal: object) -> object:
    handle = finished(client.send_goal_async(goal))
    assert handle.accepted
    return handle


def outcome(handle: object) -> tuple[int, object]:
    answer = finished(handle.get_result_async())
    return answer.status, answer.result


AWAY = HOME + np.array([0.4, 0.1, -0.1, 0.2, 0.1, 0.5])


def test_topics_are_those_of_the_drivers(robot: Client) -> None:
    assert "wrist_3_link" in robot.latched("/robot_description").data
    static = {t.child_frame_id: t.header.frame_id for t in robot.latched("/tf_static").transforms}
    moving = {t.child_frame_id: t.header.frame_id for t in robot.get("/tf").transforms}
    assert static[WRIST.frame] == "tool0"
    frame, chain = WRIST.frame, {**static, **moving}
    while frame != "base_link":
        frame = chain[frame]
    states = robot.get("/joint_states")
    assert list(states.name) == [*ARM.joints, GRIPPER.joint.name]
    assert len(states.position) == len(states.velocity) == len(states.effort) == 7
    np.testing.assert_allclose(robot.q(), HOME, atol=1e-3)
    assert len(robot.get("/sim_node/objects").markers) == 3


def test_images_agree_with_each_other_and_with_the_cell(robot: Client) -> None:
    robot.get(WRIST.topic("depth"))
    stamp = wait_until(
        lambda: next(
            (
                robot.last[WRIST.topic("depth")].header.stamp
                for _ in (0,)
                if len({stamp_to_ns(robot.last[WRIST.topic(k)].header.stamp) for k in ("color", "depth", "depth_info")})
                == 1
            ),
            None,
        ),
        what="a set of images",
    )
    color, depth, info = (robot.last[WRIST.topic(kind)] for kind in ("color", "depth", "depth_info"))
    assert stamp_to_ns(stamp) > 0
    assert (color.encoding, depth.encoding) == ("rgb8", "16UC1")
    assert {m.header.frame_id for m in (color, depth, info)} == {"camera_color_optical_frame"}
    assert (info.width, info.height, info.distortion_model, list(info.d)) == (640, 480, "plumb_bob", [0.0] * 5)
    assert info.k[0] == WRIST.camera_profile.fx
    metres = depth_to_metres(depth)
    assert metres.shape == image_to_rgb(color).shape[:2] == (480, 640)
    height = 0.0996 + 0.4882 - 0.0996 - WRIST.position[2]  # of the camera above the table, at home
    assert np.median(metres) == pytest.approx(height, abs=0.05)


def test_clock_and_stamps_go_together_at_real_time(robot: Client) -> None:
    start, wall = stamp_to_ns(robot.get("/clock").clock), time.monotonic()
    states = stamp_to_ns(robot.get("/joint_states").header.stamp)
    wait_until(lambda: stamp_to_ns(robot.get("/clock").clock) - start > 1_000_000_000, 30.0, "a simulated second")
    assert time.monotonic() - wall > 0.9
    assert 0 <= states - start < 2_000_000_000


def test_a_trajectory_is_followed_to_its_end(robot: Client) -> None:
    seen: list[object] = []
    future = robot.arm.send_goal_async(trajectory((0.0, HOME), (1.0, AWAY)), feedback_callback=seen.append)
    status, result = outcome(finished(future))
    assert (status, result.error_code) == (GoalStatus.STATUS_SUCCEEDED, Result.SUCCESSFUL)
    np.testing.assert_allclose(robot.q(), AWAY, atol=2e-3)
    feedback = seen[-1].feedback
    assert list(feedback.joint_names) == list(ARM.joints)
    np.testing.assert_allclose(feedback.error.positions, 0.0, atol=5e-3)


def test_cancelling_stops_the_arm_on_its_way(robot: Client) -> None:
    handle = send(robot.arm, trajectory((0.0, HOME), (4.0, AWAY)))
    wait_until(lambda: abs(robot.q()[0] - HOME[0]) > 0.1, what="motion")
    finished(handle.cancel_goal_async())
    status, _ = outcome(handle)
    assert status == GoalStatus.STATUS_CANCELED
    here = robot.q()
    assert 0.1 < here[0] - HOME[0] < 0.39
    time.sleep(0.3)
    np.testing.assert_allclose(robot.q(), here, atol=1e-3)


def test_a_new_goal_takes_over(robot: Client) -> None:
    first = send(robot.arm, trajectory((0.0, HOME), (4.0, AWAY)))
    wait_until(lambda: abs(robot.q()[0] - HOME[0]) > 0.05, what="motion")
    second = send(robot.arm, trajectory((1.0, HOME)))
    assert outcome(first)[0] == GoalStatus.STATUS_ABORTED
    assert outcome(second)[0] == GoalStatus.STATUS_SUCCEEDED
    np.testing.assert_allclose(robot.q(), HOME, atol=2e-3)


def test_a_bad_goal_is_refused_with_its_reason_and_disturbs_nothing(robot: Client) -> None:
    running = send(robot.arm, trajectory((0.0, HOME), (1.5, AWAY)))
    wrong = trajectory((1.0, HOME))
    wrong.trajectory.joint_names[0] = "joint_7"
    status, result = outcome(send(robot.arm, wrong))
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Result.INVALID_JOINTS)
    status, result = outcome(send(robot.arm, trajectory((1.0, HOME * np.nan))))
    assert result.error_code == Result.INVALID_GOAL
    assert "not finite" in result.error_string
    assert outcome(running)[0] == GoalStatus.STATUS_SUCCEEDED


def test_leaving_the_path_tolerance_aborts(robot: Client) -> None:
    tight = [JointTolerance(name=ARM.joints[0], position=1e-7)]
    status, result = outcome(send(robot.arm, trajectory((0.0, HOME), (0.5, AWAY), path_tolerance=tight)))
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Result.PATH_TOLERANCE_VIOLATED)
    assert ARM.joints[0] in result.error_string


def test_missing_the_goal_tolerance_aborts(robot: Client) -> None:
    tight = [JointTolerance(name=ARM.joints[0], position=1e-12)]
    goal = trajectory((0.0, HOME), (0.5, AWAY), goal_tolerance=tight, goal_time_tolerance=Duration(nanosec=20_000_000))
    status, result = outcome(send(robot.arm, goal))
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Result.GOAL_TOLERANCE_VIOLATED)


def gripper_goal(position: float) -> GripperCommand.Goal:
    goal = GripperCommand.Goal()
    goal.command.position = position
    return goal


def test_gripper_closes_opens_and_refuses_nonsense(robot: Client) -> None:
    status, result = outcome(send(robot.gripper, gripper_goal(GRIPPER.joint_from_width(0.0))))
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert result.reached_goal
    assert not result.stalled
    assert result.position == pytest.approx(0.8, abs=0.03)
    assert robot.width() == pytest.approx(0.0, abs=0.002)
    status, result = outcome(send(robot.gripper, gripper_goal(GRIPPER.joint_from_width(0.05))))
    assert robot.width() == pytest.approx(0.05, abs=0.002)
    assert not finished(robot.gripper.send_goal_async(gripper_goal(np.nan))).accepted


def test_gripper_preempts_and_cancels(robot: Client) -> None:
    first = send(robot.gripper, gripper_goal(0.8))
    second = send(robot.gripper, gripper_goal(0.0))
    assert outcome(first)[0] == GoalStatus.STATUS_ABORTED
    assert outcome(second)[0] == GoalStatus.STATUS_SUCCEEDED
    third = send(robot.gripper, gripper_goal(0.8))
    wait_until(lambda: robot.width() < 0.07, what="closing")
    finished(third.cancel_goal_async())
    assert outcome(third)[0] == GoalStatus.STATUS_CANCELED
    assert robot.width() > 0.005


def test_reset_is_repeatable_and_ends_what_runs(robot: Client) -> None:
    def scene(seed: int) -> dict[str, tuple[float, ...]]:
        response = reset(robot, kind="bin", objects=2, seed=seed)
        assert response.success
        markers = wait_until(
            lambda: (m := robot.get("/sim_node/objects").markers) and {x.ns for x in m} == set(response.objects) and m,
            what="the new objects",
        )
        return {m.ns: (m.pose.position.x, m.pose.position.y, m.pose.position.z) for m in markers}

    first, other, again = scene(11), scene(12), scene(11)
    assert set(first) == set(again)
    assert first != other
    for name, position in first.items():
        assert position == pytest.approx(again[name], abs=5e-4)
    running = send(robot.arm, trajectory((0.0, HOME), (4.0, AWAY)))
    wait_until(lambda: abs(robot.q()[0] - HOME[0]) > 0.02, what="motion")
    assert reset(robot, seed=1).success
    assert outcome(running)[0] == GoalStatus.STATUS_ABORTED
    np.testing.assert_allclose(robot.q(), HOME, atol=2e-3)


def test_reset_refuses_what_does_not_exist(robot: Client) -> None:
    response = reset(robot, kind="heap")
    assert not response.success
    assert response.error_code == ErrorCode.BAD_INPUT
    assert "heap" in response.error_msg
    assert not reset(robot, kind="single", objects=3).success


def test_diagnostics_tell_of_contacts_and_pace(robot: Client) -> None:
    statuses = {s.name: s for s in robot.get("/diagnostics").status}
    contacts = {v.key: v.value for v in statuses["sim_node: contacts"].values}
    assert contacts["robot_contacts"] == "0"
    assert float(contacts["max_penetration_mm"]) < 2.0
    assert "real_time_factor" in {v.key for v in statuses["sim_node: physics"].values}
    assert "camera_rate_hz" in {v.key for v in statuses["sim_node: cameras"].values}


@pytest.mark.parametrize(
    ("option", "says"),
    [("cell:=nowhere", "nowhere"), ("speed:=1", "speed")],
)
def test_wrong_parameters_end_the_process_with_one_line(environment: dict[str, str], option: str, says: str) -> None:
    done = subprocess.run([*COMMAND, "-p", option], env=environment, capture_output=True, text=True, timeout=60.0)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_sigterm_ends_the_process_cleanly(environment: dict[str, str]) -> None:
    arguments = [word for option in OPTIONS for word in ("-p", option)]
    process = subprocess.Popen([*COMMAND, *arguments], env=environment, stderr=subprocess.PIPE, text=True)
    assert any("scene of 3 objects" in line for line in iter(process.stderr.readline, ""))
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20.0)
    assert process.returncode == 0
    assert "Traceback" not in errors
