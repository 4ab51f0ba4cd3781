"""camera_node on a RealSense made of software, and on a recording of it, over DDS."""

import time
from contextlib import contextmanager

import numpy as np
import pyrealsense2 as rs
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage

from grasp_core.cell import Cell
from grasp_core.errors import ConfigError
from grasp_perception.nodes.camera_node import CameraNode
from grasp_perception.realsense import camera as camera_module
from grasp_ros import qos
from grasp_ros.conversions import camera_from_info, image_to_array, msg_to_cloud, stamp_to_ns, transforms_to_tf
from test.grasp_perception.fake_camera import DOWN
from test.grasp_perception.realsense.soft_camera import SoftCamera, SoftDevices
from test.grasp_ros.kit import rclpy_with, spinning, wait_until

MOUNTED = Cell.load("bin_picking").cameras[0]
REALSENSE = ("-p", "source:=realsense")


class Listener(Node):
    """What camera_node publishes; knows where the camera is."""

    def __init__(self) -> None:
        super().__init__("listener", use_global_arguments=False)
        self.clouds, self.status, self.images = [], [], {}
        self.create_subscription(PointCloud2, "/camera_node/cloud", self.clouds.append, qos.SENSOR)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_status, qos.RELIABLE)
        self._tf = self.create_publisher(TFMessage, "/tf_static", qos.LATCHED)
        self._tf.publish(transforms_to_tf([("base_link", MOUNTED.frame, DOWN)], 0))

    def _on_status(self, msg: DiagnosticArray) -> None:
        self.status += [s for s in msg.status if s.name == "camera_node: cloud"]

    def listen(self, kind: str, message_type: type) -> None:
        self.images[kind] = []
        self.create_subscription(message_type, MOUNTED.topic(kind), self.images[kind].append, qos.RELIABLE)

    def said(self, words: str) -> DiagnosticStatus:
        return wait_until(lambda: next((s for s in self.status if words in s.message), None), what=repr(words))

    def more_clouds(self) -> None:
        seen = len(self.clouds)
        wait_until(lambda: len(self.clouds) > seen + 2, what="clouds")


@contextmanager
def running(*args: str):
    with rclpy_with(args):
        node, listener = CameraNode(), Listener()
        with spinning(node, listener):
            yield listener


def told(listener: Listener, name: str) -> str | None:
    """A value of the newest status."""
    newest = listener.status[-1].values if listener.status else ()
    return next((v.value for v in newest if v.key == name), None)


@pytest.fixture
def camera(monkeypatch) -> SoftCamera:
    """A table 0.6 m below, with a box 0.1 m high; camera_node finds it in place of a real one."""
    made = SoftCamera(depth_f=590.0)
    made.depth[200:280, 280:360] = 500
    monkeypatch.setattr(camera_module, "Devices", lambda: SoftDevices(made))
    return made


def test_a_realsense_becomes_clouds_and_the_topics_of_realsense_ros(ros_domain, camera):
    with camera.running(), running(*REALSENSE) as listener:
        wait_until(lambda: listener.clouds, what="a cloud")
        cloud = msg_to_cloud(listener.clouds[0])
        top = cloud.points[:, 2] > 0.05
        np.testing.assert_allclose(cloud.points[top, 2], 0.1, atol=0.002)
        np.testing.assert_allclose(cloud.points[~top, 2], 0.0, atol=0.002)
        assert (cloud.colors == (10, 20, 30)).all()
        assert abs(time.time_ns() - cloud.stamp) < 10e9
        for kind, message_type in {"depth": Image, "color": Image, "depth_info": CameraInfo}.items():
            listener.listen(kind, message_type)
        wait_until(lambda: all(listener.images.values()), what="images")
        depth, color, info = (listener.images[kind][-1] for kind in ("depth", "color", "depth_info"))
        assert {depth.header.frame_id, color.header.frame_id, info.header.frame_id} == {MOUNTED.frame}
        assert set(np.unique(image_to_array(depth)[100:-100, 100:-100])) == {500, 600}
        assert (image_to_array(color) == (10, 20, 30)).all()
        assert camera_from_info(info, 0.1, 3.0).K[0, 0] == 600.0
        assert stamp_to_ns(depth.header.stamp) > cloud.stamp
        assert wait_until(lambda: told(listener, "stamps"), what="facts") == "global_time"
        assert (told(listener, "serial"), told(listener, "depth_mode")) == ("1234", "640x480x30")


def test_published_depth_is_in_the_profile_s_unit(ros_domain, monkeypatch):
    fine = SoftCamera(scale=0.0001)
    fine.depth[:] = 6000
    monkeypatch.setattr(camera_module, "Devices", lambda: SoftDevices(fine))
    with fine.running(), running(*REALSENSE) as listener:
        listener.listen("depth", Image)
        wait_until(lambda: listener.images["depth"], what="depth")
        assert (image_to_array(listener.images["depth"][-1])[100:-100, 100:-100] == 600).all()
        wait_until(lambda: listener.clouds, what="a cloud")
        assert np.median(msg_to_cloud(listener.clouds[0]).points[:, 2]) == pytest.approx(0.0, abs=0.002)


def test_lost_frames_are_named_in_time_and_come_back(ros_domain, camera):
    with camera.running(), running(*REALSENSE) as listener:
        listener.more_clouds()
        camera.alive, lost = False, time.monotonic()
        status = listener.said("no frames from Intel RealSense D435 (serial 1234)")
        assert status.level == DiagnosticStatus.ERROR
        assert time.monotonic() - lost < 4.0  # 2 s when the machine has time
        listener.more_clouds()
        assert camera.resets == 1


def test_another_model_than_the_profile_s(ros_domain, monkeypatch):
    other = SoftCamera(name="Intel RealSense D415", usb="2.1")
    monkeypatch.setattr(camera_module, "Devices", lambda: SoftDevices(other))
    with other.running(), running(*REALSENSE) as listener:
        status = listener.said("the cell's camera profile is 'd435', the device is Intel RealSense D415")
        assert status.level != DiagnosticStatus.OK
        assert "USB 2.1" in status.message


def test_without_a_camera_the_node_waits_and_says_so(ros_domain):
    with running(*REALSENSE) as listener:
        status = listener.said("no RealSense found")
        assert status.level == DiagnosticStatus.ERROR


def test_every_frame_of_a_recording_becomes_a_cloud(ros_domain, tmp_path):
    path, frames = tmp_path / "table.db3", 8
    recorded = SoftCamera(depth_f=590.0)
    recorder = rs.recorder(str(path), recorded.device)
    sensors, syncer = recorder.query_sensors(), rs.syncer(8)
    for sensor in sensors:
        sensor.open(sensor.get_stream_profiles())
        sensor.start(syncer)
    for i in range(frames):
        recorded.send(1e6 + 33.3 * i)
    for sensor in sensors:
        sensor.stop()
        sensor.close()
    recorder.pause()
    args = (
        "source:=realsense_bag",
        f"bag:={path}",
        "bag_real_time:=false",
        "bag_loop:=false",
        "max_rate:=0.1",
        "max_age:=60.0",
    )
    with running(*(word for arg in args for word in ("-p", arg))) as listener:
        listener.said("table.db3 has ended")
        wait_until(lambda: listener.status[-1].level == DiagnosticStatus.WARN, what="no error any more")
        done = ("clouds", "dropped: no tf")
        wait_until(lambda: sum(int(told(listener, name) or 0) for name in done) == frames, what="all frames")
        assert told(listener, "recording") == str(path)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("source:=camera",), "source"),
        (("source:=realsense", "use_sim_time:=true"), "use_sim_time is true, but source:=realsense"),
        (("source:=realsense", "realsense.depth:=big"), "parameter 'realsense.depth' is 'big'"),
        (("source:=realsense", "realsense.preset:=none.json"), "none.json: no such file"),
        (("source:=realsense_bag",), "parameter 'bag' is empty"),
        (("source:=realsense_bag", "bag:=none.bag"), "no recording none.bag"),
    ],
)
def test_bad_parameters(ros_domain, args, words):
    with rclpy_with([w for a in args for w in ("-p", a)]), pytest.raises(ConfigError, match=words):
        CameraNode()
