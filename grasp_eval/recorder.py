"""Records topics into a bag: raw subscriptions that match what each publisher offers, discovered as they appear."""

from __future__ import annotations

import re
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)

from grasp_eval.bag_types import UnknownTypeError, message_class
from grasp_eval.bag_writer import BagError, BagWriter

CLOCK = "/clock"
FLUSH_PERIOD_S = 5.0
MAX_HELD = 2000
STAMPED = tuple(f"sensor_msgs/msg/{n}" for n in ("Image", "CompressedImage", "CameraInfo", "PointCloud2"))
CLOCK_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
Listener = Callable[[bytes, int], None]

DEFAULT_TOPICS = (
    "/camera/camera/color/(image_raw|camera_info)",
    "/camera/camera/aligned_depth_to_color/(image_raw|camera_info)",
    "/tf",
    "/tf_static",
    "/robot_description",
    "/joint_states",
    "/clock",
    "/diagnostics",
    "/rosout",
    "/camera_node/cloud",
    "/detector_node/.*",
    "/pick_node/.*",
    "/arm_node/.*",
    "/sim_node/.*",
)


@dataclass
class Selection:
    """Which topics to record: regular expressions over whole names; `everything` takes all that are not hidden."""

    topics: Sequence[str] = DEFAULT_TOPICS
    everything: bool = False
    exclude: Sequence[str] = ()

    def __contains__(self, name: str) -> bool:
        if any(re.fullmatch(pattern, name) for pattern in self.exclude):
            return False
        if self.everything and "/_" not in name:
            return True
        return any(re.fullmatch(pattern, name) for pattern in self.topics)


def _duration(value: object) -> dict[str, int]:
    total = value.nanoseconds
    return {"sec": total // 1_000_000_000, "nsec": total % 1_000_000_000}


def qos_dict(profile: QoSProfile) -> dict[str, object]:
    """A profile as rosbag2 stores it."""
    return {
        "history": int(profile.history),
        "depth": int(profile.depth),
        "reliability": int(profile.reliability),
        "durability": int(profile.durability),
        "deadline": _duration(profile.deadline),
        "lifespan": _duration(profile.lifespan),
        "liveliness": int(profile.liveliness),
        "liveliness_lease_duration": _duration(profile.liveliness_lease_duration),
        "avoid_ros_namespace_conventions": bool(profile.avoid_ros_namespace_conventions),
    }


def matching_qos(offered: Sequence[QoSProfile]) -> QoSProfile:
    """The most demanding subscription that every publisher of a topic still matches."""
    reliable = bool(offered) and all(p.reliability == ReliabilityPolicy.RELIABLE for p in offered)
    latched = bool(offered) and all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in offered)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=100 if reliable else 10,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        liveliness=LivelinessPolicy.AUTOMATIC,
    )


def header_stamp(data: bytes) -> int:
    """Stamp (ns) at the start of a serialized message that begins with a Header, Clock or Time; raw CDR."""
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(order + "iI", data, 4)
    return seconds * 1_000_000_000 + nanoseconds


@dataclass
class _Channel:
    name: str
    msgtype: str
    period_s: float = 0.0
    slot: int = -1
    received: int = 0
    recent: deque = field(default_factory=lambda: deque(maxlen=1))
    subscription: object = None
    publishers: int = 0
    latched: bool = False

    def due(self, data: bytes) -> bool:
        """Whether a message of a thinned topic is to be written: the first in each period of its stamps.

        So topics of one camera are thinned to the same frames. Types without a stamp go by the steady clock.
        """
        stamp = header_stamp(data) if self.msgtype in STAMPED else 0
        slot = int((stamp or time.monotonic_ns()) * 1e-9 / self.period_s)
        due, self.slot = slot != self.slot, slot
        return due


class Recorder:
    """Feeds a BagWriter from the live graph. Call `poll` regularly (a timer does), `stop` at the end.

    Log times are ROS time (/clock) when `sim_time`, else system time. Messages that come before the first /clock are
    held back and written with it. `max_rate` thins topics (Hz of their stamps); `keep_latest` writes the newest message
    of a thinned topic at once. `listeners` get every raw message, thinned or not; without a writer that is all.
    """

    def __init__(
        self,
        node: Node,
        writer: BagWriter | None,
        selection: Selection | None = None,
        *,
        max_rate: Mapping[str, float] | None = None,
        sim_time: bool = False,
        on_error: Callable[[str], None] | None = None,
    ) -> None:
        self.node = node
        self.writer = writer
        self.error = ""
        self.selection = selection or Selection()
        self.listeners: dict[str, Listener] = {}
        self._rates = dict(max_rate or {})
        self._sim_time = sim_time
        self._now = 0
        self._held: list[tuple[_Channel, bytes]] = []
        self._lock = threading.RLock()
        self._channels: dict[str, _Channel] = {}
        self._skipped: set[str] = set()
        self._on_error = on_error or node.get_logger().error
        self._flushed = time.monotonic()
        self._clock_subscription = None
        if sim_time:
            message = message_class("rosgraph_msgs/msg/Clock")
            self._clock_subscription = node.create_subscription(message, CLOCK, self._on_clock, CLOCK_QOS, raw=True)
        self.poll()
        self._timer = node.create_timer(0.5, self.poll, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def topics(self) -> dict[str, int]:
        """Messages received per topic."""
        return {name: channel.received for name, channel in self._channels.items()}

    def poll(self) -> None:
        """Subscribe to wanted topics that have appeared; flush now and then."""
        for name, types in self.node.get_topic_names_and_types():
            if name in self.selection and name not in self._skipped:
                self._consider(name, types)
        if time.monotonic() - self._flushed > FLUSH_PERIOD_S:
            self._flushed = time.monotonic()
            self._guarded(self._flush)

    def _flush(self) -> None:
        if self.writer is not None:
            self.writer.flush()

    def _consider(self, name: str, types: Sequence[str]) -> None:
        offers = self.node.get_publishers_info_by_topic(name)
        channel = self._channels.get(name)
        if not offers or (channel and channel.publishers == len(offers)):
            return
        if len(types) > 1:
            self._skipped.add(name)
            self.node.get_logger().warning(f"{name} has several types ({', '.join(types)}): not recorded")
            return
        try:
            self._subscribe(name, types[0], offers)
        except UnknownTypeError as error:
            self._skipped.add(name)
            self.node.get_logger().warning(f"{name} is not recorded: {error}")
        except (BagError, OSError) as error:
            self._fail(error)

    def _subscribe(self, name: str, msgtype: str, offers: Sequence[object]) -> None:
        profiles = [offer.qos_profile for offer in offers]
        qos = matching_qos(profiles)
        channel = self._channels.get(name)
        if channel is None:
            rate = self._rates.get(name, 0.0)
            channel = _Channel(name, msgtype, 1.0 / rate if rate > 0 else 0.0)
            digest = str(offers[0].topic_type_hash) if hasattr(offers[0], "topic_type_hash") else ""
            digest = digest if digest.startswith("RIHS01_") else ""
            if self.writer is not None:
                self.writer.add_topic(name, msgtype, qos=[qos_dict(p) for p in profiles], hash_text=digest)
            self._channels[name] = channel
        channel.publishers = len(offers)
        old, old_qos = channel.subscription, getattr(channel.subscription, "qos_profile", None)
        if old is not None and (old_qos.reliability, old_qos.durability) == (qos.reliability, qos.durability):
            return
        channel.latched = qos.durability == DurabilityPolicy.TRANSIENT_LOCAL

        def take(data: bytes) -> None:
            self._take(channel, data)

        channel.subscription = self.node.create_subscription(message_class(msgtype), name, take, qos, raw=True)
        if old is not None:
            self.node.destroy_subscription(old)

    def _on_clock(self, data: bytes) -> None:
        with self._lock:
            self._now = header_stamp(data)
            held, self._held = self._held, []
            for channel, message in held:
                self._write(channel, message)

    def _take(self, channel: _Channel, data: bytes) -> None:
        channel.received += 1
        listener = self.listeners.get(channel.name)
        if listener is not None:
            listener(data, self.now())
        with self._lock:
            if channel.period_s:
                if not channel.due(data):
                    channel.recent.append(data)
                    return
                channel.recent.clear()
            if self._sim_time and not self._now:
                self._hold(channel, data)
                return
            self._write(channel, data)

    def _hold(self, channel: _Channel, data: bytes) -> None:
        self._held.append((channel, data))
        if len(self._held) > MAX_HELD:
            oldest = next((i for i, (c, _) in enumerate(self._held) if not c.latched), 0)
            del self._held[oldest]
            text = f"no message on {CLOCK} so far; of what came before it only the newest {MAX_HELD} are kept"
            self.node.get_logger().warning(text, once=True)

    def now(self) -> int:
        """Log time of a message that arrives now (ns)."""
        return self._now if self._sim_time else time.time_ns()

    def keep_latest(self, topic: str) -> bool:
        """Write the newest message of a thinned topic now; False when there is none that was not written."""
        with self._lock:
            channel = self._channels.get(topic)
            if channel is None or not channel.recent:
                return False
            data = channel.recent.pop()
            self._write(channel, data)
            return True

    def _write(self, channel: _Channel, data: bytes) -> None:
        if self.writer is not None:
            self._guarded(lambda: self.writer.write(channel.name, data, self.now()))

    def _guarded(self, action: Callable[[], None]) -> None:
        if self.error:
            return
        try:
            action()
        except (BagError, OSError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not self.error:
            self.error = str(error)
            self._on_error(f"recording stopped: {error}")

    def stop(self) -> None:
        """End the subscriptions and complete the bag. Raises BagError when the bag cannot be completed."""
        with self._lock:
            self.node.destroy_timer(self._timer)
            for channel in self._channels.values():
                self.node.destroy_subscription(channel.subscription)
            if self._clock_subscription is not None:
                self.node.destroy_subscription(self._clock_subscription)
            held, self._held = self._held, []
            if held:  # /clock never came, but there is only system time left to log by
                self._sim_time = False
            for channel, data in held:
                self._write(channel, data)
            if self.writer is not None:
                self.writer.close()
