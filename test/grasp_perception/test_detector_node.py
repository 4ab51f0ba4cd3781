"""detector_node over DDS: goals, continuous detection, lifecycle, and every way in which it can go wrong."""

import os
import subprocess
import sys
import time
from array import array
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import Point
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.action import ActionClient
from rclpy.node import Node
from seegrasp_msgs.action import DetectGrasps
from seegrasp_msgs.msg import GraspArray, Region
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from grasp_core.cloud import Cloud
from grasp_core.errors import ConfigError, ErrorCode
from grasp_perception.nodes.detector_node import DetectorNode
from grasp_ros import qos
from grasp_ros.conversions import cloud_to_msg, msg_to_grasps, ns_to_stamp, timings_from_msgs, transforms_to_tf
from test.grasp_perception.fake_camera import DOWN, S
from test.grasp_ros.kit import rclpy_with, spinning, wait_until

PLUGIN = "detector:=test.grasp_perception.trivial_detector:factory"


def table(n=2000, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).uniform([0.4, -0.1, 0.0], [0.6, 0.1, 0.05], (n, 3)).astype(np.float32)


class Rig(Node):
    """A client with clouds and transforms to send."""

    def __init__(self) -> None:
        super().__init__("rig", use_global_arguments=False)
        self.cloud_publisher = self.create_publisher(PointCloud2, "/camera_node/cloud", qos.SENSOR)
        self.tf_publisher = self.create_publisher(TFMessage, "/tf_static", qos.LATCHED)
        self.grasps, self.markers, self.stages = [], [], []
        self.create_subscription(GraspArray, "/detector_node/grasps", self.grasps.append, qos.RELIABLE)
        self.create_subscription(MarkerArray, "/detector_node/grasp_markers", self.markers.append, qos.RELIABLE)
        self.client = ActionClient(self, DetectGrasps, "/detect_grasps")

    def now(self) -> int:
        return self.get_clock().now().nanoseconds

    def send(self, points=None, frame="base_link", stamp=None) -> int:
        stamp = self.now() if stamp is None else stamp
        self.cloud_publisher.publish(cloud_to_msg(Cloud(table() if points is None else points, None, frame, stamp)))
        return stamp

    def send_tf(self, *extra) -> None:
        self.tf_publisher.publish(transforms_to_tf([("base_link", "camera_color_optical_frame", DOWN), *extra], 0))

    def goal(self, **fields):
        """Send a goal; the goal handle."""
        sent = self.client.send_goal_async(
            DetectGrasps.Goal(**fields), feedback_callback=lambda m: self.stages.append(m.feedback.stage)
        )
        return wait_until(sent.done, what="goal response") and sent.result()

    def detect(self, **fields):
        """Send a goal and wait: (status, result)."""
        future = self.goal(**fields).get_result_async()
        wait_until(future.done, 30.0, what="result")
        return future.result().status, future.result().result


@contextmanager
def running(*args, listening=True):
    full = [word for value in (PLUGIN, "cloud_timeout:=1.0", *args) for word in ("-p", value)]
    with rclpy_with(full):
        node = DetectorNode()
        rig = Rig()
        with spinning(node, node.data_node, rig, threads=4):
            assert rig.client.wait_for_server(timeout_sec=10.0)
            if listening:
                wait_until(rig.cloud_publisher.get_subscription_count, what="discovery")
            rig.node = node
            rig.send_tf()
            yield rig


@pytest.fixture
def start(ros_domain):
    """Call with parameters: the rig of a running node."""
    contexts = []

    def make(*args, **kwargs):
        contexts.append(running(*args, **kwargs))
        return contexts[-1].__enter__()

    yield make
    for context in contexts:
        context.__exit__(None, None, None)


def region(low=(0.4, -0.1, 0.0), high=(0.5, 0.0, 0.1), frame="base_link") -> Region:
    made = Region(min=Point(x=low[0], y=low[1], z=low[2]), max=Point(x=high[0], y=high[1], z=high[2]))
    made.header.frame_id = frame
    return made


def test_a_goal_is_answered_and_published(start):
    rig = start("detector_params.count:=5")
    stamp = rig.send()
    status, result = rig.detect(region=region(), max_grasps=3, min_score=0.2)
    assert (status, result.error_code, result.error_msg) == (GoalStatus.STATUS_SUCCEEDED, ErrorCode.NONE, "")
    grasps = msg_to_grasps(result.grasps)
    np.testing.assert_allclose(grasps.score, [0.9, 0.7, 0.5], atol=1e-6)
    assert (result.grasps.header.frame_id, result.grasps.gripper) == ("base_link", "robotiq_2f85")
    assert result.grasps.header.stamp == ns_to_stamp(stamp)
    assert {"wait_cloud", "cloud", "detect", "total"} <= timings_from_msgs(result.timings).keys()
    published = wait_until(lambda: rig.grasps)[0]
    assert published.grasps == result.grasps.grasps
    marker = wait_until(lambda: rig.markers)[0].markers[0]
    assert (marker.type, len(marker.points), len(marker.colors)) == (Marker.LINE_LIST, 24, 24)
    wait_until(lambda: rig.stages[-1:] == ["detect"])


def test_the_detector_gets_viewpoint_and_cloud_in_the_base_frame(start):
    rig = start()
    shift = np.eye(4)
    shift[0, 3] = 0.5
    rig.send_tf(("base_link", "table_corner", shift))
    time.sleep(0.2)
    rig.send(table() - np.float32([0.5, 0, 0]), frame="table_corner")
    _, result = rig.detect()
    assert result.error_code == ErrorCode.NONE
    observation, box = rig.node._pipeline.detector.inner.calls[-1]
    assert box is None
    np.testing.assert_allclose(observation.T_base_cam, DOWN, atol=1e-9)
    np.testing.assert_allclose(observation.cloud.points, table(), atol=1e-5)


def test_not_before_waits_for_a_newer_cloud(start):
    rig = start("cloud_timeout:=10.0")
    first = rig.send()
    goal = rig.goal(not_before=ns_to_stamp(first + 1))
    future = goal.get_result_async()
    time.sleep(0.3)
    assert not future.done()
    second = rig.send()
    wait_until(future.done)
    assert future.result().result.grasps.header.stamp == ns_to_stamp(second)


@pytest.mark.parametrize(
    ("send", "goal", "code", "words"),
    [
        (None, {}, ErrorCode.NO_DEPTH, "no cloud arrived within 1 s"),
        ({"offset": -30.0}, {}, ErrorCode.STALE_DATA, "s old"),
        ({"offset": 30.0}, {}, ErrorCode.STALE_DATA, "in the future"),
        ({}, {"later": True}, ErrorCode.STALE_DATA, "not_before"),
        ({"points": np.zeros((0, 3))}, {}, ErrorCode.EMPTY_CLOUD, "no point in the workspace"),
        ({"points": table() + 5}, {}, ErrorCode.EMPTY_CLOUD, "no point in the workspace"),
        ({"frame": "mars"}, {}, ErrorCode.NO_TF, "mars"),
        ({}, {"region": region((2.0, 2.0, 2.0), (3.0, 3.0, 3.0))}, ErrorCode.EMPTY_CLOUD, "in the region"),
        ({}, {"region": region(frame="mars")}, ErrorCode.INVALID_GOAL, "give it in 'base_link'"),
        ({}, {"region": region(high=(float("nan"), 0.0, 0.0))}, ErrorCode.INVALID_GOAL, "finite"),
        ({}, {"min_score": float("nan")}, ErrorCode.INVALID_GOAL, "min_score"),
        ({}, {"min_score": 1.5}, ErrorCode.INVALID_GOAL, "min_score"),
        ({}, {"min_score": 0.95}, ErrorCode.NO_GRASP, "the best of 5 has 0.90"),
    ],
)
def test_what_cannot_be_done_says_why(start, send, goal, code, words):
    rig = start("max_age:=5.0")
    if send is not None:
        rig.send(send.get("points"), send.get("frame", "base_link"), rig.now() + int(send.get("offset", 0) * S))
        wait_until(lambda: rig.node._inbox.stamp() is not None)
    if goal.get("later"):
        goal = {"not_before": ns_to_stamp(rig.now() + S)}
    status, result = rig.detect(**goal)
    assert (status, ErrorCode(result.error_code)) == (GoalStatus.STATUS_ABORTED, code)
    assert words in result.error_msg
    assert not rig.grasps
    newest = rig.send()
    wait_until(lambda: rig.node._inbox.stamp() == newest)  # the goal may overtake the cloud
    assert rig.detect()[1].error_code == ErrorCode.NONE  # the node is well


@pytest.mark.parametrize(
    ("mode", "code", "words"),
    [
        ("raise", ErrorCode.DETECTOR_FAILED, "ValueError: a tensor of the wrong shape"),
        ("not_a_number", ErrorCode.DETECTOR_FAILED, "NaN"),
        ("empty", ErrorCode.NO_GRASP, "no grasp"),
    ],
)
def test_a_bad_detector_does_not_end_the_node(start, mode, code, words):
    rig = start(f"detector_params.mode:={mode}")
    for _ in range(2):
        rig.send()
        _, result = rig.detect()
        assert ErrorCode(result.error_code) == code
        assert words in result.error_msg


def test_a_detector_that_hangs_is_given_up(start):
    rig = start("detector_params.seconds:=3.0", "detect_timeout:=0.5")
    rig.send()
    _, result = rig.detect()
    assert ErrorCode(result.error_code) == ErrorCode.DETECTOR_FAILED
    assert "did not return within 0.5 s" in result.error_msg


def test_a_detector_in_a_process_of_its_own_may_crash(start, tmp_path):
    plugin = "detector:=test.grasp_perception.hostile_detectors:factory"
    crash = ("detector_params.mode:=abort", f"detector_params.once:={tmp_path / 'once'}")
    rig = start(plugin, f"detector_python:={sys.executable}", *crash)
    rig.send()
    _, result = rig.detect()
    assert ErrorCode(result.error_code) == ErrorCode.DETECTOR_FAILED
    assert "SIGABRT" in result.error_msg
    rig.send()
    assert rig.detect()[1].error_code == ErrorCode.NONE


def test_cancelling_while_waiting_and_while_detecting(start):
    rig = start("detector_params.seconds:=2.0", "cloud_timeout:=20.0")
    for prepare, stage in ((lambda: None, "wait_cloud"), (rig.send, "detect")):
        rig.stages.clear()
        prepare()
        handle = rig.goal()
        future = handle.get_result_async()
        wait_until(lambda stage=stage: stage in rig.stages)
        handle.cancel_goal_async()
        wait_until(future.done, 5.0, what="cancelled result")
        assert future.result().status == GoalStatus.STATUS_CANCELED
        assert future.result().result.error_code == ErrorCode.CANCELLED


def test_a_second_goal_is_told_busy(start):
    rig = start("detector_params.seconds:=1.0")
    rig.send()
    first = rig.goal().get_result_async()
    _, second = rig.detect()
    assert second.error_code == ErrorCode.BUSY
    wait_until(first.done)
    assert first.result().result.error_code == ErrorCode.NONE


def test_clouds_that_are_no_clouds(start):
    rig = start()
    good = cloud_to_msg(Cloud(table(), None, "base_link", rig.now()))
    for change, words in (({"fields": []}, "no float field 'x'"), ({"data": array("B", bytes(7))}, "data has 7 bytes")):
        bad = cloud_to_msg(Cloud(table(), None, "base_link", rig.now()))
        for name, value in change.items():
            setattr(bad, name, value)
        rig.cloud_publisher.publish(bad)
        wait_until(lambda bad=bad: rig.node._inbox.stamp() == rig_stamp(bad))
        _, result = rig.detect()
        assert ErrorCode(result.error_code) == ErrorCode.BAD_INPUT
        assert words in result.error_msg
    rig.cloud_publisher.publish(good)


def rig_stamp(msg) -> int:
    return msg.header.stamp.sec * S + msg.header.stamp.nanosec


def test_two_million_points_with_nan_are_reduced(start):
    rig = start("max_age:=10.0")
    points = table(2_000_000)
    points[::7] = np.nan
    good = Cloud(np.nan_to_num(points), None, "base_link", rig.now())
    msg = cloud_to_msg(good)
    msg.data = array("B", points.tobytes())
    rig.cloud_publisher.publish(msg)
    wait_until(lambda: rig.node._inbox.stamp() == good.stamp, 20.0, what="the big cloud")
    _, result = rig.detect()
    assert result.error_code == ErrorCode.NONE
    seen = rig.node._pipeline.detector.inner.calls[-1][0].cloud
    assert len(seen) < 60_000
    assert np.isfinite(seen.points).all()


def test_missing_viewpoint_is_no_tf(start):
    rig = start("camera_frame:=nowhere")
    rig.send()
    _, result = rig.detect()
    assert ErrorCode(result.error_code) == ErrorCode.NO_TF
    assert "nowhere" in result.error_msg


def test_continuous_detection(start):
    rig = start("continuous:=20.0", "min_score:=0.5")
    for _ in range(3):
        rig.send()
        time.sleep(0.2)
    wait_until(lambda: len(rig.grasps) >= 3)
    assert all(g.score >= 0.5 for g in rig.grasps[0].grasps)
    rig.send(np.zeros((0, 3)))
    wait_until(lambda: rig.grasps and not rig.grasps[-1].grasps, what="an empty array")
    assert rig.markers[-1].markers[0].action == Marker.DELETE


def test_lifecycle(start):
    rig = start("autostart:=false", listening=False)
    rig.send()
    _, result = rig.detect()
    assert result.error_code == ErrorCode.DETECTOR_FAILED
    assert "not active" in result.error_msg
    change = rig.create_client(ChangeState, "/detector_node/change_state")
    state = rig.create_client(GetState, "/detector_node/get_state")
    assert change.wait_for_service(timeout_sec=10.0)

    def transition(number) -> int:
        done = change.call_async(ChangeState.Request(transition=Transition(id=number)))
        wait_until(done.done)
        assert done.result().success
        now = state.call_async(GetState.Request())
        wait_until(now.done)
        return now.result().current_state.id

    assert transition(Transition.TRANSITION_CONFIGURE) == State.PRIMARY_STATE_INACTIVE
    assert transition(Transition.TRANSITION_ACTIVATE) == State.PRIMARY_STATE_ACTIVE
    wait_until(rig.cloud_publisher.get_subscription_count)
    rig.send()
    assert rig.detect()[1].error_code == ErrorCode.NONE
    assert transition(Transition.TRANSITION_DEACTIVATE) == State.PRIMARY_STATE_INACTIVE
    assert rig.detect()[1].error_code == ErrorCode.DETECTOR_FAILED
    assert transition(Transition.TRANSITION_CLEANUP) == State.PRIMARY_STATE_UNCONFIGURED


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("detector:=nothing", "unknown detector 'nothing'"),
        ("detector:=no.such.module:factory", "cannot be loaded"),
        ("detector_params.bogus:=1", "cannot be made with parameters"),
        ("gripper:=claw", "claw"),
        ("camera:=nose", "no camera with namespace 'nose'"),
        ("continuouss:=1.0", "no parameter 'continuouss'"),
    ],
)
def test_bad_parameters(ros_domain, override, words):
    with rclpy_with(["-p", PLUGIN, "-p", override]), pytest.raises(ConfigError, match=words):
        DetectorNode()


@pytest.mark.parametrize("seconds", [0.5, 60.0], ids=["busy", "hung"])
def test_a_signal_ends_the_process_in_the_middle_of_a_detection(ros_domain, seconds):
    root = Path(__file__).resolve().parents[2]
    arguments = ["-p", PLUGIN, "-p", f"detector_params.seconds:={seconds}", "-p", "detect_timeout:=100.0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "grasp_perception.nodes.detector_node", "--ros-args", *arguments],
        cwd=root, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": f"{root}:{os.environ.get('PYTHONPATH', '')}"},
    )  # fmt: skip
    with rclpy_with():
        rig = Rig()
        with spinning(rig):
            assert rig.client.wait_for_server(timeout_sec=30.0)
            wait_until(rig.cloud_publisher.get_subscription_count)
            rig.send_tf()
            rig.send()
            rig.goal()
            wait_until(lambda: "detect" in rig.stages)
            process.terminate()
            _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert "terminate called" not in err
