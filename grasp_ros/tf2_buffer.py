"""tf2's own transform buffer behind the interface of `grasp_core.tf_buffer` (ROS installations only)."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from tf2_py import BufferCore, TransformException

from grasp_core.errors import FrameError
from grasp_ros.conversions import matrix_to_transform, ns_to_stamp, transform_to_matrix

_AUTHORITY = "seegrasp"


class Tf2Buffer:
    """`BufferCore` with 4x4 matrices and integer nanoseconds; thread-safe as tf2 is."""

    def __init__(self, keep_s: float = 10.0) -> None:
        self._core = BufferCore(Duration(seconds=keep_s))
        self._static: dict[str, TransformStamped] = {}

    def set(self, parent: str, child: str, T_parent_child: np.ndarray, stamp: int, static: bool = False) -> None:
        """Store a transform; FrameError when a frame is its own parent."""
        if parent == child:
            raise FrameError(f"transform {parent} -> {child}: a frame cannot be its own parent")
        item = TransformStamped(child_frame_id=child.strip("/"), transform=matrix_to_transform(T_parent_child))
        item.header.frame_id = parent.strip("/")
        item.header.stamp = ns_to_stamp(stamp)
        if static:
            self._static[child] = item
            self._core.set_transform_static(item, _AUTHORITY)
        else:
            self._core.set_transform(item, _AUTHORITY)

    def lookup(self, target: str, source: str, stamp: int | None = None) -> np.ndarray:
        """T_target_source (4, 4); FrameError when tf2 cannot tell."""
        time = Time(nanoseconds=stamp or 0)
        try:
            found = self._core.lookup_transform_core(target.strip("/"), source.strip("/"), time)
        except TransformException as error:
            raise FrameError(f"no transform from {source} to {target}: {error}") from None
        return transform_to_matrix(found.transform, f"tf2 transform {target} -> {source}")

    def clear(self) -> None:
        """Forget the moving transforms; the static ones stay."""
        self._core.clear()
        for item in self._static.values():
            self._core.set_transform_static(item, _AUTHORITY)
