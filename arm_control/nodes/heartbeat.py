"""Signs of life, often enough to stop an arm by: a process that was killed leaves no other trace for seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import Bool, Header

from grasp_ros import qos

_PERIOD = 0.05  # s


class Heartbeat:
    """`~/heartbeat`: 20 times a second of steady time, whether the node has something in motion."""

    def __init__(self, node: Node, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._publisher = node.create_publisher(Bool, "~/heartbeat", qos.RELIABLE)
        self._timer = node.create_timer(
            _PERIOD,
            self.beat,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def beat(self) -> None:
        """Publish now."""
        self._publisher.publish(Bool(data=self._busy()))


class HeartbeatWatch:
    """Listens to another node's heartbeat; thread-safe."""

    def __init__(self, node: Node, topic: str) -> None:
        self.topic = node.resolve_topic_name(topic)
        self._lock = threading.Lock()
        self._last = -float("inf")
        self._busy = False
        group = MutuallyExclusiveCallbackGroup()
        node.create_subscription(Bool, topic, self._on_beat, qos.RELIABLE, callback_group=group)

    def age(self) -> float:
        """Seconds of steady time since the last beat; infinite before the first."""
        with self._lock:
            return time.monotonic() - self._last

    @property
    def busy(self) -> bool:
        """What the last beat told."""
        return self._busy

    def _on_beat(self, msg: Bool) -> None:
        with self._lock:
            self._last, self._busy = time.monotonic(), msg.data


class LookWatch:
    """Listens to what camera_node says of every image that it has handled; thread-safe."""

    def __init__(self, node: Node, topic: str) -> None:
        self.topic = node.resolve_topic_name(topic)
        self._last = -float("inf")
        group = MutuallyExclusiveCallbackGroup()
        node.create_subscription(Header, topic, self._on_look, qos.SENSOR, callback_group=group)

    def age(self) -> float:
        """Seconds of steady time since the last image; infinite before the first."""
        return time.monotonic() - self._last

    def _on_look(self, _: Header) -> None:
        self._last = time.monotonic()
