"""Reading bags of every format, whole and broken; playing them over DDS; evaluating them offline."""

import csv
import json
import shutil
import threading
import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from grasp_core.errors import FrameError
from grasp_eval import replay
from grasp_eval.bag_frames import BagTransforms, decode
from grasp_eval.bag_reader import BagReader
from grasp_eval.bag_writer import BagError, BagWriter
from grasp_ros.conversions import depth_to_metres
from test.grasp_eval.bags import CAMERA, COLOR, DEPTH, FRAME, INFO, START, T_BASE_CAM, depth_picture, make_bag, storage

KINDS = ("mcap", "sqlite3", "ros1")


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_reads_as_the_messages_of_today(kind, tmp_path):
    with BagReader(make_bag(tmp_path, kind)) as bag:
        assert not bag.damage
        assert {t.name: t.count for t in bag.topics.values()} == {"/tf_static": 1, INFO: 4, COLOR: 4, DEPTH: 4}
        assert bag.duration_s == pytest.approx(0.3, abs=0.001)
        found = {m.topic: m for m in bag.messages()}
        assert [m.stamp_ns for m in bag.messages({DEPTH})] == [START + i * 100_000_000 for i in range(4)]
        assert [m.stamp_ns for m in bag.messages({DEPTH}, START + 1, START + 200_000_001)] == [
            START + 100_000_000,
            START + 200_000_000,
        ]
        depth = depth_to_metres(deserialize_message(found[DEPTH].data, Image))
        assert np.allclose(depth, depth_picture() * 0.001)
        info = deserialize_message(found[INFO].data, CameraInfo)
        assert np.allclose(np.reshape(info.k, (3, 3)), CAMERA.K)
        assert info.header.frame_id == FRAME
        assert np.allclose(BagTransforms(bag).lookup("base_link", FRAME, START), T_BASE_CAM)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0.3, 0.6, 0.97])
def test_truncated_bags_are_read_as_far_as_they_go(kind, part, tmp_path):
    path = make_bag(tmp_path, kind, count=12)
    file = storage(path)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * part)])
    with BagReader(path) as bag:
        got = list(bag.messages())
        assert bag.damage
        assert bag.topics
        stamps = [m.stamp_ns for m in got]
        assert stamps == sorted(stamps)
        assert len(got) < 37
        if kind != "sqlite3":  # sqlite keeps its tree where it likes
            assert len(got) >= 37 * part - 6
        for message in got:
            decode(message)


@pytest.mark.parametrize("kind", KINDS)
def test_garbage_is_an_error_that_names_the_file(kind, tmp_path):
    path = make_bag(tmp_path, kind, count=1)
    storage(path).write_bytes(b"\x00garbage" * 100)
    with pytest.raises(BagError, match="nothing can be read"):
        BagReader(path)


@pytest.mark.parametrize("kind", ["mcap", "sqlite3"])
def test_a_bag_without_metadata_or_with_a_broken_one_is_read(kind, tmp_path):
    path = make_bag(tmp_path, kind)
    with BagReader(storage(path)) as bag:
        assert bag.message_count == 13
        assert not bag.damage
    (path / "metadata.yaml").write_text("{")
    with BagReader(path) as bag:
        assert bag.message_count == 13
        assert "metadata" in bag.damage


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_types_are_left_out_and_named(kind, tmp_path, capsys):
    with BagReader(make_bag(tmp_path, kind, strange=True)) as bag:
        assert "strange_msgs/msg/Strange" in bag.topics["/strange"].problem
        assert "/strange" not in {m.topic for m in bag.messages()}
        names = replay.chosen_topics(bag, None, [])
    assert names == {"/tf_static", INFO, COLOR, DEPTH}
    assert "/strange is left out: message type strange_msgs/msg/Strange is not installed" in capsys.readouterr().err


def test_missing_topics_are_told_with_those_that_exist(tmp_path, capsys):
    path = str(make_bag(tmp_path, "mcap"))
    assert replay.main([path, "--offline", "--out", str(tmp_path / "o"), "--depth-topic", "/nope"]) == 1
    text = capsys.readouterr().err
    assert "/nope is not in the bag" in text
    assert f"{DEPTH} [sensor_msgs/msg/Image] 4" in text
    assert replay.main([path, "--topics", "/nope"]) == 1
    assert DEPTH in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_empty_bags_are_told(tmp_path, capsys):
    with BagWriter(tmp_path / "empty"):
        pass
    for options in ([], ["--offline"]):
        assert replay.main([str(tmp_path / "empty"), *options]) == 1
        assert "Topics of the bag:\n  (none)" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["missing", "folder", "file.txt"])
def test_what_is_no_bag_is_told(name, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").write_text("x")
    assert replay.main([str(tmp_path / name)]) == 1
    assert str(tmp_path / name) in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", [["--rate", "0"], ["--camera-pose", "1,2"], ["--region", "a"], ["--every", "0"], ["--rate", "nan"]]
)
def test_bad_options_are_told(option, tmp_path, capsys):
    with pytest.raises(SystemExit):
        replay.main([str(tmp_path), *option])
    assert "expected" in capsys.readouterr().err


class Listener:
    """Everything that comes on some topics, from a context of its own."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("listener", context=self.context)
        self.got: dict[str, list] = {}
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for kind, topic, qos in (
            (Image, DEPTH, qos_profile_sensor_data),
            (Image, "/renamed", qos_profile_sensor_data),
            (Clock, "/clock", 10),
            (TFMessage, "/tf_static", latched),
        ):
            self.got[topic] = []
            self.node.create_subscription(kind, topic, self.got[topic].append, qos)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin)
        self.thread.start()

    def close(self) -> None:
        if not self.context.ok():
            return
        end = time.monotonic() + 2.0
        while not (self.got[DEPTH] or self.got["/renamed"]) and time.monotonic() < end:
            time.sleep(0.05)
        self.executor.shutdown()
        self.thread.join()
        self.node.destroy_node()
        self.context.shutdown()


@pytest.fixture
def listener(ros_domain):
    found = Listener()
    yield found
    found.close()


@pytest.mark.parametrize("kind", ["mcap", "ros1"])
def test_playing_a_part_gives_clock_and_latched_transforms(kind, listener, tmp_path, capsys):
    path = make_bag(tmp_path, kind, count=10)
    code = replay.main([str(path), "--start", "0.45", "--rate", "0.5", "--wait", "1.5"])
    deadline = time.monotonic() + 2.0
    while len(listener.got[DEPTH]) < 5 and time.monotonic() < deadline:  # the last message may still be on its way
        time.sleep(0.02)
    listener.close()
    assert code == 0, capsys.readouterr()
    images = listener.got[DEPTH]
    assert [m.header.stamp.nanosec // 10**6 for m in images] == [500, 600, 700, 800, 900]
    transforms = listener.got["/tf_static"][0].transforms
    assert [t.child_frame_id for t in transforms] == [FRAME], "though they were published before the start"
    clocks = [m.clock.sec * 10**9 + m.clock.nanosec for m in listener.got["/clock"]]
    assert clocks == sorted(clocks)
    assert START + 450_000_000 <= clocks[0] < START + 500_000_000
    assert START + 800_000_000 < clocks[-1] < START + 1_000_000_000
    assert len(clocks) > 20


def test_playing_with_other_names_rates_and_loops(listener, tmp_path, monkeypatch):
    path = make_bag(tmp_path, "sqlite3", count=3)
    rounds = iter(range(40))
    real = replay.Player

    def stopping(node, bag, topics, options, stopped):
        return real(node, bag, topics, options, lambda: next(rounds, None) is None)

    monkeypatch.setattr(replay, "Player", stopping)
    options = [
        "--loop",
        "--rate",
        "20",
        "--clock",
        "0",
        "--topics",
        ".*depth.*image_raw",
        "--remap",
        f"{DEPTH}:=/renamed",
    ]
    assert replay.main([str(path), *options, "--wait", "1.5"]) == 0
    listener.close()
    assert len(listener.got["/renamed"]) > 3
    assert not listener.got[DEPTH]
    assert not listener.got["/clock"]


def test_start_after_the_end_is_told(tmp_path, capsys):
    assert replay.main([str(make_bag(tmp_path, "mcap")), "--start", "100"]) == 1
    assert "after its end (0.3 s)" in capsys.readouterr().err


def rows(folder) -> list[dict[str, str]]:
    with (folder / "frames.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["mcap", "ros1"])
def test_offline_finds_grasps_in_every_frame(kind, tmp_path):
    path, out = make_bag(tmp_path, kind, count=2), tmp_path / "out"
    assert replay.main([str(path), "--offline", "--out", str(out)]) == 0
    table = rows(out)
    assert [int(r["stamp_ns"]) for r in table] == [START, START + 100_000_000]
    assert all(int(r["grasps"]) > 0 and float(r["detect_ms"]) > 0 and not r["error"] for r in table)
    with BagReader(out / "bag") as bag:
        assert {t.name: t.count for t in bag.topics.values()} == {
            "/camera_node/cloud": 2,
            "/detector_node/grasps": 2,
            "/tf_static": 2,
        }
        grasps = decode(next(iter(bag.messages({"/detector_node/grasps"}))))
        assert grasps.header.frame_id == "base_link"
        assert len(grasps.grasps) == int(table[0]["grasps"])
        best = grasps.grasps[0].pose.position
        assert np.hypot(best.x - 0.5, best.y) < 0.06, "the best grasp is on the box"
    page = (out / "report.html").read_text()
    assert page.count("data:image/jpeg") == 2
    assert json.loads((out / "summary.json").read_text())["problems"] == []


def test_offline_without_a_pose_uses_the_table_or_what_is_given(tmp_path):
    path = make_bag(tmp_path, "mcap", count=1, with_tf=False)
    assert replay.main([str(path), "--offline", "--out", str(tmp_path / "a")]) == 0
    assert "table" in json.loads((tmp_path / "a/summary.json").read_text())["about"]["camera pose"]
    angles = Rotation.from_matrix(T_BASE_CAM[:3, :3]).as_euler("xyz")
    pose = ",".join(str(x) for x in (*T_BASE_CAM[:3, 3], *angles))
    options = ["--camera-pose", pose, "--region", "0.3,-0.2,0.005,0.7,0.2,0.3"]
    assert replay.main([str(path), "--offline", "--out", str(tmp_path / "b"), *options]) == 0
    assert int(rows(tmp_path / "a")[0]["grasps"]) > 0
    assert int(rows(tmp_path / "b")[0]["grasps"]) > 0


def test_offline_on_a_truncated_bag_keeps_what_is_there_and_says_so(tmp_path, capsys):
    path, out = make_bag(tmp_path, "mcap", count=4), tmp_path / "out"
    file = storage(path)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 6 // 10])
    assert replay.main([str(path), "--offline", "--out", str(out)]) == replay.DAMAGED
    assert "ends early" in capsys.readouterr().err
    assert 1 <= len(rows(out)) < 4
    assert "the bag is damaged" in (out / "report.html").read_text()


def test_offline_on_a_full_disk_keeps_the_rows(tmp_path, monkeypatch, capsys):
    from grasp_eval import results

    def full(path, content):
        raise results.SaveError(f"{path}: No space left on device")

    monkeypatch.setattr("grasp_eval.report.write_atomic", full)
    path, out = make_bag(tmp_path, "mcap", count=1), tmp_path / "out"
    assert replay.main([str(path), "--offline", "--out", str(out)]) == 1
    assert "report.html: No space left on device" in capsys.readouterr().err
    assert len(rows(out)) == 1


def test_a_frame_without_pose_at_its_time_is_told_not_guessed(tmp_path, monkeypatch):
    def late(self, target, source, stamp):
        raise FrameError("newer than the newest known one")

    monkeypatch.setattr(BagTransforms, "lookup", late)
    path, out = make_bag(tmp_path, "mcap", count=1), tmp_path / "out"
    assert replay.main([str(path), "--offline", "--out", str(out)]) == 1
    assert rows(out)[0]["error"].startswith("NO_TF: newer")


@pytest.mark.parametrize("name", ["bin_two_views", "ycb_table"])
def test_real_bags_offline(name, real_data, tmp_path):
    bag = real_data / "bags" / name
    if not bag.is_dir():
        pytest.skip(f"no bag {bag}")
    out = tmp_path / "out"
    assert replay.main([str(bag), "--offline", "--out", str(out), "--every", "5"]) == 0
    assert all(int(r["grasps"]) >= 10 for r in rows(out))
    shutil.rmtree(out)
