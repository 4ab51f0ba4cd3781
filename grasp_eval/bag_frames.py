"""Depth frames of a bag with their colour, camera and pose: what offline evaluation runs on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message

from grasp_core.errors import SeegraspError
from grasp_core.tf_buffer import TransformBuffer
from grasp_eval.bag_reader import BagReader, Message
from grasp_eval.bag_types import message_class
from grasp_eval.bag_writer import BagError
from grasp_eval.recorder import header_stamp
from grasp_ros.conversions import stamp_to_ns, transform_to_matrix

IMAGE = "sensor_msgs/msg/Image"
SYNC_NS = 60_000_000
WAIT_FRAMES = 3
STATIC, DYNAMIC = "/tf_static", "/tf"


def decode(message: Message) -> Any:
    """The ROS message object."""
    return deserialize_message(message.data, message_class(message.msgtype))


@dataclass(frozen=True)
class Topics:
    """Which topics make a frame; an empty colour topic means depth only."""

    depth: str
    depth_info: str
    color: str


def find_topics(bag: BagReader, depth: str = "", depth_info: str = "", color: str = "") -> Topics:
    """Complete the choice by realsense-ros names. Raises BagError naming the topics that exist."""
    if not depth:
        images = [t.name for t in bag.topics.values() if t.msgtype == IMAGE and t.count and not t.problem]
        likely = [n for n in images if "depth" in n]
        likely = [n for n in likely if "aligned" in n] or likely
        if not likely:
            bag.require("/camera/camera/aligned_depth_to_color/image_raw", "depth image")
        depth = sorted(likely)[0]
    depth_info = depth_info or depth.rpartition("/")[0] + "/camera_info"
    bag.require(depth, "depth image")
    bag.require(depth_info, "camera info")
    if not color:
        guess = depth.rsplit("/", 2)[0] + "/color/image_raw"
        found = bag.topics.get(guess)
        color = guess if found and found.count and not found.problem else ""
    elif bag.require(color, "colour image").msgtype != IMAGE:
        raise BagError(f"{bag.path}: colour topic {color} is {bag.topics[color].msgtype}, expected {IMAGE}")
    return Topics(depth, depth_info, color)


@dataclass(frozen=True)
class RawFrame:
    """One depth image with the camera info before it and the colour image nearest in time (within 60 ms)."""

    index: int
    stamp: int
    log_ns: int
    depth: Any
    info: Any
    color: Any | None


class FrameSource:
    """Iterates over the frames of a bag; counts what had to be left out in `without_info`."""

    def __init__(self, bag: BagReader, topics: Topics, start_ns: int | None = None, stop_ns: int | None = None) -> None:
        self._bag, self._topics, self._range = bag, topics, (start_ns, stop_ns)
        self.without_info = 0

    def __iter__(self) -> Iterator[RawFrame]:
        names = {t for t in (self._topics.depth, self._topics.depth_info, self._topics.color) if t}
        info, index = None, 0
        colors: deque[Message] = deque(maxlen=8)
        waiting: deque[tuple[Message, Message]] = deque()
        for message in self._bag.messages(names, *self._range):
            if message.topic == self._topics.depth_info:
                info = message
            elif message.topic == self._topics.color:
                colors.append(message)
            else:
                waiting.append((message, info))
            while waiting and self._ready(waiting, colors):
                index, frame = self._frame(index, *waiting.popleft(), colors, info)
                if frame:
                    yield frame
        while waiting:
            index, frame = self._frame(index, *waiting.popleft(), colors, info)
            if frame:
                yield frame

    def _ready(self, waiting: deque, colors: deque[Message]) -> bool:
        if len(waiting) > WAIT_FRAMES:
            return True
        depth, info = waiting[0]
        if info is None:
            return False
        return not self._topics.color or any(header_stamp(c.data) >= header_stamp(depth.data) for c in colors)

    def _frame(
        self, index: int, depth: Message, info: Message | None, colors: deque[Message], newest: Message | None
    ) -> tuple[int, RawFrame | None]:
        info = info or newest
        if info is None:
            self.without_info += 1
            return index, None
        stamp = header_stamp(depth.data)
        near = [c for c in colors if abs(header_stamp(c.data) - stamp) <= SYNC_NS]
        color = min(near, key=lambda c: abs(header_stamp(c.data) - stamp), default=None)
        frame = RawFrame(
            index, stamp, depth.stamp_ns, decode(depth), decode(info), decode(color) if color is not None else None
        )
        return index + 1, frame


class BagTransforms:
    """All transforms of a bag at once, static ones whenever they were published."""

    def __init__(self, bag: BagReader) -> None:
        self.buffer = TransformBuffer(keep_s=1e9)
        self.parents: dict[str, str] = {}
        self.problems: list[str] = []
        for message in bag.messages({STATIC, DYNAMIC}):
            for item in decode(message).transforms:
                self._add(item, message.topic == STATIC)

    def _add(self, item: Any, static: bool) -> None:
        parent, child = item.header.frame_id.strip("/"), item.child_frame_id.strip("/")
        try:
            T = transform_to_matrix(item.transform, f"transform {parent} -> {child}")
            self.buffer.set(parent, child, T, stamp_to_ns(item.header.stamp), static)
        except SeegraspError as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))
            return
        self.parents[child] = parent

    def ancestors(self, frame: str) -> list[str]:
        """Frames above `frame`, nearest first."""
        found: list[str] = []
        current = frame.strip("/")
        while current in self.parents and self.parents[current] not in found:
            current = self.parents[current]
            found.append(current)
        return found

    def lookup(self, target: str, source: str, stamp: int) -> np.ndarray:
        """T_target_source (4, 4) at a stamp (ns). Raises FrameError."""
        return self.buffer.lookup(target, source, stamp)
