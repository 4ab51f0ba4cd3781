"""camera_node over DDS: good frames, and every bad input with its reason on /diagnostics."""

import time
from array import array
from contextlib import contextmanager

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import PointCloud2

from grasp_core import se3
from grasp_core.errors import ConfigError
from grasp_perception.nodes.camera_node import CameraNode
from grasp_ros import qos
from grasp_ros.conversions import array_to_image, msg_to_cloud, stamp_to_ns, transforms_to_tf
from test.grasp_perception.fake_camera import DOWN, FakeCamera, S
from test.grasp_ros.kit import rclpy_with, spinning, wait_until


class Rig:
    """camera_node, a fake camera and what came out."""

    def __init__(self) -> None:
        self.node, self.camera = CameraNode(), FakeCamera()
        self.clouds, self.status = [], []
        self.camera.create_subscription(PointCloud2, "/camera_node/cloud", self.clouds.append, qos.SENSOR)
        self.camera.create_subscription(DiagnosticArray, "/diagnostics", self._on_status, qos.RELIABLE)

    def _on_status(self, msg: DiagnosticArray) -> None:
        self.status += [s for s in msg.status if s.name == "camera_node: cloud"]

    def cloud(self, number=1):
        wait_until(lambda: len(self.clouds) >= number, what=f"{number} clouds")
        return msg_to_cloud(self.clouds[number - 1])

    def said(self, words: str) -> DiagnosticStatus:
        """The first status whose message holds the words."""
        return wait_until(lambda: next((s for s in self.status if words in s.message), None), what=repr(words))


@contextmanager
def running(*args):
    with rclpy_with(args):
        rig = Rig()
        with spinning(rig.node, rig.camera):
            wait_until(rig.camera.connected, what="discovery")
            wait_until(lambda: rig.node._publisher.get_subscription_count())
            yield rig


@pytest.fixture
def rig(ros_domain):
    with running("-p", "max_age:=2.0") as made:
        yield made


def test_a_frame_becomes_a_cloud_in_the_base_frame(rig):
    stamp = rig.camera.look()
    cloud = rig.cloud()
    assert (cloud.frame, cloud.stamp) == ("base_link", stamp)
    top = cloud.points[:, 2] > 0.05
    np.testing.assert_allclose(cloud.points[top, 2], 0.1, atol=0.002)
    np.testing.assert_allclose(cloud.points[~top, 2], 0.0, atol=0.002)
    assert (cloud.colors == 90).all()
    assert rig.camera.cell.workspace_box().contains(cloud.points).all()


def test_moving_camera_uses_the_pose_at_the_stamp(rig):
    stamp = rig.camera.now()
    ahead, behind = DOWN.copy(), DOWN.copy()
    ahead[2, 3], behind[2, 3] = 0.7, 0.5
    rig.camera.send_tf(stamp - S // 10, behind)
    rig.camera.send_tf(stamp + S // 10, ahead)
    rig.camera.send(rig.camera.pair(stamp))
    assert np.median(rig.cloud().points[:, 2]) == pytest.approx(0.0, abs=0.002)


def test_a_frame_waits_for_its_transform(rig):
    stamp = rig.camera.now()
    rig.camera.send_tf(stamp - S // 10)
    rig.camera.send(rig.camera.pair(stamp))
    time.sleep(0.04)
    rig.camera.send_tf(stamp + S // 100)
    assert rig.cloud().stamp == stamp


def nan_depth(pair):
    pair.depth = array_to_image(np.full((480, 640), np.nan, np.float32), "32FC1", pair.depth.header.frame_id, 0)


def spoil(pair, **changes):
    """Set attributes given as part__name=value."""
    for key, value in changes.items():
        part, name = key.split("__")
        setattr(getattr(pair, part), name, value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"depth__encoding": "8UC1"}, "depth encoding '8UC1' is not supported"),
        ({"depth__encoding": ""}, "depth encoding ''"),
        ({"color__encoding": "yuv422"}, "colour encoding 'yuv422'"),
        ({"depth__data": array("B", bytes(1000))}, "data has 1000 bytes"),
        ({"depth__data": array("B", bytes(640 * 480 * 2))}, "100 % are 0"),
        ({"depth__data": array("B", b"\xff" * (640 * 480 * 2))}, "saturated"),
        ({"depth__is_bigendian": 1}, "big-endian"),
        ({"info__k": [0.0] * 9}, "not calibrated"),
        ({"info__k": [float("nan")] * 9}, "not calibrated"),
        ({"info__width": 320, "info__height": 240}, "does not fit an image of 320x240"),
        ({"depth__height": 240, "depth__data": array("B", bytes(640 * 240 * 2))}, "depth image is (640, 240)"),
    ],
    ids=lambda v: str(list(v) if isinstance(v, dict) else v)[:40].replace("/", " "),
)
def test_bad_images_are_refused_with_their_reason(rig, change, words):
    stamp = rig.camera.now()
    rig.camera.send_tf(stamp - S)
    rig.camera.send_tf(stamp + S)
    pair = rig.camera.pair(stamp)
    spoil(pair, **change)
    rig.camera.send(pair)
    status = rig.said(words)
    assert status.level == DiagnosticStatus.ERROR
    assert {v.key: v.value for v in status.values}["dropped: bad image"] == "1"
    assert not rig.clouds
    rig.camera.look()  # and the node is well
    rig.cloud()


def test_nan_depth(rig):
    pair = rig.camera.pair(rig.camera.now())
    nan_depth(pair)
    pair.depth.header.stamp = pair.color.header.stamp
    rig.camera.send_tf(stamp_to_ns(pair.color.header.stamp) - S)
    rig.camera.send_tf(stamp_to_ns(pair.color.header.stamp) + S)
    rig.camera.send(pair)
    rig.said("100 % are NaN")


@pytest.mark.parametrize(("offset", "words"), [(-5.0, "5.00 s old"), (3.0, "s in the future")])
def test_stale_and_future_stamps(rig, offset, words):
    rig.camera.look(rig.camera.now() + int(offset * S))
    rig.said(words.split(".")[0] if offset < 0 else words)
    assert not rig.clouds


def test_missing_transform_and_unsynchronised_colour(rig):
    rig.camera.send(rig.camera.pair(rig.camera.now()))
    rig.said("no tf")
    for _ in range(12):
        pair = rig.camera.pair(rig.camera.now())
        pair.color.header.stamp.sec -= 1
        rig.camera.send(pair)
        time.sleep(0.02)
    assert rig.said("unsynchronised").level in (DiagnosticStatus.WARN, DiagnosticStatus.ERROR)
    assert not rig.clouds


def test_looping_transforms(rig):
    stamp = rig.camera.now()
    loop = [("base_link", rig.camera.camera.frame, DOWN), (rig.camera.camera.frame, "base_link", se3.inverse(DOWN))]
    rig.camera._tf.publish(transforms_to_tf(loop, stamp))
    rig.camera.send(rig.camera.pair(stamp))
    rig.said("loop")


def test_silence_is_reported_and_an_empty_view_warns(rig):
    assert rig.said("nothing on /camera/camera/aligned_depth_to_color/image_raw").level == DiagnosticStatus.ERROR
    away = DOWN.copy()
    away[0, 3] = 9.0
    rig.camera.look(T=away)
    assert len(rig.cloud()) == 0
    rig.said("no point of")


def test_overload_never_queues(rig):
    """After a burst of frames the next cloud is a new one, however many of the burst were lost on the way."""
    start = rig.camera.now()
    rig.camera.send_tf(start - S)
    rig.camera.send_tf(start + 5 * S)
    newest = 0
    for _ in range(30):
        newest = rig.camera.now()
        rig.camera.send(rig.camera.pair(newest))

    def caught_up() -> bool:
        now = rig.camera.now()  # best effort: the last frame of the burst may never arrive, so frames go on
        rig.camera.send_tf(now + 5 * S)
        rig.camera.send(rig.camera.pair(now))
        time.sleep(0.1)
        return bool(rig.clouds) and stamp_to_ns(rig.clouds[-1].header.stamp) >= newest

    wait_until(caught_up, what="a cloud as new as the end of the burst")
    stamps = [stamp_to_ns(cloud.header.stamp) for cloud in rig.clouds]
    assert stamps == sorted(stamps)


def test_max_rate_skips(ros_domain):
    with running("-p", "max_rate:=2.0", "-p", "max_age:=5.0") as rig:
        stamp = rig.camera.now()
        rig.camera.send_tf(stamp - S)
        rig.camera.send_tf(stamp + 5 * S)
        for i in range(10):
            rig.camera.send(rig.camera.pair(stamp + i * S // 50))
            time.sleep(0.05)
        rig.cloud()
        assert rig.node._skipped > 0
        assert len(rig.clouds) == 1


def test_sim_time_frozen_and_jumping_back(ros_domain):
    with running("-p", "use_sim_time:=true") as rig:
        rig.camera.look(100 * S)
        rig.said("nothing publishes /clock")
        wait_until(lambda: rig.camera.clock_publisher.get_subscription_count())
        rig.camera.send_clock(100 * S)
        wait_until(lambda: rig.node.get_clock().now().nanoseconds == 100 * S)
        rig.camera.look(100 * S)
        assert rig.cloud().stamp == 100 * S
        rig.camera.send_clock(5 * S)
        rig.said("ROS time jumped by -95.0 s")
        rig.camera.look(5 * S)
        wait_until(lambda: rig.clouds and stamp_to_ns(rig.clouds[-1].header.stamp) == 5 * S)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("camera:=nose", "no camera with namespace 'nose'; it has: camera, overhead"),
        ("cell:=nowhere", "nowhere"),
        ("voxel:=0.0", "voxel"),
        ("voxxel:=0.01", "no parameter 'voxxel'"),
    ],
)
def test_bad_parameters(ros_domain, override, words):
    with rclpy_with(["-p", override]), pytest.raises(ConfigError, match=words):
        CameraNode()
