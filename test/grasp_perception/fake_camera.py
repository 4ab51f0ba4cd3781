"""A node that stands in for a depth camera, its transforms and, if wanted, the clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from grasp_core import se3
from grasp_core.cell import Cell
from grasp_ros import qos
from grasp_ros.conversions import array_to_image, info_from_camera, ns_to_stamp, transforms_to_tf

S = 1_000_000_000
DOWN = se3.make(np.diag([1.0, -1.0, -1.0]), [0.5, 0.0, 0.6])


@dataclass
class Pair:
    """The messages of one frame, to be spoiled before they are sent."""

    depth: Image
    color: Image
    info: CameraInfo


class FakeCamera(Node):
    """Looks straight down at a table 0.6 m below with a 10 cm high box on it."""

    def __init__(self) -> None:
        super().__init__("fake_camera", use_global_arguments=False)
        self.cell = Cell.load("bin_picking")
        mounted = self.cell.cameras[0]
        self.camera = mounted.camera_profile.camera(mounted.frame)
        self.depth = np.full((self.camera.height, self.camera.width), 600, np.uint16)
        self.depth[200:280, 280:360] = 500
        self.rgb = np.full((*self.depth.shape, 3), 90, np.uint8)
        self._depth = self.create_publisher(Image, mounted.topic("depth"), qos.SENSOR)
        self._color = self.create_publisher(Image, mounted.topic("color"), qos.SENSOR)
        self._info = self.create_publisher(CameraInfo, mounted.topic("depth_info"), qos.SENSOR)
        self._tf = self.create_publisher(TFMessage, "/tf", qos.TF)
        self.clock_publisher = self.create_publisher(Clock, "/clock", qos.RELIABLE)

    def connected(self) -> bool:
        """Whether somebody listens to everything."""
        return all(p.get_subscription_count() for p in (self._depth, self._color, self._info, self._tf))

    def now(self) -> int:
        """Wall time in ns."""
        return self.get_clock().now().nanoseconds

    def pair(self, stamp: int) -> Pair:
        """A good frame."""
        frame = self.camera.frame
        return Pair(
            array_to_image(self.depth, "16UC1", frame, stamp),
            array_to_image(self.rgb, "rgb8", frame, stamp),
            info_from_camera(self.camera, stamp),
        )

    def send(self, pair: Pair) -> None:
        """Publish a frame."""
        self._info.publish(pair.info)
        self._color.publish(pair.color)
        self._depth.publish(pair.depth)

    def send_tf(self, stamp: int, T: np.ndarray = DOWN) -> None:
        """Publish the camera's pose in the base frame."""
        self._tf.publish(transforms_to_tf([("base_link", self.camera.frame, T)], stamp))

    def send_clock(self, stamp: int) -> None:
        """Publish ROS time."""
        self.clock_publisher.publish(Clock(clock=ns_to_stamp(stamp)))

    def look(self, stamp: int | None = None, T: np.ndarray = DOWN) -> int:
        """Publish a good frame with transforms around it; returns its stamp."""
        stamp = self.now() if stamp is None else stamp
        self.send_tf(stamp - S // 20, T)
        self.send_tf(stamp + S // 20, T)
        self.send(self.pair(stamp))
        return stamp
