"""What an operator sees of arm_node and pick_node: arming, pausing, stopping, dry runs, and processes that die."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.parameter import Parameter
from seegrasp_msgs.action import ExecuteGrasp, MoveTo, Pick
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger
from tf2_msgs.msg import TFMessage
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import Marker, MarkerArray

from arm_control.cancel import wait_future
from arm_control.nodes.arm_node import ArmNode
from arm_control.nodes.pick_node import PickNode
from grasp_core.errors import ErrorCode, ExecutionError
from grasp_ros import qos
from test.arm_control.conftest import eventually
from test.arm_control.fakes import CELL, GRIPPER, Client, FakeEyes, FakePlanner, FakeRobot, candidates

HOME = MoveTo.Goal(name="home")
TIMEOUTS = {"camera_timeout": 2.0, "tf_timeout": 2.0, "heartbeat_timeout": 2.0}


@pytest.fixture(scope="module")
def rig(ros) -> SimpleNamespace:
    robot, eyes = FakeRobot(ros.context, speed=1.0), FakeEyes(ros.context)
    arm = ArmNode(context=ros.context, parameter_overrides=[Parameter(k, value=v) for k, v in TIMEOUTS.items()])
    pick = PickNode(context=ros.context, parameter_overrides=[Parameter("heartbeat_timeout", value=2.0)])
    user = Node("user", context=ros.context)
    heard: dict[str, list] = {"diag": [], "path": [], "trajectory": []}
    user.create_subscription(DiagnosticArray, "/diagnostics", heard["diag"].append, 10)
    user.create_subscription(MarkerArray, "/arm_node/planned_path", heard["path"].append, qos.LATCHED)
    user.create_subscription(JointTrajectory, "/arm_node/planned_trajectory", heard["trajectory"].append, qos.LATCHED)
    for node, threads in ((robot, 4), (eyes, 3), (arm, 4), (arm.data, 1), (pick, 4), (pick.data, 1), (user, 1)):
        ros.spin(node, threads=threads)
    services = {
        name: user.create_client(SetBool if name == "arm_node/arm" else Trigger, name)
        for name in (
            "arm_node/arm",
            *(f"{n}/{w}" for n in ("arm_node", "pick_node") for w in ("pause", "resume", "stop")),
        )
    }
    rig = SimpleNamespace(ros=ros, robot=robot, eyes=eyes, arm=arm, pick=pick, user=user, services=services, **heard)
    rig.move, rig.grasp = Client(user, MoveTo, "move_to"), Client(user, ExecuteGrasp, "execute_grasp")
    rig.picker = Client(user, Pick, "pick")
    eventually(lambda: arm.trajectory.available() and arm.gripper.available() and arm.clouds.newest_stamp())
    eventually(lambda: all(s.service_is_ready() for s in services.values()))
    return rig


@pytest.fixture(autouse=True)
def fresh(rig) -> None:
    """The arm at rest and armed, nothing held, everything alive."""
    rig.robot.reset()
    rig.eyes.reset()
    for client in (rig.move, rig.grasp, rig.picker):
        client.feedback.clear()
    rig.path.clear()
    rig.planner = rig.arm._planner = FakePlanner()
    rig.arm.state.released()
    rig.arm.interlock.resume()
    rig.arm.interlock.arm()
    eventually(lambda: rig.arm.gate.active is None and rig.pick.gate.active is None and not rig.pick.missing())
    eventually(lambda: np.allclose(rig.arm.joints.arm().q, rig.robot.q) and not rig.arm.trajectory.moving())


def call(rig, name: str, **request) -> str:
    """What a service answered."""
    client = rig.services[name]
    future = client.call_async(client.srv_type.Request(**request))
    assert wait_future(future, 30.0), f"{name} does not answer"
    assert future.result().success, future.result().message
    return future.result().message


def code(result) -> str:
    return ErrorCode(result.error_code).name


def under_way(rig, goal=HOME):
    """A goal of move_to in motion."""
    handle = rig.move.send(goal)
    eventually(lambda: rig.robot.trajectories and np.abs(rig.robot.qd).max() > 0)
    return handle


def said(rig, text: str) -> bool:
    return any(s.name == "arm_node: state" and text in s.message for m in list(rig.diag) for s in m.status)


# arming


def test_nothing_moves_before_it_is_armed(rig):
    assert "disarmed" in call(rig, "arm_node/arm", data=False)
    for result in (
        rig.move.call(HOME),
        rig.grasp.call(ExecuteGrasp.Goal(candidates=candidates(rig.arm.clouds.newest_stamp()))),
    ):
        assert code(result) == "NOT_ARMED"
        assert "seegrasp arm" in result.error_msg
    here = MoveTo.Goal(target_type=MoveTo.Goal.HERE, set_gripper=True, gripper_width=0.02)
    assert code(rig.move.call(here)) == "NOT_ARMED"
    assert not rig.robot.trajectories
    eventually(lambda: said(rig, "not armed"))
    result = rig.picker.call(Pick.Goal())
    assert (code(result), len(result.attempts)) == ("NOT_ARMED", 1)
    call(rig, "arm_node/arm", data=True)
    assert code(rig.move.call(HOME)) == "NONE"


def test_a_new_node_is_not_armed(rig):
    assert not Node.get_parameter(rig.arm, "armed").value


# stopping


@pytest.mark.parametrize("node", ["arm_node", "pick_node"])
def test_a_stop_in_motion_ends_the_goal_and_disarms(rig, node):
    handle = under_way(rig)
    call(rig, f"{node}/stop")
    eventually(lambda: rig.robot.cancelled == 1)
    result = rig.move.result(handle)
    assert (code(result.result), result.status) == ("STOPPED", GoalStatus.STATUS_ABORTED)
    assert "~/stop" in result.result.error_msg
    assert code(rig.move.call(HOME)) == "NOT_ARMED"


def test_a_stop_ends_a_pick_run_and_nothing_is_put_back(rig):
    handle = rig.picker.send(Pick.Goal())
    rig.picker.wait_stage("place")
    eventually(lambda: np.abs(rig.robot.qd).max() > 0)
    call(rig, "pick_node/stop")
    result = rig.picker.result(handle).result
    assert code(result) == "STOPPED"
    sent = len(rig.robot.trajectories)
    time.sleep(0.3)
    assert len(rig.robot.trajectories) == sent
    assert rig.arm.state.held is not None


def test_a_stop_of_a_stroke_of_the_gripper(rig):
    rig.robot.gripper_mode = "never"
    handle = rig.move.send(MoveTo.Goal(target_type=MoveTo.Goal.HERE, set_gripper=True, gripper_width=0.02))
    rig.move.wait_stage("gripper")
    call(rig, "arm_node/stop")
    assert code(rig.move.result(handle).result) == "STOPPED"


# pausing


def test_a_pause_stops_and_the_motion_goes_on_from_there(rig):
    handle = under_way(rig)
    call(rig, "arm_node/pause")
    rig.move.wait_stage("paused")
    assert rig.robot.cancelled == 1
    stood = rig.robot.q.copy()
    eventually(lambda: said(rig, "paused by ~/pause"))
    assert np.array_equal(stood, rig.robot.q)
    call(rig, "arm_node/resume")
    result = rig.move.result(handle)
    assert (code(result.result), result.status) == ("NONE", GoalStatus.STATUS_SUCCEEDED)
    first = rig.robot.trajectories[1].trajectory.points[0].positions
    np.testing.assert_allclose(first, stood, atol=1e-9)


def test_a_paused_motion_that_finds_no_way_ends_with_the_reason(rig):
    handle = under_way(rig)
    call(rig, "arm_node/pause")
    rig.move.wait_stage("paused")
    rig.planner.refuse = [ErrorCode.NO_PATH]
    call(rig, "arm_node/resume")
    assert code(rig.move.result(handle).result) == "NO_PATH"


def test_a_goal_that_comes_in_a_pause_waits(rig):
    assert "nothing was moving" in call(rig, "pick_node/pause")
    handle = rig.move.send(HOME)
    rig.move.wait_stage("paused")
    assert not rig.robot.trajectories
    call(rig, "pick_node/resume")
    assert code(rig.move.result(handle).result) == "NONE"


@pytest.mark.parametrize("part", [1, 2, 3], ids=["approach", "descent", "lift"])
def test_a_grasp_goes_on_after_a_pause(rig, part):
    handle = rig.grasp.send(ExecuteGrasp.Goal(candidates=candidates(rig.arm.clouds.newest_stamp())))
    eventually(lambda: len(rig.robot.trajectories) == part and np.abs(rig.robot.qd).max() > 0)
    call(rig, "arm_node/pause")
    rig.grasp.wait_stage("paused")
    call(rig, "arm_node/resume")
    result = rig.grasp.result(handle).result
    assert (code(result), result.stage) == ("NONE", "verify_lift"), result.error_msg
    assert len(rig.robot.trajectories) == 4


def test_a_goal_that_comes_in_a_pause_is_planned_when_the_pause_is_over(rig):
    """Somebody moved the arm meanwhile."""
    call(rig, "arm_node/pause")
    handle = rig.move.send(HOME)
    rig.move.wait_stage("paused")
    rig.robot.q = rig.robot.q + 0.3
    eventually(lambda: np.allclose(rig.arm.joints.arm().q, rig.robot.q))
    stood = rig.robot.q.copy()
    call(rig, "arm_node/resume")
    result = rig.move.result(handle).result
    assert code(result) == "NONE", result.error_msg
    np.testing.assert_allclose(rig.robot.trajectories[0].trajectory.points[0].positions, stood, atol=1e-9)


def test_a_grasp_that_comes_in_a_pause_begins_where_the_arm_stands_then(rig):
    """Its first command is the gripper's, which waits; the approach was planned before."""
    call(rig, "arm_node/pause")
    handle = rig.grasp.send(ExecuteGrasp.Goal(candidates=candidates(rig.arm.clouds.newest_stamp())))
    rig.grasp.wait_stage("paused")
    rig.robot.q = rig.robot.q + 0.3
    eventually(lambda: np.allclose(rig.arm.joints.arm().q, rig.robot.q))
    stood = rig.robot.q.copy()
    call(rig, "arm_node/resume")
    result = rig.grasp.result(handle).result
    assert code(result) == "NONE", result.error_msg
    np.testing.assert_allclose(rig.robot.trajectories[0].trajectory.points[0].positions, stood, atol=1e-9)


@pytest.mark.parametrize("part", [0, 1, 2], ids=["before", "approach", "descent"])
def test_no_grasp_in_a_picture_that_grew_old_in_a_pause(rig, monkeypatch, part):
    stamp = rig.arm.clouds.newest_stamp()
    if part == 0:
        call(rig, "arm_node/pause")
    handle = rig.grasp.send(ExecuteGrasp.Goal(candidates=candidates(stamp)))
    if part > 0:
        eventually(lambda: len(rig.robot.trajectories) == part and np.abs(rig.robot.qd).max() > 0)
        call(rig, "arm_node/pause")
    rig.grasp.wait_stage("paused")
    monkeypatch.setattr(rig.arm._goals, "_max_scene_age", (rig.arm.now_ns() - stamp) * 1e-9)
    call(rig, "arm_node/resume")
    result = rig.grasp.result(handle).result
    assert (code(result), result.stage) == ("STALE_DATA", "approach")
    assert "grew old in the pause" in result.error_msg
    assert "detect again" in result.error_msg
    assert len(rig.robot.trajectories) == part
    assert part > 0 or rig.robot.width == GRIPPER.max_width


def test_what_is_held_is_lifted_however_long_the_pause(rig, monkeypatch):
    stamp = rig.arm.clouds.newest_stamp()
    handle = rig.grasp.send(ExecuteGrasp.Goal(candidates=candidates(stamp)))
    eventually(lambda: len(rig.robot.trajectories) == 3 and np.abs(rig.robot.qd).max() > 0)
    call(rig, "arm_node/pause")
    rig.grasp.wait_stage("paused")
    monkeypatch.setattr(rig.arm._goals, "_max_scene_age", 0.0)
    call(rig, "arm_node/resume")
    result = rig.grasp.result(handle).result
    assert code(result) == "NONE", result.error_msg


def test_cancelling_a_paused_goal(rig):
    handle = under_way(rig)
    call(rig, "arm_node/pause")
    rig.move.wait_stage("paused")
    assert wait_future(handle.cancel_goal_async(), 30.0)
    ended = rig.move.result(handle)
    assert (code(ended.result), ended.status) == ("CANCELLED", GoalStatus.STATUS_CANCELED)
    assert len(rig.robot.trajectories) == 1


# dry runs, speed, what is shown


@pytest.fixture
def dry(rig, monkeypatch):
    from dataclasses import replace

    monkeypatch.setattr(rig.arm, "safety", replace(rig.arm.safety, dry_run=True))


@pytest.mark.usefixtures("dry")
def test_a_dry_run_shows_the_grasp_and_moves_nothing(rig):
    call(rig, "arm_node/arm", data=False)  # not even armed
    result = rig.grasp.call(ExecuteGrasp.Goal(candidates=candidates(rig.arm.clouds.newest_stamp())))
    assert (code(result), result.stage, result.executed, result.tried) == ("DRY_RUN", "plan", -1, 1)
    assert "candidate 0 has a path" in result.error_msg
    eventually(lambda: rig.path)
    lines = [m for m in rig.path[-1].markers if m.type == Marker.LINE_STRIP]
    assert [m.header.frame_id for m in lines] == ["base_link"] * 3
    assert rig.trajectory[-1].joint_names == list(rig.arm.arm.joints)
    result = rig.picker.call(Pick.Goal())
    assert code(result) == "DRY_RUN"
    assert [a.stage for a in result.attempts] == ["plan"]
    here = MoveTo.Goal(target_type=MoveTo.Goal.HERE, set_gripper=True, gripper_width=0.02)
    assert code(rig.move.call(here)) == "DRY_RUN"
    assert not rig.robot.trajectories
    assert np.allclose(rig.robot.q, CELL.poses["observe"])
    eventually(lambda: said(rig, "dry run"))


def test_what_is_faster_than_the_speed_is_stretched(rig, monkeypatch):
    from dataclasses import replace

    guards = rig.arm.safety
    monkeypatch.setattr(rig.arm, "safety", replace(guards, limits=replace(guards.limits, speed=0.02)))
    handle = under_way(rig)
    sent = rig.robot.trajectories[0].trajectory.points
    fastest = max(abs(v) / limit for p in sent for v, limit in zip(p.velocities, rig.arm.arm.max_velocity, strict=True))
    assert fastest <= 0.02 * 1.002
    call(rig, "arm_node/stop")
    rig.move.result(handle)


# what dies while the arm moves


def test_a_camera_that_dies_in_motion_stops_the_arm(rig):
    rig.robot.arm_mode = "silent"
    handle = rig.move.send(HOME)
    eventually(lambda: rig.robot.trajectories)
    rig.eyes.publish = False
    result = rig.move.result(handle).result
    assert code(result) == "STALE_DATA"
    assert "/camera_node/looked" in result.error_msg
    assert rig.robot.cancelled == 1


def test_a_camera_that_dies_while_a_grasp_is_planned_stops_it(rig, monkeypatch):
    planning, go_on = threading.Event(), threading.Event()
    plan_grasps = rig.planner.plan_grasps

    def slow(*given, **options):
        planning.set()
        go_on.wait(30.0)
        return plan_grasps(*given, **options)

    monkeypatch.setattr(rig.planner, "plan_grasps", slow)
    handle = rig.grasp.send(ExecuteGrasp.Goal(candidates=candidates(rig.arm.clouds.newest_stamp())))
    assert planning.wait(30.0)
    rig.eyes.publish = False
    time.sleep(TIMEOUTS["camera_timeout"] + 0.3)
    go_on.set()
    result = rig.grasp.result(handle).result
    assert (code(result), result.stage) == ("STALE_DATA", "approach")
    assert "no motion without /camera_node/looked" in result.error_msg
    assert not rig.robot.trajectories


def test_a_grasp_with_a_dead_camera_is_refused_where_one_is_required(rig, monkeypatch):
    from dataclasses import replace

    from arm_control.watchdog import MotionWatchdog

    safe = rig.arm.safety
    required = [replace(v, to_grasp=v.name != "/tf") for v in safe.watchdog._vitals]
    monkeypatch.setattr(rig.arm, "safety", replace(safe, watchdog=MotionWatchdog(required)))
    stamp = rig.arm.clouds.newest_stamp()
    rig.eyes.publish = False
    time.sleep(TIMEOUTS["camera_timeout"] + 0.3)
    result = rig.grasp.call(ExecuteGrasp.Goal(candidates=candidates(stamp)))
    assert code(result) == "STALE_DATA"
    assert "no motion without /camera_node/looked" in result.error_msg
    assert not rig.robot.trajectories
    assert code(rig.move.call(HOME)) == "NONE"


def test_a_plan_without_a_cloud_is_told(rig, monkeypatch):
    rig.eyes.publish = False
    monkeypatch.setattr(rig.arm.state, "_points", None)
    monkeypatch.setattr(rig.arm.clouds, "newest_stamp", lambda: None)
    warned: list[str] = []
    monkeypatch.setattr(rig.arm.get_logger(), "warning", warned.append)
    assert code(rig.move.call(HOME)) == "NONE"
    told = next(text for text in warned if "known boxes of cell bin_picking only" in text)
    assert "/camera_node/cloud: no cloud was received" in told


def test_a_camera_too_near_to_see_stops_nothing(rig):
    rig.robot.arm_mode = "silent"
    rig.eyes.near = True
    handle = rig.move.send(HOME)
    eventually(lambda: rig.robot.trajectories)
    newest = rig.arm.clouds.newest_stamp()
    eventually(lambda: rig.arm.now_ns() - newest > 2.5 * TIMEOUTS["camera_timeout"] * 1e9)
    assert rig.robot.cancelled == 0
    call(rig, "arm_node/stop")
    rig.move.result(handle)


def test_tf_that_dies_in_motion_stops_the_arm(rig):
    publisher = rig.user.create_publisher(TFMessage, "/tf", qos.TF)
    timer = rig.user.create_timer(0.1, lambda: publisher.publish(TFMessage()))
    eventually(lambda: rig.arm._tf.age_s is not None and rig.arm._tf.age_s < 0.5)
    rig.robot.arm_mode = "silent"
    handle = rig.move.send(HOME)
    eventually(lambda: rig.robot.trajectories)
    rig.user.destroy_timer(timer)
    result = rig.move.result(handle).result
    assert code(result) == "NO_TF"
    assert "robot_state_publisher" in result.error_msg
    assert rig.robot.cancelled == 1


def test_a_guard_that_dies_in_motion_stops_the_arm(rig, monkeypatch):
    rig.robot.arm_mode = "silent"
    handle = rig.move.send(HOME)
    eventually(lambda: rig.robot.trajectories)
    monkeypatch.setattr(rig.pick._heartbeat, "_publisher", SimpleNamespace(publish=lambda _: None))
    result = rig.move.result(handle).result
    assert code(result) == "STOPPED"
    assert "/pick_node/heartbeat" in result.error_msg
    assert rig.robot.cancelled == 1


def test_an_arm_node_that_dies_in_motion_is_noticed_and_the_arm_stopped(rig, monkeypatch):
    """Its goal goes on at the controller as if nothing had happened: the guard ends it."""
    rig.robot.arm_mode = "silent"
    handle = rig.move.send(HOME)
    eventually(lambda: rig.robot.trajectories)
    quiet = SimpleNamespace(publish=lambda msg: None)
    eventually(lambda: rig.pick.guard._watch.busy)
    with monkeypatch.context() as patch:
        patch.setattr(rig.arm.interlock, "on_motion", lambda: None)
        patch.setattr(rig.arm._heartbeat, "_publisher", quiet)
        eventually(lambda: rig.robot.cancelled == 1)
        assert "no sign of life of arm_node" in rig.pick.missing()
    rig.move.result(handle)
    eventually(lambda: not rig.pick.missing())


def test_a_stop_where_arm_node_does_not_answer_goes_to_the_controller(rig, monkeypatch):
    rig.robot.arm_mode = "silent"
    handle = rig.move.send(HOME)
    eventually(lambda: rig.robot.trajectories)
    nobody = SimpleNamespace(service_is_ready=lambda: False, srv_name="arm_node/stop")
    monkeypatch.setitem(rig.pick.guard._words, "stop", nobody)
    assert "does not answer" in call(rig, "pick_node/stop")
    eventually(lambda: rig.robot.cancelled == 1)
    assert code(rig.move.result(handle).result) == "CONTROLLER_ABORTED"


def test_a_node_that_ends_stops_the_arm_first(rig):
    """close() is what the process calls on SIGTERM, before anything else ends."""
    handle = under_way(rig)
    rig.arm.close()
    assert rig.robot.cancelled == 1
    result = rig.move.result(handle).result
    assert (code(result), result.error_msg) == ("CANCELLED", "the node is shutting down")


def test_require_camera_is_about_grasps(ros):
    overrides = {"require_camera": True, "looked_topic": "nobody/looked"}
    arm = ArmNode(
        "blind", context=ros.context, parameter_overrides=[Parameter(k, value=v) for k, v in overrides.items()]
    )
    silent = {v.name for v in arm.safety.watchdog._vitals if v.to_grasp}
    arm.safety.watchdog.watch().begin()
    arm.destroy_node()
    assert silent == {"/tf", "/nobody/looked"}


def test_without_a_required_guard_nothing_moves(ros):
    overrides = {"armed": True, "require_guard": True, "guard_topic": "nobody/heartbeat"}
    arm = ArmNode(
        "lonely", context=ros.context, parameter_overrides=[Parameter(k, value=v) for k, v in overrides.items()]
    )
    ros.spin(arm.data)
    publisher = arm.data.create_publisher(Bool, "nobody/heartbeat", qos.RELIABLE)
    with pytest.raises(ExecutionError, match="no motion without /nobody/heartbeat") as error:
        arm.safety.watchdog.watch().begin()
    assert error.value.code == ErrorCode.STOPPED

    def lives() -> bool:
        publisher.publish(Bool())
        try:
            arm.safety.watchdog.watch().begin()
        except ExecutionError:
            return False
        return True

    eventually(lives)
    arm.destroy_node()
