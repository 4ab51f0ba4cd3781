"""The five processes of the simulated cell over DDS: from depth to the tray, and what happens when one of them dies.

The tests share one bringup, and each begins with a scene of its own.
"""

from itertools import pairwise

import pytest
from action_msgs.msg import GoalStatus
from rclpy.task import Future

from arm_control import grasping
from grasp_core.errors import ErrorCode
from grasp_ros.conversions import stamp_to_ns
from test.system.rig import STILL, PickCall, Rig

_MS = 1_000_000
STAGES = ["observe", "detect", *(stage.name for stage in grasping.STAGES), "place", "verify_place"]


def failed_then_picked(rig: Rig, call: PickCall, codes: set[ErrorCode]) -> None:
    """The first attempt failed with one of the codes; the run went on and put an object into the tray."""
    result = rig.finish(call)
    assert result.attempts[0].error_code in codes, rig.story()
    assert call.codes[-1] == "NONE", rig.story()
    assert (ErrorCode(result.error_code), result.picked) == (ErrorCode.NONE, 1), rig.story()
    rig.wait(lambda: rig.in_tray(), "an object in the tray")


def test_one_object_from_depth_to_the_tray(rig: Rig):
    rig.fresh_scene(objects=2, seed=1)
    subscription = rig.watch_depth()
    call = rig.start_pick(count=1)
    result = rig.finish(call)
    rig.node.destroy_subscription(subscription)

    assert ErrorCode(result.error_code) in (ErrorCode.NONE, ErrorCode.REGION_CLEARED), rig.story()
    assert (result.picked, call.status) == (1, GoalStatus.STATUS_SUCCEEDED), rig.story()
    rig.wait(lambda: len(rig.in_tray()) == 1, "the object in the tray")

    contacts = rig.contacts()
    assert contacts["robot_contacts_in_motion"] == "0", f"{contacts}\n{rig.story()}"

    attempt = result.attempts[-1]
    assert [timing.stage for timing in attempt.timings] == STAGES, rig.story()
    stamps = [stamp for stamp, _ in rig.depth_stamps]
    assert all(a < b for a, b in pairwise(stamps))
    assert all(stamp <= joints + 100 * _MS for stamp, joints in rig.depth_stamps), "a picture from the future"
    assert stamp_to_ns(attempt.observed) in stamps
    assert stamp_to_ns(attempt.start) < stamp_to_ns(attempt.observed)
    assert attempt.candidates >= attempt.candidates_tried > 0
    assert len(attempt.grasp.grasps) == 1


def test_cancelling_stops_the_arm(rig: Rig):
    rig.fresh_scene(objects=2, seed=1)
    call = rig.start_pick(count=1)
    rig.wait(lambda: rig.moving("execute_grasp: approach"), "the arm on its way to a grasp")
    under_way = rig.trajectories_under_way()
    rig.client.cancel_pick()
    result = rig.finish(call)

    assert ErrorCode(result.error_code) == ErrorCode.CANCELLED, rig.story()
    assert (call.status, result.picked) == (GoalStatus.STATUS_CANCELED, 0)
    rig.wait(lambda: rig.speed() < STILL, "the arm at rest")
    rig.wait(lambda: not rig.trajectories_under_way(), "the end of the trajectory")
    assert {rig.trajectories[goal] for goal in under_way} == {GoalStatus.STATUS_CANCELED}, rig.story()
    known, seen, rig.peak_speed = set(rig.trajectories), rig.joint_messages, 0.0
    rig.wait(lambda: rig.joint_messages > seen + 100, "a second more of joint states")
    assert rig.peak_speed < STILL, "the arm moves after the cancellation"
    assert set(rig.trajectories) == known, "another trajectory was sent after the cancellation"
    assert rig.contacts()["robot_contacts_in_motion"] == "0", rig.story()


def test_detector_dies_while_it_detects(rig: Rig):
    rig.fresh_scene(objects=2, seed=1)
    call = rig.start_pick(count=1)
    rig.wait(rig.detecting, "a detection")
    rig.kill("detector_node")
    rig.wait(lambda: call.attempts, "the end of the attempt")
    assert call.attempts[0].stage == "detect", rig.story()
    rig.restart("detector_node")
    failed_then_picked(rig, call, {ErrorCode.DETECTOR_FAILED})


def test_camera_dies_on_the_way_to_the_picture(rig: Rig):
    rig.fresh_scene(objects=2, seed=1)
    call = rig.start_pick(count=1)
    rig.wait(lambda: rig.moving("move_to: move"), "the arm on its way to the picture")
    rig.kill("camera_node")
    rig.wait(lambda: call.attempts, "the end of the attempt")
    rig.restart("camera_node")
    failed_then_picked(rig, call, {ErrorCode.NO_DEPTH, ErrorCode.STALE_DATA, ErrorCode.DETECTOR_FAILED})


@pytest.mark.parametrize("stage", ["move_to: move", "execute_grasp: approach"])
def test_simulator_dies_while_the_arm_moves(rig: Rig, stage: str):
    rig.fresh_scene(objects=2, seed=1)
    call = rig.start_pick(count=1)
    rig.wait(lambda: rig.moving(stage), f"the arm moving in {stage}")
    rig.kill("sim_node")
    rig.wait(lambda: call.attempts, "the end of the attempt")
    assert rig.move_to("home").error_code == ErrorCode.NO_JOINT_STATES, rig.story()
    rig.restart("sim_node")
    failed_then_picked(rig, call, {ErrorCode.CONTROLLER_UNAVAILABLE, ErrorCode.NO_JOINT_STATES})
    assert "CONTROLLER_ABORTED" not in call.codes, f"a trajectory from where the arm is not\n{rig.story()}"


def test_simulator_hangs_while_the_arm_moves(rig: Rig):
    """As a driver that no longer answers, and does later: what it had begun has ended then, and the run goes on."""
    rig.fresh_scene(objects=2, seed=1)
    call = rig.start_pick(count=1)
    rig.wait(lambda: rig.moving("execute_grasp: approach"), "the arm on its way to a grasp")
    under_way = rig.trajectories_under_way()
    with rig.frozen("sim_node"):
        rig.wait(lambda: call.attempts, "the end of the attempt")
    failed_then_picked(rig, call, {ErrorCode.CONTROLLER_UNAVAILABLE, ErrorCode.NO_JOINT_STATES})
    assert not under_way & rig.trajectories_under_way(), rig.story()


def test_arm_node_dies_while_it_carries_an_object(rig: Rig):
    """Nobody knows any more what the gripper holds: it is put back, and picked again."""
    rig.fresh_scene(objects=2, seed=1)
    call = rig.start_pick(count=1)
    rig.wait(lambda: call.stage == "place" and rig.moving("move_to: move"), "the arm on its way to the tray")
    rig.kill("arm_node")
    rig.wait(lambda: call.attempts, "the end of the attempt")
    rig.restart("arm_node")
    failed_then_picked(rig, call, {ErrorCode.CONTROLLER_UNAVAILABLE})
    assert any(attempt.timings[0].stage == "put_back" for attempt in call.result.attempts), rig.story()


def slowly_on_the_way(rig: Rig) -> tuple[Future, set[bytes], str]:
    """A motion that takes far longer than it takes to notice that somebody has died; its result, trajectory, goal."""
    rig.fresh_scene(objects=1, seed=1)
    pose = "home" if rig.near("observe") else "observe"
    answer = rig.start_move(pose, velocity_scaling=0.03)
    rig.wait(lambda: rig.trajectories_under_way() and rig.speed() > STILL, "the arm on its way")
    return answer, rig.trajectories_under_way(), pose


def test_arm_node_dies_in_motion_and_the_arm_is_stopped(rig: Rig):
    """The controller would go on to the end of the trajectory: pick_node cancels it."""
    _, under_way, pose = slowly_on_the_way(rig)
    rig.kill("arm_node")
    rig.wait(lambda: not rig.trajectories_under_way(), "the end of the trajectory")
    assert {rig.trajectories[goal] for goal in under_way} == {GoalStatus.STATUS_CANCELED}, rig.story()
    rig.wait(lambda: rig.speed() < STILL, "the arm at rest")
    assert not rig.near(pose), rig.story()


def test_pick_node_dies_in_motion_and_the_arm_is_stopped(rig: Rig):
    answer, under_way, _ = slowly_on_the_way(rig)
    rig.kill("pick_node")
    rig.wait(answer.done, "the end of /move_to")
    result = answer.result().result
    assert ErrorCode(result.error_code) == ErrorCode.STOPPED, rig.story()
    assert "nothing from /pick_node/heartbeat" in result.error_msg
    assert {rig.trajectories[goal] for goal in under_way} == {GoalStatus.STATUS_CANCELED}, rig.story()
