"""Images straight from a RealSense or its recording; published, too, as realsense-ros would, where somebody listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from grasp_core.cell import MountedCamera
from grasp_core.errors import ConfigError
from grasp_perception.nodes.camera_input import SILENT_S, Frame, Pictures
from grasp_perception.nodes.camera_params import REALSENSE, CameraParams
from grasp_perception.realsense import DepthFrame, DepthSource, Keeper, RealSense, Recording, Trouble
from grasp_perception.realsense.library import plain
from grasp_ros import qos
from grasp_ros.conversions import array_to_image, info_from_camera
from grasp_ros.diagnostics import ERROR, WARN, Faults, RateMeter, Report


def make_source(params: CameraParams) -> DepthSource:
    """The source that the parameters ask for; ConfigError."""
    profile = params.mounted.camera_profile
    place = (params.mounted.frame, profile.near, profile.far)
    if params.source == REALSENSE:
        return RealSense(params.realsense, *place)
    return Recording(params.bag, params.realsense, *place, params.bag_real_time, params.bag_loop)


class DeviceInput:
    """Runs a source in a thread of its own, which brings it back when frames stay away."""

    def __init__(
        self,
        node: Node,
        params: CameraParams,
        faults: Faults,
        on_frame: Callable[[Frame], None],
    ) -> None:
        """ConfigError: simulated time, or parameters that fit no source."""
        if node.get_parameter("use_sim_time").value:
            raise ConfigError(f"use_sim_time is true, but source:={params.source} is stamped by this host's clock")
        self._faults, self._on_frame, self._use_color = faults, on_frame, params.use_color
        self._model, self.hardware_id = params.mounted.camera_profile.name, params.mounted.namespace
        self.paced = params.source != REALSENSE and not params.bag_real_time
        self.rates = {"depth": RateMeter()}
        self._images = ImagePublishers(node, params.mounted)
        self._source = make_source(params)
        self._keeper: Keeper | None = None

    def describe(self) -> str:
        return self._source.name

    def start(self) -> None:
        self._keeper = Keeper(self._source, self._take, self._on_trouble)

    def _take(self, frame: DepthFrame) -> None:
        self.rates["depth"].tick()
        self._images.publish(frame)
        self._on_frame(DeviceFrame(frame, self._use_color))

    def _on_trouble(self, trouble: Trouble) -> None:
        self._faults.add("camera", _level(trouble), trouble.message)

    def reset(self) -> None:
        """Nothing waits here."""

    def report(self, report: Report) -> Mapping[str, object]:
        facts, trouble = self._keeper.facts, self._keeper.trouble
        if trouble is not None:
            report.worse(_level(trouble), trouble.message)
        elif (idle := self.rates["depth"].idle_s()) > SILENT_S:
            report.worse(ERROR, f"no frame from {self._source.name} for {idle:.0f} s")
        for concern in (*self._keeper.concerns, *self._other_model(str(facts.get("model", "")))):
            report.worse(WARN, concern)
        return facts

    def _other_model(self, model: str) -> tuple[str, ...]:
        """A concern when the cell's profile is of another camera than the one that is plugged in."""
        if not model or plain(model).split("_")[-1] == plain(self._model):
            return ()
        return (f"the cell's camera profile is '{self._model}', the device is {model}: near and far limits may differ",)

    def close(self) -> None:
        if self._keeper is not None:
            self._keeper.close()


def _level(trouble: Trouble) -> bytes:
    return WARN if trouble.ended else ERROR


@dataclass(frozen=True)
class DeviceFrame:
    """A frame of a source."""

    frame: DepthFrame
    use_color: bool

    @property
    def stamp(self) -> int:
        return self.frame.stamp

    def pictures(self) -> Pictures:
        scale = np.float32(self.frame.camera.depth_scale)
        depth = np.multiply(self.frame.depth, scale, dtype=np.float32)
        return Pictures(depth, self.frame.color if self.use_color else None, self.frame.camera)


class ImagePublishers:
    """The four topics of the camera seam, each only while somebody listens to it."""

    def __init__(self, node: Node, mounted: MountedCamera) -> None:
        self._profile_scale = mounted.camera_profile.depth_scale
        kinds = {"color": Image, "color_info": CameraInfo, "depth": Image, "depth_info": CameraInfo}
        self._publishers = {
            kind: node.create_publisher(message, mounted.topic(kind), qos.RELIABLE) for kind, message in kinds.items()
        }

    def publish(self, frame: DepthFrame) -> None:
        """Colour as rgb8; depth as 16UC1 in units of the camera profile's depth_scale, as those who listen read it."""
        name, stamp = frame.camera.frame, frame.stamp
        if self._wanted("color"):
            self._publishers["color"].publish(array_to_image(frame.color, "rgb8", name, stamp))
        if self._wanted("depth"):
            self._publishers["depth"].publish(array_to_image(self._in_profile_units(frame), "16UC1", name, stamp))
        for kind in ("color_info", "depth_info"):
            if self._wanted(kind):
                self._publishers[kind].publish(info_from_camera(frame.camera, stamp))

    def _wanted(self, kind: str) -> bool:
        return self._publishers[kind].get_subscription_count() > 0

    def _in_profile_units(self, frame: DepthFrame) -> np.ndarray:
        factor = frame.camera.depth_scale / self._profile_scale
        if abs(factor - 1.0) < 1e-6:
            return frame.depth
        scaled = np.rint(frame.depth * np.float32(factor))
        return np.where(scaled <= 65535, scaled, 0).astype(np.uint16)  # too far for 16 bits: not measured
