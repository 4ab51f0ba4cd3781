"""camera_node: depth and colour images of one camera -> a clean cloud in the base frame."""

from __future__ import annotations

import sys
import threading
import time

from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from grasp_core.errors import FrameError, InputError, SeegraspError, StaleError
from grasp_perception.ingest import BlindError
from grasp_perception.nodes import camera_params
from grasp_perception.nodes.camera_device import DeviceInput
from grasp_perception.nodes.camera_input import Frame, Input
from grasp_perception.nodes.camera_topics import TopicInput
from grasp_ros import qos
from grasp_ros.conversions import cloud_to_msg, ns_to_stamp
from grasp_ros.diagnostics import ERROR, WARN, Diagnostics, Faults, RateMeter, Report
from grasp_ros.params import Params
from grasp_ros.runtime import run_node
from grasp_ros.sync import LatestSlot
from grasp_ros.tf_listener import TfListener

_S = 1_000_000_000
_TF_POLL_S = 0.02
_TF_STEADY_LIMIT_S = 1.0  # ROS time may stand still while waiting


class CameraNode(Node):
    """Takes the newest frame of its input, waits for the camera's pose at its time, publishes `~/cloud`.

    The input's thread (the executor's, or a device's) only receives; a worker thread turns the newest frame into a
    cloud, so that nothing queues up behind a slow frame. What is rejected is counted by reason, logged and shown on
    /diagnostics.
    """

    def __init__(self) -> None:
        super().__init__("camera_node")
        p = camera_params.declare(Params(self))
        self._ingest, self._base_frame = p.ingest, p.base_frame
        self._max_age, self._max_future = p.max_age, p.max_future
        self._tf_timeout, self._period_ns = p.tf_timeout, int(_S / p.max_rate)

        self._faults = Faults(self)
        self._clouds = RateMeter()
        self._slot: LatestSlot[Frame] = LatestSlot()
        self._last_done = -1
        self._skipped = self._resets = 0
        self._last: dict[str, float | int] = {}

        self._tf = TfListener(self)
        self._publisher = self.create_publisher(PointCloud2, "~/cloud", qos.SENSOR)
        self._looked = self.create_publisher(Header, "~/looked", qos.SENSOR)
        self._input: Input
        if p.source == camera_params.TOPICS:
            self._input = TopicInput(self, p, self._faults, self._on_frame, self._reset)
        else:
            self._input = DeviceInput(self, p, self._faults, self._on_frame)
        self._diagnostics = Diagnostics(self)
        self._diagnostics.add("cloud", self._report, hardware_id=self._input.hardware_id)
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-_S // 10), on_clock_change=True)
        self._jump_handle = self.get_clock().create_jump_callback(threshold, post_callback=self._on_time_jump)
        self._worker = threading.Thread(target=self._work, name="camera_node worker", daemon=True)
        self._worker.start()
        self._input.start()
        self.get_logger().info(f"{self._input.describe()} -> {self._publisher.topic_name} in {self._base_frame}")

    # Receiving, in the input's thread.

    def _on_frame(self, frame: Frame) -> None:
        if self._input.paced:
            self._slot.wait_empty()
        before = self._slot.overwritten
        self._slot.put(frame)
        if self._slot.overwritten > before:
            self._faults.add("overrun", WARN, "images come faster than they are processed: lower their rate or size")

    def _on_time_jump(self, jump: TimeJump) -> None:
        self._reset(f"ROS time jumped by {jump.delta.nanoseconds / _S:.1f} s")

    def _reset(self, why: str) -> None:
        """Forget everything that belongs to another time line."""
        self._resets += 1
        self._tf.clear()
        self._input.reset()
        self._slot.clear()
        self._last_done = -1
        self._faults.add("time reset", WARN, f"{why}: a restarted simulator or bag? Starting afresh")

    # Processing, in the worker's thread.

    def _work(self) -> None:
        while (frame := self._slot.take()) is not None:
            if not self._input.paced and 0 <= frame.stamp - self._last_done < 0.9 * self._period_ns:
                self._skipped += 1
                continue
            try:
                self._process(frame)
            except StaleError as error:
                self._faults.add("bad stamp", ERROR, str(error))
            except FrameError as error:
                self._faults.add("no tf", ERROR, str(error))
            except InputError as error:
                self._faults.add("bad image", ERROR, str(error))
            except SeegraspError as error:
                self._faults.add("failed", ERROR, str(error))

    def _process(self, frame: Frame) -> None:
        stamp = frame.stamp
        self._check_age(stamp)
        pictures = frame.pictures()
        started = time.perf_counter()
        T_base_cam = self._pose_at(pictures.camera.frame, stamp)
        located = time.perf_counter()
        looked = Header(stamp=ns_to_stamp(stamp), frame_id=pictures.camera.frame)
        try:
            cloud, stats = self._ingest(pictures.depth, pictures.color, pictures.camera, T_base_cam, stamp)
        except BlindError:
            self._looked.publish(looked)  # near an object that is as it should be: no reason to stop the arm
            raise
        self._publisher.publish(cloud_to_msg(cloud))
        self._looked.publish(looked)
        self._last_done = stamp
        self._clouds.tick()
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
        more = self._input.report(report)
        self._faults.apply(report)
        rates = {**self._input.rates, "cloud": self._clouds}
        values: dict[str, object] = {f"{name}_hz": meter.rate() for name, meter in rates.items()} | self._last
        values |= {"clouds": self._clouds.total, "depth_images": self._input.rates["depth"].total}
        values |= {"tf_age_ms": -1.0 if self._tf.age_s is None else 1e3 * self._tf.age_s}
        values |= {"skipped_by_max_rate": self._skipped, "resets": self._resets} | dict(more)
        values |= {f"dropped: {reason}": count for reason, count in self._faults.counts().items()}
        report.values = values
        return report

    def close(self) -> None:
        """End the input and the worker."""
        self._slot.close()
        self._input.close()
        self._worker.join(timeout=5.0)


def main() -> None:
    """Run camera_node until a signal ends it."""
    sys.exit(run_node(CameraNode))


if __name__ == "__main__":
    main()
