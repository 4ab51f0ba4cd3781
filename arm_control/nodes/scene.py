"""The last seconds of clouds by stamp, kept as messages: converted only when one is needed."""

from __future__ import annotations

import threading
from collections import OrderedDict

from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from arm_control.cancel import CancelToken, wait_until
from grasp_core.cloud import Cloud
from grasp_core.errors import ErrorCode, SeegraspError, StaleError
from grasp_ros import qos
from grasp_ros.conversions import msg_to_cloud, stamp_to_ns

_S = 1_000_000_000


class CloudBuffer:
    """Subscribes to a cloud topic on `node`; every cloud of the last `seconds` (by stamp), `limit` at the most."""

    def __init__(self, node: Node, topic: str, seconds: float, limit: int = 150) -> None:
        self.topic = node.resolve_topic_name(topic)
        self._seconds = seconds
        self._limit = limit
        self._lock = threading.Lock()
        self._messages: OrderedDict[int, PointCloud2] = OrderedDict()
        node.create_subscription(PointCloud2, topic, self._on_cloud, qos.SENSOR)

    def newest_stamp(self) -> int | None:
        """Stamp of the newest cloud in ns; None when there is none."""
        with self._lock:
            return next(reversed(self._messages), None)

    def at(self, stamp: int, tolerance: float = 0.1) -> Cloud:
        """The cloud stamped `stamp` ns, or the nearest within `tolerance` s; StaleError when there is none."""
        with self._lock:
            nearest = min(self._messages, key=lambda s: abs(s - stamp), default=None)
            message = None if nearest is None else self._messages[nearest]
            newest = next(reversed(self._messages), None)
        if message is None:
            raise StaleError(f"no cloud was received on {self.topic}: is the camera node running?")
        if abs(nearest - stamp) > tolerance * _S:
            raise StaleError(
                f"no cloud on {self.topic} is stamped {stamp / _S:.3f} s: the newest is {newest / _S:.3f} s, kept are "
                f"the last {self._seconds:.0f} s. Send the candidates with the stamp of the picture they were found in"
            )
        return msg_to_cloud(message, self.topic)

    def after(self, stamp: int, timeout: float, cancel: CancelToken) -> Cloud:
        """The first cloud not older than `stamp` ns, waiting `timeout` s (steady) for it; NO_DEPTH when none comes."""
        if not wait_until(lambda: (self.newest_stamp() or -1) >= stamp, timeout, cancel, 0.02):
            raise SeegraspError(f"no new cloud arrived on {self.topic} within {timeout:.1f} s", ErrorCode.NO_DEPTH)
        return self.at(self.newest_stamp() or stamp)

    def _on_cloud(self, msg: PointCloud2) -> None:
        stamp = stamp_to_ns(msg.header.stamp)
        with self._lock:
            newest = next(reversed(self._messages), None)
            if newest is not None and stamp < newest:
                self._messages.clear()  # time was set back: what was seen before belongs to another run
            self._messages[stamp] = msg
            oldest = stamp - round(self._seconds * _S)
            while len(self._messages) > self._limit or next(iter(self._messages)) < oldest:
                self._messages.popitem(last=False)
