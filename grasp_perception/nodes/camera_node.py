"""camera_node: depth and colour images of one camera -> a clean cloud in the base frame."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass

from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from grasp_core.camera import Camera
from grasp_core.cell import Cell, MountedCamera
from grasp_core.errors import ConfigError, FrameError, InputError, SeegraspError, StaleError
from grasp_perception.ingest import Ingest, IngestStats
from grasp_ros import qos
from grasp_ros.conversions import (
    camera_from_info,
    cloud_to_msg,
    depth_to_metres,
    distortion_pixels,
    image_to_rgb,
    stamp_to_ns,
)
from grasp_ros.diagnostics import ERROR, WARN, Diagnostics, Faults, RateMeter, Report
from grasp_ros.params import Params
from grasp_ros.runtime import run_node
from grasp_ros.sync import LatestSlot, Synchroniser
from grasp_ros.tf_listener import TfListener

_S = 1_000_000_000
_JUMP_BACK_S = 1.0  # stamps this much older than the newest are a restarted source, not disorder
_TF_POLL_S = 0.02
_TF_STEADY_LIMIT_S = 1.0  # ROS time may stand still while waiting
_SILENT_S = 2.0
_NOTED_DISTORTION_PX = 1.0


@dataclass(frozen=True)
class Frame:
    """Messages that belong together."""

    depth: Image
    color: Image | None
    info: CameraInfo


class CameraNode(Node):
    """Takes the newest matching images, waits for the camera's pose at their time, publishes `~/cloud`.

    The executor's thread only receives; a worker thread turns the newest frame into a cloud, so that nothing queues
    up behind a slow frame. What is rejected is counted by reason, logged and shown on /diagnostics.
    """

    def __init__(self) -> None:
        super().__init__("camera_node")
        p = self._declare(Params(self))
        self._ingest = Ingest(p["box"], p["cell"].base_frame, p["voxel"], p["edge"], p["min_neighbours"])
        self._base_frame = p["cell"].base_frame
        self._mounted: MountedCamera = p["mounted"]
        self._near, self._far = self._mounted.camera_profile.near, self._mounted.camera_profile.far
        self._max_age, self._max_future = p["max_age"], p["max_future"]
        self._tf_timeout, self._period_ns = p["tf_timeout"], int(_S / p["max_rate"])
        self._use_color = p["use_color"]

        self._faults = Faults(self)
        self._rates = {name: RateMeter() for name in ("depth", "color", "info", "cloud")}
        self._slot: LatestSlot[Frame] = LatestSlot()
        self._sync = Synchroniser(("depth", "color") if self._use_color else ("depth",), int(p["sync_slop"] * _S))
        self._info: CameraInfo | None = None
        self._camera: tuple[tuple, Camera] | None = None
        self._newest_depth = self._last_done = -1
        self._unmatched = self._overrun = self._skipped = self._resets = 0
        self._last: dict[str, float | int] = {}
        self._stats: IngestStats | None = None

        self._tf = TfListener(self)
        self._publisher = self.create_publisher(PointCloud2, "~/cloud", qos.SENSOR)
        self._topics = {kind: self._mounted.topic(kind) for kind in ("depth", "color", "depth_info")}
        self.create_subscription(Image, self._topics["depth"], self._on_depth, qos.SENSOR)
        self.create_subscription(CameraInfo, self._topics["depth_info"], self._on_info, qos.SENSOR)
        if self._use_color:
            self.create_subscription(Image, self._topics["color"], self._on_color, qos.SENSOR)
        self._diagnostics = Diagnostics(self)
        self._diagnostics.add("cloud", self._report, hardware_id=self._mounted.namespace)
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-_S // 10), on_clock_change=True)
        self._jump_handle = self.get_clock().create_jump_callback(threshold, post_callback=self._on_time_jump)
        self._worker = threading.Thread(target=self._work, name="camera_node worker", daemon=True)
        self._worker.start()
        self.get_logger().info(f"{self._topics['depth']} -> {self._publisher.topic_name} in {self._base_frame}")

    def _declare(self, params: Params) -> dict:
        d = params.declare
        values = {
            "cell": Cell.load(d("cell", "bin_picking", "cell profile: workspace, base frame, cameras")),
            "voxel": d("voxel", 0.005, "edge of the voxels, m", min=0.001, max=0.1),
            "edge": d("edge", 0.012, "relative depth jump that makes a flying pixel", min=0.001, max=1.0),
            "min_neighbours": d("min_neighbours", 3, "occupied voxels (of 26) around one that is kept", 0, 26),
            "max_rate": d("max_rate", 30.0, "clouds per second at most", min=0.1, max=1000.0),
            "max_age": d("max_age", 0.5, "older depth images are rejected, s", min=0.01, max=60.0),
            "max_future": d("max_future", 0.1, "tolerated lead of stamps over ROS time, s", min=0.0, max=60.0),
            "tf_timeout": d("tf_timeout", 0.1, "how long a frame waits for its transform, s of ROS time", 0.0, 5.0),
            "sync_slop": d("sync_slop", 0.02, "largest difference of depth and colour stamps, s", 0.0, 1.0),
            "use_color": d("use_color", True, "wait for a colour image with every depth image"),
        }
        wanted = d("camera", "camera", "namespace of the camera in the cell profile")
        params.check_unknown()
        cell: Cell = values["cell"]
        found = [c for c in cell.cameras if c.namespace == wanted]
        if not found:
            have = ", ".join(c.namespace for c in cell.cameras)
            raise ConfigError(f"cell '{cell.name}' has no camera with namespace '{wanted}'; it has: {have}")
        try:
            return values | {"mounted": found[0], "box": cell.workspace_box()}
        except InputError as error:
            raise ConfigError(f"cell '{cell.name}': {error}") from None

    # Receiving, in the executor's thread.

    def _on_depth(self, msg: Image) -> None:
        stamp = stamp_to_ns(msg.header.stamp)
        self._rates["depth"].tick()
        if stamp < self._newest_depth - _JUMP_BACK_S * _S:
            self._reset(f"depth stamps jumped back by {(self._newest_depth - stamp) / _S:.1f} s")
        self._newest_depth = max(self._newest_depth, stamp)
        self._match("depth", stamp, msg)

    def _on_color(self, msg: Image) -> None:
        self._rates["color"].tick()
        self._match("color", stamp_to_ns(msg.header.stamp), msg)

    def _on_info(self, msg: CameraInfo) -> None:
        self._rates["info"].tick()
        self._info = msg

    def _match(self, stream: str, stamp: int, msg: Image) -> None:
        matched = self._sync.add(stream, stamp, msg)
        self._count_unmatched()
        if matched is None:
            return
        if self._info is None:
            self._faults.add("no camera_info", ERROR, f"no camera_info on {self._topics['depth_info']} yet")
            return
        before = self._slot.overwritten
        self._slot.put(Frame(matched["depth"], matched.get("color"), self._info))
        if self._slot.overwritten > before:
            self._overrun += 1
            self._faults.add("overrun", WARN, "images come faster than they are processed: lower their rate or size")

    def _count_unmatched(self) -> None:
        new = self._sync.dropped - self._unmatched
        self._unmatched = self._sync.dropped
        for _ in range(new):
            self._faults.add(
                "unsynchronised",
                WARN,
                f"no colour image within sync_slop of a depth image: check {self._topics['color']}, turn enable_sync "
                "on in the driver, or set use_color:=false",
            )

    def _on_time_jump(self, jump: TimeJump) -> None:
        self._reset(f"ROS time jumped by {jump.delta.nanoseconds / _S:.1f} s")

    def _reset(self, why: str) -> None:
        """Forget everything that belongs to another time line."""
        self._resets += 1
        self._tf.clear()
        self._sync.reset()
        self._slot.clear()
        self._newest_depth = self._last_done = -1
        self._faults.add("time reset", WARN, f"{why}: a restarted simulator or bag? Starting afresh")

    # Processing, in the worker's thread.

    def _work(self) -> None:
        while (frame := self._slot.take()) is not None:
            stamp = stamp_to_ns(frame.depth.header.stamp)
            if 0 <= stamp - self._last_done < 0.9 * self._period_ns:
                self._skipped += 1
                continue
            try:
                self._process(frame, stamp)
            except StaleError as error:
                self._faults.add("bad stamp", ERROR, str(error))
            except FrameError as error:
                self._faults.add("no tf", ERROR, str(error))
            except InputError as error:
                self._faults.add("bad image", ERROR, str(error))
            except SeegraspError as error:
                self._faults.add("failed", ERROR, str(error))

    def _process(self, frame: Frame, stamp: int) -> None:
        self._check_age(stamp)
        depth = depth_to_metres(frame.depth, self._topics["depth"], self._mounted.camera_profile.depth_scale)
        color = None if frame.color is None else image_to_rgb(frame.color, self._topics["color"])
        camera = self._camera_of(frame.info)
        if frame.depth.header.frame_id != camera.frame:
            raise InputError(
                f"{self._topics['depth']} is in frame '{frame.depth.header.frame_id}', its camera_info in "
                f"'{camera.frame}': they must come from the same stream"
            )
        started = time.perf_counter()
        T_base_cam = self._pose_at(camera.frame, stamp)
        located = time.perf_counter()
        cloud, stats = self._ingest(depth, color, camera, T_base_cam, stamp)
        self._publisher.publish(cloud_to_msg(cloud))
        self._last_done = stamp
        self._rates["cloud"].tick()
        self._stats = stats
        self._last = {
            "tf_wait_ms": 1e3 * (located - started),
            "processing_ms": 1e3 * (time.perf_counter() - located),
            "age_ms": (self._now() - stamp) / 1e6,
            "valid_part": stats.valid / stats.pixels,
            "points": stats.points,
        }
        if stats.points == 0:
            self._faults.add(
                "empty cloud", WARN, f"no point of {stats.smooth} lies in the cell's workspace: does the camera see it?"
            )

    def _check_age(self, stamp: int) -> None:
        now = self._now()
        if now == 0:
            raise StaleError("ROS time is 0: use_sim_time is set, but nothing publishes /clock")
        age = (now - stamp) / _S
        if age > self._max_age:
            raise StaleError(
                f"depth image is {age:.2f} s old (max_age {self._max_age} s): are the driver's clock and this host's "
                "(or use_sim_time) the same?"
            )
        if age < -self._max_future:
            raise StaleError(
                f"depth image is stamped {-age:.2f} s in the future (max_future {self._max_future} s): are the "
                "driver's clock and this host's (or use_sim_time) the same?"
            )

    def _camera_of(self, info: CameraInfo) -> Camera:
        key = (tuple(info.k), info.width, info.height, info.header.frame_id, tuple(info.d))
        if self._camera is None or self._camera[0] != key:
            camera = camera_from_info(info, self._near, self._far, self._topics["depth_info"])
            if (shift := distortion_pixels(info)) > _NOTED_DISTORTION_PX:
                self.get_logger().warning(
                    f"lens distortion of up to {shift:.1f} px is ignored: publish rectified images"
                )
            self._camera = (key, camera)
        return self._camera[1]

    def _pose_at(self, camera_frame: str, stamp: int) -> object:
        """T_base_cam at the stamp; its transform may arrive up to tf_timeout of ROS time later than the image."""
        begin_ros, begin = self._now(), time.monotonic()
        while True:
            try:
                return self._tf.lookup(self._base_frame, camera_frame, stamp, timeout_s=_TF_POLL_S)
            except FrameError:
                waited = (self._now() - begin_ros) / _S
                if waited >= self._tf_timeout or time.monotonic() - begin >= _TF_STEADY_LIMIT_S:
                    raise

    def _now(self) -> int:
        return self.get_clock().now().nanoseconds

    # Reporting, in the executor's thread.

    def _report(self) -> Report:
        report = Report()
        needed = {"depth": "depth", "info": "depth_info"} | ({"color": "color"} if self._use_color else {})
        for name, kind in needed.items():
            if (idle := self._rates[name].idle_s()) > _SILENT_S:
                publishers = self.count_publishers(self._topics[kind])
                hint = "its QoS or type differs, or it stopped" if publishers else "is the driver running?"
                topic = self._topics[kind]
                report.worse(ERROR, f"nothing on {topic} for {idle:.0f} s ({publishers} publishers): {hint}")
        self._faults.apply(report)
        values = {f"{name}_hz": meter.rate() for name, meter in self._rates.items()} | self._last
        values |= {"clouds": self._rates["cloud"].total, "depth_images": self._rates["depth"].total}
        values |= {"tf_age_ms": -1.0 if self._tf.age_s is None else 1e3 * self._tf.age_s}
        values |= {"skipped_by_max_rate": self._skipped, "resets": self._resets}
        values |= {f"dropped: {reason}": count for reason, count in self._faults.counts().items()}
        report.values = values
        return report

    def close(self) -> None:
        """End the worker."""
        self._slot.close()
        self._worker.join(timeout=5.0)


def main() -> None:
    """Run camera_node until a signal ends it."""
    sys.exit(run_node(CameraNode))


if __name__ == "__main__":
    main()
