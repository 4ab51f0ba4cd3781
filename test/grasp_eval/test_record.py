"""Recording over DDS, and what a full disk does to a bag."""

import errno
import os
import threading
import time

import pytest
import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosgraph_msgs.msg import Clock
from seegrasp_msgs.msg import Grasp, GraspArray
from sensor_msgs.msg import Image
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from grasp_eval import bag_types, recorder
from grasp_eval.bag_reader import BagReader
from grasp_eval.bag_types import UnknownTypeError
from grasp_eval.bag_writer import BagError, BagWriter
from grasp_eval.record import main, parse_rates
from grasp_eval.recorder import Recorder, Selection
from test.grasp_eval.limits import largest_file

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture
def graph(ros_domain):
    """(node that publishes, node that records, spin(seconds, action)) in one executor."""
    rclpy.init()
    nodes = rclpy.create_node("talker"), rclpy.create_node("listener")
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)

    def spin(done, action=lambda: None, limit_s: float = 15.0) -> None:
        end = time.monotonic() + limit_s
        while not done() and time.monotonic() < end:
            action()
            executor.spin_once(timeout_sec=0.02)

    yield *nodes, spin
    executor.shutdown()
    rclpy.shutdown()


def static_tf(child: str) -> TFMessage:
    transform = TransformStamped(child_frame_id=child)
    transform.header.frame_id = "base_link"
    transform.transform.rotation.w = 1.0
    return TFMessage(transforms=[transform])


def test_round_trip_with_every_quality_of_service(graph, tmp_path):
    talker, listener, spin = graph
    talker.create_publisher(TFMessage, "/tf_static", LATCHED).publish(static_tf("camera"))
    image = talker.create_publisher(Image, "/image", qos_profile_sensor_data)
    writer = BagWriter(tmp_path / "bag")
    rec = Recorder(listener, writer, Selection(everything=True, exclude=("/rosout",)), max_rate={"/image": 2.0})
    late: list = []
    sent = GraspArray(detector="täst", grasps=[Grasp(score=0.5), Grasp(width=0.25)])

    def publish() -> None:
        image.publish(Image(width=2, height=1, encoding="mono8", step=2, data=[1, 2]))
        if rec.topics.get("/image", 0) > 5 and not late:
            late.append(talker.create_publisher(GraspArray, "/late/grasps", 10))
        for publisher in late:
            publisher.publish(sent)

    spin(lambda: rec.topics.get("/late/grasps", 0) > 3 and rec.topics.get("/tf_static"), publish)
    rec.stop()
    with Reader(tmp_path / "bag") as reader:
        by_topic = {c.topic: c for c in reader.connections}
        assert by_topic["/image"].ext.offered_qos_profiles[0].reliability == QosReliability.BEST_EFFORT
        assert by_topic["/tf_static"].ext.offered_qos_profiles[0].durability == QosDurability.TRANSIENT_LOCAL
        grasps = by_topic["/late/grasps"]
        assert "MSG: seegrasp_msgs/Grasp\n" in grasps.msgdef.data
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(grasps.msgdef.data, grasps.msgtype))
        assert store.hash_rihs01(grasps.msgtype) == grasps.digest
    with BagReader(tmp_path / "bag") as bag:
        assert not bag.damage
        assert bag.topics["/tf_static"].count == 1
        assert bag.topics["/image"].count < rec.topics["/image"]
        got = next(iter(bag.messages({"/late/grasps"})))
        assert deserialize_message(got.data, GraspArray) == sent


def test_messages_before_the_first_clock_are_kept_at_its_time(graph, tmp_path):
    talker, listener, spin = graph
    talker.create_publisher(TFMessage, "/tf_static", LATCHED).publish(static_tf("camera"))
    writer = BagWriter(tmp_path / "bag")
    rec = Recorder(listener, writer, Selection(("/tf_static",)), sim_time=True)
    spin(lambda: rec.topics.get("/tf_static"))
    clock = talker.create_publisher(Clock, "/clock", 10)
    message = Clock()
    message.clock.sec = 7
    spin(lambda: rec.now() == 7_000_000_000, lambda: clock.publish(message))
    rec.stop()
    with BagReader(tmp_path / "bag") as bag:
        assert [m.stamp_ns for m in bag.messages()] == [7_000_000_000]


def test_the_newest_of_a_thinned_topic_can_be_kept(graph, tmp_path):
    talker, listener, spin = graph
    publisher = talker.create_publisher(String, "/text", 10)
    rec = Recorder(listener, BagWriter(tmp_path / "bag"), Selection(("/text",)), max_rate={"/text": 0.001})
    numbers = iter(range(10_000))
    spin(lambda: rec.topics.get("/text", 0) >= 5, lambda: publisher.publish(String(data=str(next(numbers)))))
    assert rec.keep_latest("/text")
    assert not rec.keep_latest("/text")
    rec.stop()
    with BagReader(tmp_path / "bag") as bag:
        assert bag.topics["/text"].count == 2


def test_topics_of_one_camera_are_thinned_to_the_same_frames(graph, tmp_path):
    talker, listener, spin = graph
    publishers = [talker.create_publisher(Image, f"/{n}", qos_profile_sensor_data) for n in ("color", "depth")]
    writer = BagWriter(tmp_path / "bag")
    rec = Recorder(listener, writer, Selection(("/color", "/depth")), max_rate={"/color": 1.0, "/depth": 1.0})
    frame = iter(range(100_000))

    def publish() -> None:
        image = Image()
        number = next(frame)
        image.header.stamp.sec, image.header.stamp.nanosec = 5 + number // 8, number % 8 * 125_000_000
        for publisher in publishers:
            publisher.publish(image)

    spin(lambda: min(writer.counts.values(), default=0) >= 3 and len(writer.counts) == 2, publish)
    rec.stop()
    with BagReader(tmp_path / "bag") as bag:
        stamps = {n: [recorder.header_stamp(m.data) for m in bag.messages({n})] for n in ("/color", "/depth")}
    whole = {n: [s for s in found if s % 10**9 == 0] for n, found in stamps.items()}
    assert len(set(whole["/color"]) & set(whole["/depth"])) >= 1
    assert all(len(found) - len(whole[n]) <= 2 for n, found in stamps.items())


def test_unknown_types_are_skipped_with_a_warning_that_names_them(graph, tmp_path, monkeypatch, capfd):
    talker, listener, spin = graph

    def unknown(name: str) -> type:
        if name == "std_msgs/msg/String":
            raise UnknownTypeError(f"message type {name} is not installed")
        return bag_types.message_class(name)

    monkeypatch.setattr(recorder, "message_class", unknown)
    strange = talker.create_publisher(String, "/strange", 10)
    good = talker.create_publisher(Clock, "/good", 10)
    rec = Recorder(listener, BagWriter(tmp_path / "bag"), Selection(("/strange", "/good")))
    spin(lambda: rec.topics.get("/good"), lambda: (good.publish(Clock()), strange.publish(String())))
    rec.stop()
    with BagReader(tmp_path / "bag") as bag:
        assert bag.topics["/good"].count > 0
    assert "/strange is not recorded: message type std_msgs/msg/String" in capfd.readouterr().err


def test_the_command_records_and_stops(ros_domain, tmp_path, capsys):
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("talker", context=context)
    publisher = node.create_publisher(String, "/text", 10)
    stop = threading.Event()

    def talk() -> None:
        while not stop.wait(0.05):
            publisher.publish(String(data="hello"))

    thread = threading.Thread(target=talk)
    thread.start()
    code = main(["-o", str(tmp_path / "bag"), "--topics", "/te.*", "--duration", "2", "--time", "system"])
    stop.set()
    thread.join()
    node.destroy_node()
    context.shutdown()
    assert code == 0, capsys.readouterr()
    with BagReader(tmp_path / "bag") as bag:
        assert list(bag.topics) == ["/text"]
        assert bag.message_count > 5


def test_an_existing_folder_is_not_overwritten(ros_domain, tmp_path, capsys):
    assert main(["-o", str(tmp_path), "--duration", "1", "--time", "system"]) == 1
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["/a", "/a=fast", "=1", "/a=0", "/a=-1"])
def test_bad_rates_are_named(text):
    with pytest.raises(ValueError, match="--max-rate"):
        parse_rates([text])


def fill(writer: BagWriter, count: int) -> int:
    """Write incompressible texts until the disk is full; how many were taken."""
    for index in range(count):
        writer.write("/text", serialize_message(String(data=os.urandom(20_000).hex())), index + 1)
    return count


def test_full_disk_completes_the_bag_on_reserved_space(tmp_path, monkeypatch):
    limit, written, real = 300_000, [0], os.write

    def write(fd: int, data: memoryview) -> int:
        if written[0] + len(data) > limit and (tmp_path / "bag" / "bag_0.reserve").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        written[0] += len(data)
        return real(fd, data)

    writer = BagWriter(tmp_path / "bag", chunk_bytes=50_000, reserve_bytes=1 << 20)
    writer.add_topic("/text", "std_msgs/msg/String")
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(BagError, match=r"disk is full .*MB free"):
        fill(writer, 1000)
    writer.close()
    assert writer.full
    with BagReader(tmp_path / "bag") as bag:
        assert not bag.damage
        stamps = [m.stamp_ns for m in bag.messages()]
    assert stamps == list(range(1, writer.counts["/text"] + 1)), "nothing that was taken is lost"
    assert sorted(p.name for p in (tmp_path / "bag").iterdir()) == ["bag_0.mcap", "metadata.yaml"]


def test_without_any_space_left_complete_chunks_stay_readable(tmp_path):
    writer = BagWriter(tmp_path / "bag", chunk_bytes=50_000, reserve_bytes=0)
    writer.add_topic("/text", "std_msgs/msg/String")
    with largest_file(300_000):
        with pytest.raises(BagError, match="File too large"):
            fill(writer, 1000)
        writer.close()
    with BagReader(tmp_path / "bag") as bag:
        assert "ends early" in bag.damage
        stamps = [m.stamp_ns for m in bag.messages()]
    assert len(stamps) > 5
    assert stamps == list(range(1, len(stamps) + 1))


def test_no_room_for_a_bag_at_all_is_told_at_once(tmp_path):
    with pytest.raises(BagError, match="no room for a bag"), largest_file(100_000):
        BagWriter(tmp_path / "bag")
