"""Images of a driver, the simulator or a bag: matching depth, colour and camera_info by stamp."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from grasp_core.camera import Camera
from grasp_core.cell import MountedCamera
from grasp_core.errors import InputError
from grasp_perception.nodes.camera_input import SILENT_S, Frame, Pictures
from grasp_perception.nodes.camera_params import CameraParams
from grasp_ros import qos
from grasp_ros.conversions import camera_from_info, depth_to_metres, distortion_pixels, image_to_rgb, stamp_to_ns
from grasp_ros.diagnostics import ERROR, WARN, Faults, RateMeter, Report
from grasp_ros.sync import Synchroniser

_S = 1_000_000_000
_JUMP_BACK_S = 1.0  # stamps this much older than the newest are a restarted source, not disorder
_NOTED_DISTORTION_PX = 1.0


class TopicInput:
    """Subscribes to what realsense-ros publishes; everything but `pictures` runs in the executor's thread."""

    paced = False

    def __init__(
        self,
        node: Node,
        params: CameraParams,
        faults: Faults,
        on_frame: Callable[[Frame], None],
        on_reset: Callable[[str], None],
    ) -> None:
        self._node, self._faults, self._on_frame, self._on_reset = node, faults, on_frame, on_reset
        mounted, self._use_color = params.mounted, params.use_color
        self.hardware_id = mounted.namespace
        self.topics = {kind: mounted.topic(kind) for kind in ("depth", "color", "depth_info")}
        self.rates = {name: RateMeter() for name in ("depth", "color", "info")}
        streams = ("depth", "color") if self._use_color else ("depth",)
        self._sync = Synchroniser(streams, int(params.sync_slop * _S))
        self._info: CameraInfo | None = None
        self._newest, self._unmatched = -1, 0
        self._cameras = _Cameras(node, mounted, self.topics["depth_info"])

    def describe(self) -> str:
        return self.topics["depth"]

    def start(self) -> None:
        subscribe = self._node.create_subscription
        subscribe(Image, self.topics["depth"], self._on_depth, qos.SENSOR)
        subscribe(CameraInfo, self.topics["depth_info"], self._on_info, qos.SENSOR)
        if self._use_color:
            subscribe(Image, self.topics["color"], self._on_color, qos.SENSOR)

    def _on_depth(self, msg: Image) -> None:
        stamp = stamp_to_ns(msg.header.stamp)
        self.rates["depth"].tick()
        if stamp < self._newest - _JUMP_BACK_S * _S:
            self._on_reset(f"depth stamps jumped back by {(self._newest - stamp) / _S:.1f} s")
        self._newest = max(self._newest, stamp)
        self._match("depth", stamp, msg)

    def _on_color(self, msg: Image) -> None:
        self.rates["color"].tick()
        self._match("color", stamp_to_ns(msg.header.stamp), msg)

    def _on_info(self, msg: CameraInfo) -> None:
        self.rates["info"].tick()
        self._info = msg

    def _match(self, stream: str, stamp: int, msg: Image) -> None:
        matched = self._sync.add(stream, stamp, msg)
        self._count_unmatched()
        if matched is None:
            return
        if self._info is None:
            self._faults.add("no camera_info", ERROR, f"no camera_info on {self.topics['depth_info']} yet")
            return
        self._on_frame(TopicFrame(matched["depth"], matched.get("color"), self._info, self.topics, self._cameras))

    def _count_unmatched(self) -> None:
        new = self._sync.dropped - self._unmatched
        self._unmatched = self._sync.dropped
        for _ in range(new):
            self._faults.add(
                "unsynchronised",
                WARN,
                f"no colour image within sync_slop of a depth image: check {self.topics['color']}, turn enable_sync "
                "on in the driver, or set use_color:=false",
            )

    def reset(self) -> None:
        self._sync.reset()
        self._newest = -1

    def report(self, report: Report) -> Mapping[str, object]:
        needed = {"depth": "depth", "info": "depth_info"} | ({"color": "color"} if self._use_color else {})
        for name, kind in needed.items():
            if (idle := self.rates[name].idle_s()) > SILENT_S:
                topic = self.topics[kind]
                publishers = self._node.count_publishers(topic)
                hint = "its QoS or type differs, or it stopped" if publishers else "is the driver running?"
                report.worse(ERROR, f"nothing on {topic} for {idle:.0f} s ({publishers} publishers): {hint}")
        return {}

    def close(self) -> None:
        pass


class _Cameras:
    """The camera of the newest camera_info, made anew only when that changes."""

    def __init__(self, node: Node, mounted: MountedCamera, topic: str) -> None:
        self._node, self._topic, self._profile = node, topic, mounted.camera_profile
        self._made: tuple[tuple, Camera] | None = None

    @property
    def depth_scale(self) -> float:
        return self._profile.depth_scale

    def of(self, info: CameraInfo) -> Camera:
        key = (tuple(info.k), info.width, info.height, info.header.frame_id, tuple(info.d))
        if self._made is None or self._made[0] != key:
            camera = camera_from_info(info, self._profile.near, self._profile.far, self._topic)
            if (shift := distortion_pixels(info)) > _NOTED_DISTORTION_PX:
                self._node.get_logger().warning(
                    f"lens distortion of up to {shift:.1f} px is ignored: publish rectified images"
                )
            self._made = (key, camera)
        return self._made[1]


@dataclass(frozen=True)
class TopicFrame:
    """Messages that belong together."""

    depth: Image
    color: Image | None
    info: CameraInfo
    topics: Mapping[str, str]
    cameras: _Cameras

    @property
    def stamp(self) -> int:
        return stamp_to_ns(self.depth.header.stamp)

    def pictures(self) -> Pictures:
        depth = depth_to_metres(self.depth, self.topics["depth"], self.cameras.depth_scale)
        color = None if self.color is None else image_to_rgb(self.color, self.topics["color"])
        camera = self.cameras.of(self.info)
        if self.depth.header.frame_id != camera.frame:
            raise InputError(
                f"{self.topics['depth']} is in frame '{self.depth.header.frame_id}', its camera_info in "
                f"'{camera.frame}': they must come from the same stream"
            )
        return Pictures(depth, color, camera)
