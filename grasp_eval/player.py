"""Publishes the messages of a bag to running nodes, in their own time, with /clock and latched /tf_static."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage

from grasp_eval.bag_frames import STATIC, decode
from grasp_eval.bag_reader import BagReader, Message
from grasp_eval.bag_types import message_class
from grasp_ros.conversions import ns_to_stamp

CLOCK = "/clock"
BIG_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/PointCloud2", "sensor_msgs/msg/CompressedImage")
MAX_SLEEP_S = 0.1


@dataclass
class Options:
    """How to play: `rate` times real time, `clock_hz` 0 for none, the part [start_ns, stop_ns), new topic names."""

    rate: float = 1.0
    clock_hz: float = 50.0
    start_ns: int | None = None
    stop_ns: int | None = None
    loop: bool = False
    remap: Mapping[str, str] = field(default_factory=dict)


class Player:
    """Plays the chosen topics of one bag. `stopped` is asked between messages."""

    def __init__(
        self, node: Node, bag: BagReader, topics: set[str], options: Options, stopped: Callable[[], bool]
    ) -> None:
        self._node, self._bag, self._options, self._stopped = node, bag, options, stopped
        self._topics = topics - {CLOCK} if options.clock_hz > 0 else set(topics)
        self._publishers: dict[str, Publisher] = {}
        for name in sorted(self._topics):
            self._publishers[name] = self._publisher(name)
        self._clock = node.create_publisher(Clock, CLOCK, 10) if options.clock_hz > 0 else None
        self._static: dict[str, object] = {}
        self._next_clock = self._zero = 0.0
        self.published = 0
        self.failed = 0
        self.late_s = 0.0

    def _publisher(self, name: str) -> Publisher:
        info = self._bag.topics[name]
        latched = info.latched and info.msgtype != "rcl_interfaces/msg/Log"
        best_effort = info.msgtype in BIG_TYPES and not latched
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=1 if latched else 10,
            reliability=ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        return self._node.create_publisher(message_class(info.msgtype), self._options.remap.get(name, name), qos)

    def play(self) -> None:
        """Everything, again and again with `loop`, until done or stopped."""
        while True:
            self._once()
            if not self._options.loop or self._stopped() or not self.published:
                return

    def _once(self) -> None:
        options = self._options
        start = self._bag.start_ns if options.start_ns is None else options.start_ns
        self._latch_before(start)
        self._zero, self._next_clock = time.monotonic(), 0.0
        for message in self._bag.messages(self._topics, start, options.stop_ns):
            if not self._wait_until((message.stamp_ns - start) * 1e-9 / options.rate, start):
                return
            self._publish(message)

    def _latch_before(self, start: int) -> None:
        """What is latched and was published before the part that is played must be there all the same."""
        latched = {n for n in self._topics if self._bag.topics[n].latched} | ({STATIC} & self._topics)
        if not latched:
            return
        newest: dict[str, Message] = {}
        for message in self._bag.messages(latched, None, start):
            if message.topic == STATIC:
                self._merge_static(message)
            else:
                newest[message.topic] = message
        if self._static:
            self._send(STATIC, self._static_message())
        for message in newest.values():
            self._send(message.topic, message.data)

    def _merge_static(self, message: Message) -> None:
        for item in decode(message).transforms:
            self._static[item.child_frame_id] = item

    def _static_message(self) -> bytes:
        return serialize_message(TFMessage(transforms=list(self._static.values())))

    def _publish(self, message: Message) -> None:
        if message.topic == STATIC:  # a latched topic keeps one message, so it must hold all static transforms
            self._merge_static(message)
            self._send(STATIC, self._static_message())
        else:
            self._send(message.topic, message.data)

    def _send(self, topic: str, data: bytes) -> None:
        try:
            self._publishers[topic].publish(data)
            self.published += 1
        except rclpy_implementation.RCLError as error:
            self.failed += 1
            self._node.get_logger().warning(f"{topic}: not published: {error}", throttle_duration_sec=5.0)

    def _wait_until(self, due_s: float, start: int) -> bool:
        """Sleep to a time after the start, ticking /clock meanwhile; False when stopped."""
        while True:
            if self._stopped():
                return False
            now = time.monotonic() - self._zero
            if self._clock is not None and now >= self._next_clock:
                self._tick(start, now)
            if now >= due_s:
                self.late_s = max(self.late_s, now - due_s)
                return True
            next_event = min(due_s, self._next_clock) if self._clock is not None else due_s
            time.sleep(min(MAX_SLEEP_S, max(0.0, next_event - now)))

    def _tick(self, start: int, now: float) -> None:
        period = 1.0 / self._options.clock_hz
        self._next_clock = max(self._next_clock + period, now)
        self._clock.publish(Clock(clock=ns_to_stamp(start + int(now * self._options.rate * 1e9))))
