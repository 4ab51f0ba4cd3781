"""Where frames are at a time: /tf and /tf_static into a buffer, tf2's own where it is installed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from grasp_core.errors import FrameError, InputError
from grasp_core.tf_buffer import TransformBuffer
from grasp_ros import qos
from grasp_ros.conversions import stamp_to_ns, transform_to_matrix

try:
    from grasp_ros.tf2_buffer import Tf2Buffer
except ImportError:  # tf2_py comes with a ROS installation only
    Tf2Buffer = None

_CACHE_S = 10.0


class TfListener:
    """Listens to /tf and /tf_static on behalf of a node; thread-safe.

    Bad transforms (NaN, non-unit quaternions, a frame that is its own parent) are not used; the last one is told in
    `problem`.
    """

    def __init__(self, node: Node, on_update: Callable[[], None] | None = None) -> None:
        """`on_update` is called in the executor's thread after every message of /tf or /tf_static."""
        self._node = node
        self._on_update = on_update
        self._buffer = Tf2Buffer(_CACHE_S) if Tf2Buffer is not None else TransformBuffer(_CACHE_S)
        self._changed = threading.Condition()
        self._last_dynamic: float | None = None
        self.problem = ""
        group = ReentrantCallbackGroup()
        node.create_subscription(TFMessage, "/tf", self._on_tf, qos.TF, callback_group=group)
        node.create_subscription(TFMessage, "/tf_static", self._on_tf_static, qos.TF_STATIC, callback_group=group)

    def lookup(self, target: str, source: str, stamp_ns: int | None = None, timeout_s: float = 0.0) -> np.ndarray:
        """T_target_source (4, 4) at `stamp_ns`, interpolated; at the newest common time when that is None.

        Waits up to `timeout_s` of steady time for transforms that are not there yet: only from a thread other than
        the node's single-threaded executor, which could not receive them meanwhile. FrameError when it stays missing.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                try:
                    return self._buffer.lookup(target, source, stamp_ns)
                except FrameError as error:
                    left = deadline - time.monotonic()
                    if left <= 0.0:
                        raise self._explained(error) from None
                    self._changed.wait(left)

    @property
    def age_s(self) -> float | None:
        """Seconds of steady time since the last message on /tf; None when there was none."""
        return None if self._last_dynamic is None else time.monotonic() - self._last_dynamic

    def clear(self) -> None:
        """Forget the moving transforms (after time jumped back); static ones stay."""
        with self._changed:
            self._buffer.clear()

    def _explained(self, error: FrameError) -> FrameError:
        return FrameError(f"{error} (rejected transform: {self.problem})") if self.problem else error

    def _on_tf(self, msg: TFMessage) -> None:
        self._last_dynamic = time.monotonic()
        self._store(msg, static=False)

    def _on_tf_static(self, msg: TFMessage) -> None:
        self._store(msg, static=True)

    def _store(self, msg: TFMessage, static: bool) -> None:
        with self._changed:
            for item in msg.transforms:
                parent, child = item.header.frame_id, item.child_frame_id
                topic = "/tf_static" if static else "/tf"
                try:
                    if not parent or not child:
                        raise InputError(f"{topic}: transform '{parent}' -> '{child}' lacks a frame name")
                    T = transform_to_matrix(item.transform, f"{topic}: transform {parent} -> {child}")
                    self._buffer.set(parent, child, T, stamp_to_ns(item.header.stamp), static=static)
                except (InputError, FrameError) as error:
                    if self.problem != str(error):
                        self._node.get_logger().error(f"{error}: transform not used", throttle_duration_sec=5.0)
                    self.problem = str(error)
            self._changed.notify_all()
        if self._on_update is not None:
            self._on_update()
