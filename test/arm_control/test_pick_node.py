"""pick_node with the real arm_node, a fake robot and a fake detector over DDS."""

from types import SimpleNamespace

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from seegrasp_msgs.action import Pick

from arm_control.cancel import wait_future
from arm_control.nodes.arm_node import ArmNode
from arm_control.nodes.pick_node import PickNode
from grasp_core.errors import ErrorCode
from test.arm_control.conftest import eventually
from test.arm_control.fakes import CELL, GRIPPER, Client, FakeEyes, FakePlanner, FakeRobot, grasps_on_box


@pytest.fixture(scope="module")
def rig(ros) -> SimpleNamespace:
    robot, eyes = FakeRobot(ros.context), FakeEyes(ros.context)
    arm = ArmNode(context=ros.context, parameter_overrides=[Parameter("armed", value=True)])
    overrides = [Parameter("recovery_timeout", value=6.0), Parameter("detect_timeout", value=4.0)]
    pick = PickNode(context=ros.context, parameter_overrides=overrides)
    user = Node("user", context=ros.context)
    for node, threads in ((robot, 4), (eyes, 3), (arm, 4), (arm.data, 1), (pick, 4), (pick.data, 1), (user, 1)):
        ros.spin(node, threads=threads)
    rig = SimpleNamespace(ros=ros, robot=robot, eyes=eyes, arm=arm, pick=pick, client=Client(user, Pick, "pick"))
    eventually(lambda: arm.trajectory.available() and arm.gripper.available() and not pick.missing())
    return rig


@pytest.fixture(autouse=True)
def fresh(rig) -> None:
    rig.robot.reset()
    rig.eyes.reset()
    rig.client.feedback.clear()
    rig.planner = rig.arm._planner = FakePlanner()
    rig.arm.state.released()
    rig.arm.held.publish(None, 0)
    rig.robot.on_release = lambda: setattr(rig.eyes, "objects", rig.eyes.objects - 1)
    eventually(lambda: rig.arm.gate.active is None and rig.pick.gate.active is None)
    eventually(lambda: not rig.pick.missing() and rig.pick.arm_client.held() is None)
    eventually(lambda: np.allclose(rig.arm.joints.arm().q, rig.robot.q))


def code(result) -> str:
    return ErrorCode(result.error_code).name


def codes(result) -> list[str]:
    return [ErrorCode(a.error_code).name for a in result.attempts]


def in_tray(pose: np.ndarray) -> bool:
    tray = CELL.tray
    return bool((np.abs(pose[:2, 3] - tray.center) < np.array(tray.size) / 2).all())


# what it does


def test_clears_the_region_and_tells_of_every_attempt(rig):
    rig.eyes.objects = 2
    result = rig.client.call(Pick.Goal(), 40.0)
    assert (code(result), result.picked, codes(result)) == ("REGION_CLEARED", 2, ["NONE", "NONE"]), result.error_msg
    first = result.attempts[0]
    assert [t.stage for t in first.timings] == [
        *("observe", "detect", "plan", "approach", "close", "verify", "lift", "verify_lift", "place", "verify_place")
    ]
    assert (first.success, first.candidates, first.candidates_tried) == (True, 2, 1)
    assert len(first.grasp.grasps) == 1
    assert first.grasp.header.frame_id == "base_link"
    assert first.observed == first.grasp.header.stamp
    assert first.duration_s > 0.0
    told = [a.index for f in rig.client.feedback for a in f.finished]
    assert told == [0, 1]
    assert rig.client.feedback[-1].picked == 2
    placed = [p for p in rig.planner.poses if in_tray(p)]
    assert len(placed) == 6  # above, down, up, twice
    assert np.linalg.norm(placed[0][:2, 3] - placed[3][:2, 3]) > 0.05
    floor = CELL.tray.floor_thickness
    assert floor + 0.015 < placed[1][2, 3] < floor + 0.08
    assert np.allclose(rig.robot.q, CELL.poses["observe"], atol=1e-3)


def test_stops_after_count_and_passes_the_goal_on(rig):
    rig.eyes.objects = 3
    result = rig.client.call(Pick.Goal(count=1, min_score=0.25), 20.0)
    assert (code(result), result.picked) == ("NONE", 1)
    request = rig.eyes.requests[0]
    assert request.min_score == pytest.approx(0.25)
    assert request.region.header.frame_id == "base_link"
    assert request.region.min.z == pytest.approx(CELL.pick_region().min[2])


def test_points_without_a_grasp_are_not_a_cleared_region(rig):
    rig.eyes.detect_mode = ErrorCode.NO_GRASP
    result = rig.client.call(Pick.Goal(), 20.0)
    assert (code(result), result.picked, codes(result)) == ("NO_GRASP", 0, [])
    assert "3 looks" in result.error_msg
    assert "points remain" in result.error_msg
    assert len(rig.eyes.requests) == 3


# failures of single attempts


def test_failed_grasp_is_not_repeated(rig):
    rig.eyes.objects = 1
    rig.robot.object_width = None
    far = grasps_on_box(1)
    far.t[:, 0] += 0.05
    near = grasps_on_box(1)
    answers = [near, type(near).concatenate([near, far])]
    rig.eyes.grasps = lambda: answers[min(len(rig.eyes.requests) - 1, 1)]

    def second_time() -> None:
        rig.robot.object_width = 0.04

    handle = rig.client.send(Pick.Goal(count=1))
    eventually(lambda: len(rig.eyes.requests) == 2)
    second_time()
    result = rig.client.result(handle).result
    assert codes(result) == ["GRIPPER_EMPTY", "NONE"]
    assert [a.stage for a in result.attempts] == ["verify", "verify_place"]
    assert result.attempts[1].candidates == 1
    assert result.attempts[1].grasp.grasps[0].pose.position.x == pytest.approx(0.55, abs=1e-4)


def test_failures_in_a_row_end_the_run(rig):
    rig.planner.refuse = [None, *[ErrorCode.UNREACHABLE] * 2] * 3
    result = rig.client.call(Pick.Goal(max_consecutive_failures=3), 20.0)
    assert (code(result), codes(result)) == ("TOO_MANY_FAILURES", ["UNREACHABLE"] * 3)
    assert result.attempts[0].candidates_tried == 2
    assert result.attempts[0].stage == "plan"
    assert not result.attempts[0].grasp.grasps
    rig.planner.refuse = [None, *[ErrorCode.UNREACHABLE] * 2]
    result = rig.client.call(Pick.Goal(max_attempts=1), 20.0)
    assert (code(result), len(result.attempts)) == ("TOO_MANY_FAILURES", 1)


def test_other_drop_spots_when_one_is_out_of_reach(rig):
    rig.planner.refuse = [None, None, ErrorCode.UNREACHABLE, ErrorCode.NO_PATH]
    result = rig.client.call(Pick.Goal(count=1), 20.0)
    assert (code(result), codes(result)) == ("NONE", ["NONE"])


def test_object_that_cannot_be_carried_is_put_back(rig):
    rig.planner.refuse = [None, None, *[ErrorCode.NO_PATH] * 12]
    result = rig.client.call(Pick.Goal(max_attempts=1), 20.0)
    assert codes(result) == ["NO_PATH"]
    assert result.attempts[0].stage == "place"
    assert "drop spots" in result.attempts[0].error_msg
    assert rig.robot.width == pytest.approx(GRIPPER.max_width, abs=1e-3)
    assert not in_tray(rig.planner.poses[-1])


def test_object_that_nobody_knows_of_is_put_back_first(rig):
    """As after a restart of arm_node: the gripper is neither open nor shut."""
    rig.robot.width = 0.04
    eventually(lambda: rig.pick.arm_client.width() < 0.05)
    result = rig.client.call(Pick.Goal(count=1), 20.0)
    assert codes(result) == ["NONE"]
    assert result.attempts[0].timings[0].stage == "put_back"


def test_object_lost_on_the_way(rig):
    handle = rig.client.send(Pick.Goal(max_attempts=1))
    rig.client.wait_stage("place")
    rig.robot.object_width = None
    rig.robot.width = 0.0
    result = rig.client.result(handle).result
    assert codes(result) == ["OBJECT_LOST"]
    assert result.attempts[0].stage == "place"


# nodes and data that go away and come back


def test_detector_that_dies_and_returns(rig):
    rig.eyes.detect_mode = "hang"
    handle = rig.client.send(Pick.Goal(count=1))
    eventually(lambda: rig.eyes.requests)
    rig.eyes.detector.destroy()
    rig.eyes.detect_mode = "grasps"
    eventually(lambda: any(f.stage == "recover" for f in list(rig.client.feedback)))
    rig.eyes.serve()
    result = rig.client.result(handle, 30.0).result
    assert (code(result), codes(result)) == ("NONE", ["DETECTOR_FAILED", "NONE"])
    assert result.attempts[0].stage == "detect"


def test_detector_that_hangs(rig):
    rig.eyes.detect_mode = "hang"
    handle = rig.client.send(Pick.Goal(count=1))
    eventually(lambda: any(f.finished for f in list(rig.client.feedback)))
    rig.eyes.detect_mode = "grasps"
    result = rig.client.result(handle, 30.0).result
    assert codes(result) == ["DETECTOR_FAILED", "NONE"]
    assert "did not finish" in result.attempts[0].error_msg


def test_camera_that_stops_and_returns(rig):
    handle = rig.client.send(Pick.Goal(count=1))
    rig.client.wait_stage("observe")
    rig.eyes.publish = False
    eventually(lambda: any(f.stage == "recover" for f in list(rig.client.feedback)))
    rig.eyes.publish = True
    result = rig.client.result(handle, 30.0).result
    assert codes(result) == ["NO_DEPTH", "NONE"]


def test_robot_that_dies_while_moving_and_returns(rig):
    handle = rig.client.send(Pick.Goal(count=1))
    rig.client.wait_stage("execute")
    rig.robot.arm_mode = "silent"
    eventually(lambda: len(rig.robot.trajectories) >= 2)
    rig.robot.publish = False
    eventually(lambda: any(f.stage == "recover" for f in list(rig.client.feedback)))
    rig.robot.publish, rig.robot.arm_mode = True, "follow"
    result = rig.client.result(handle, 30.0).result
    assert codes(result) == ["NO_JOINT_STATES", "NONE"]


def test_nothing_returns(rig):
    rig.robot.publish = False
    eventually(lambda: rig.pick.missing())
    result = rig.client.call(Pick.Goal(), 20.0)
    assert code(result) == "CONTROLLER_UNAVAILABLE"
    assert "/joint_states" in result.error_msg


# goals


@pytest.mark.parametrize("stage", ["observe", "detect", "execute", "place"])
def test_cancelling_stops_the_arm(rig, stage):
    if stage in ("observe", "execute"):
        rig.robot.arm_mode = "silent" if stage == "observe" else "follow"
    if stage == "detect":
        rig.eyes.detect_mode = "hang"
    handle = rig.client.send(Pick.Goal())
    rig.client.wait_stage(stage)
    if stage in ("execute", "place"):
        before = len(rig.robot.trajectories)
        rig.robot.arm_mode = "silent"
        eventually(lambda: len(rig.robot.trajectories) > before)
    if stage == "observe":
        eventually(lambda: rig.robot.trajectories)
    if stage == "detect":
        eventually(lambda: rig.eyes.requests)
    assert wait_future(handle.cancel_goal_async(), 5.0)
    ended = rig.client.result(handle)
    assert (ended.status, code(ended.result)) == (GoalStatus.STATUS_CANCELED, "CANCELLED")
    eventually(lambda: rig.arm.gate.active is None)
    if stage != "detect":
        assert rig.robot.cancelled == 1
    if stage == "place":
        assert rig.robot.width == pytest.approx(0.04, abs=1e-3)
        rig.robot.arm_mode = "follow"  # the next run first gets rid of what is still held
        rig.eyes.objects = 2
        result = rig.client.call(Pick.Goal(count=1), 30.0)
        assert (code(result), result.picked) == ("NONE", 1)
        assert result.attempts[0].timings[0].stage == "put_back"


def test_second_goal_is_rejected(rig):
    rig.eyes.detect_mode = "hang"
    handle = rig.client.send(Pick.Goal())
    assert not rig.client.send(Pick.Goal()).accepted
    assert wait_future(handle.cancel_goal_async(), 5.0)
    assert rig.client.result(handle).status == GoalStatus.STATUS_CANCELED


def test_bad_goals(rig):
    goal = Pick.Goal()
    goal.region.header.frame_id = "camera"
    assert code(rig.client.call(goal)) == "INVALID_GOAL"
    goal.region.header.frame_id = "base_link"
    goal.region.max.x = float("nan")
    assert code(rig.client.call(goal)) == "INVALID_GOAL"
    assert code(rig.client.call(Pick.Goal(min_score=float("nan")))) == "INVALID_GOAL"
    assert not rig.robot.trajectories
