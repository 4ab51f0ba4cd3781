"""detector_node: clouds -> ranked grasps, on request (action) or continuously (topic)."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback

from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from seegrasp_msgs.action import DetectGrasps
from seegrasp_msgs.msg import GraspArray
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from grasp_core.cell import Cell
from grasp_core.errors import ConfigError, ErrorCode, InputError, SeegraspError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_perception.detectors import make_detector
from grasp_perception.nodes.detection import Cancelled, CloudInbox, Detection, Pipeline, Request, check_score
from grasp_perception.nodes.detector_params import declare
from grasp_perception.nodes.markers import grasp_markers
from grasp_ros import qos
from grasp_ros.conversions import grasps_to_msg, region_to_box, stamp_to_ns, timings_to_msgs
from grasp_ros.diagnostics import ERROR, OK, STALE, WARN, Diagnostics, Faults, RateMeter, Report
from grasp_ros.params import Params
from grasp_ros.runtime import run_node
from grasp_ros.tf_listener import TfListener

_THREADS = 4  # one goal, one that is told BUSY, cancel and services
_SILENT_S = 2.0
_CLOSE_S = 4.0
_S = 1_000_000_000


class DetectorNode(LifecycleNode):
    """Holds a detector; lifecycle: configure loads it, activate listens to clouds. `autostart` does both at once.

    Clouds and TF are received by `data_node`, which needs an executor of its own (see `grasp_ros.runtime`).
    """

    def __init__(self) -> None:
        """Declare parameters and, with autostart, become active; ConfigError when that cannot be."""
        super().__init__("detector_node")
        params = Params(self)
        self._p = declare(params)
        self._detector_params = params.free("detector_params")
        params.check_unknown()
        self._cell = Cell.load(self._p["cell"])
        self._gripper = Gripper.load(self._p["gripper"] or self._cell.gripper)
        self._camera_frame = self._p["camera_frame"] or self._frame_of_camera()
        self.data_node = Node(
            f"{self.get_name()}_data", namespace=self.get_namespace(), use_global_arguments=False, enable_rosout=False
        )
        self._tf = TfListener(self.data_node)
        self._inbox = CloudInbox(self._now, self._p["max_age"], self._p["max_future"])
        self._pipeline: Pipeline | None = None
        self._active, self._failure = threading.Event(), ""
        self._subscription = None
        self._goal_lock = threading.Lock()
        self._faults = Faults(self)
        self._clouds, self._detections = RateMeter(), RateMeter()
        self._last: dict[str, float | int] = {}
        self._closing = threading.Event()
        self._loop: threading.Thread | None = None
        self.hangs = False

        self._grasps = self.create_publisher(GraspArray, "~/grasps", qos.RELIABLE)
        self._markers = self.create_publisher(MarkerArray, "~/grasp_markers", qos.RELIABLE)
        self._cloud_topic = self.resolve_topic_name("camera_node/cloud")
        self._diagnostics = Diagnostics(self)
        self._diagnostics.add("detector", self._report, hardware_id=self._p["detector"])
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-_S // 10), on_clock_change=True)
        self._jump_handle = self.get_clock().create_jump_callback(threshold, post_callback=self._on_time_jump)
        if self._p["autostart"]:
            self._start()
        # The last: whoever sees the server sends goals, and loading a detector takes seconds.
        self._server = ActionServer(
            self,
            DetectGrasps,
            "detect_grasps",
            self._execute,
            callback_group=ReentrantCallbackGroup(),
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def _frame_of_camera(self) -> str:
        for camera in self._cell.cameras:
            if camera.namespace == self._p["camera"]:
                return camera.frame
        have = ", ".join(c.namespace for c in self._cell.cameras)
        raise ConfigError(
            f"cell '{self._cell.name}' has no camera with namespace '{self._p['camera']}'; it has: {have}"
        )

    # Lifecycle.

    def _start(self) -> None:
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != TransitionCallbackReturn.SUCCESS:
                raise ConfigError(self._failure or "detector_node could not be started")

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the detector."""
        try:
            detector = make_detector(
                self._p["detector"], self._p["detector_python"], self._p["detect_timeout"], **self._detector_params
            )
        except SeegraspError as error:
            self._failure = str(error)
            self.get_logger().error(self._failure)
            return TransitionCallbackReturn.FAILURE
        self._pipeline = Pipeline(
            detector,
            self._gripper,
            self._tf,
            self._cell.base_frame,
            self._camera_frame,
            self._cell.workspace_box(),
            self._p["voxel"],
            self._p["max_points"],
            self._p["detect_timeout"],
        )
        if not self._p["detector_python"]:
            import torch  # loaded here: the start-up of a node that fails earlier stays fast

            torch.set_num_threads(self._p["torch_threads"])
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to clouds."""
        self._subscription = self.data_node.create_subscription(
            PointCloud2, self._cloud_topic, self._on_cloud, qos.LATEST
        )
        self._active.set()
        if self._p["continuous"] > 0.0:
            self._loop = threading.Thread(target=self._run_continuously, name="continuous detection", daemon=True)
            self._loop.start()
        self.get_logger().info(f"detector '{self._p['detector']}' for {self._gripper.name} on {self._cloud_topic}")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening; a goal under way comes to its end."""
        self._active.clear()
        if self._subscription is not None:
            self.data_node.destroy_subscription(self._subscription)
            self._subscription = None
        self._inbox.clear()
        if self._loop is not None:
            self._loop.join(timeout=self._p["detect_timeout"])
            self._loop = None
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop the detector."""
        if self._pipeline is not None:
            self._pipeline.close(timeout_s=0.0)
            self._pipeline = None
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop everything."""
        self._active.clear()
        return self.on_cleanup(state)

    def close(self) -> None:
        """End the threads; sets `hangs` when the detector does not return."""
        self._closing.set()
        self._active.clear()
        if self._loop is not None:
            self._loop.join(timeout=_CLOSE_S)
        if self._pipeline is not None:
            self.hangs = not self._pipeline.close(_CLOSE_S)

    # Receiving.

    def _on_cloud(self, msg: PointCloud2) -> None:
        self._clouds.tick()
        self._inbox.put(msg)

    def _on_time_jump(self, jump: TimeJump) -> None:
        self._inbox.clear()
        self._tf.clear()
        self._faults.add("time reset", WARN, f"ROS time jumped by {jump.delta.nanoseconds / _S:.1f} s: starting afresh")

    def _now(self) -> int:
        return self.get_clock().now().nanoseconds

    # Detecting.

    def _execute(self, goal: ServerGoalHandle) -> DetectGrasps.Result:
        if not self._goal_lock.acquire(blocking=False):
            return self._end(goal, ErrorCode.BUSY, "another detect_grasps goal is being executed: wait for its result")
        started = time.perf_counter()
        try:
            detection = self._serve(goal, started)
            self._publish(detection)
            return self._end(goal, ErrorCode.NONE, "", detection)
        except Cancelled:
            return self._end(goal, ErrorCode.CANCELLED, "cancelled by the client")
        except SeegraspError as error:
            return self._end(goal, error.code, str(error))
        except Exception as error:
            self.get_logger().error(traceback.format_exc())
            return self._end(goal, ErrorCode.INTERNAL, f"{type(error).__name__}: {error}")
        finally:
            self._goal_lock.release()

    def _serve(self, goal: ServerGoalHandle, started: float) -> Detection:
        if not self._active.is_set():
            raise SeegraspError("detector_node is not active: activate it", ErrorCode.DETECTOR_FAILED)
        request = self._request(goal.request)
        cancelled = lambda: goal.is_cancel_requested or self._closing.is_set()  # noqa: E731
        goal.publish_feedback(DetectGrasps.Feedback(stage="wait_cloud"))
        cloud = self._inbox.wait(request.not_before, self._p["cloud_timeout"], cancelled)
        waited = 1e3 * (time.perf_counter() - started)
        goal.publish_feedback(DetectGrasps.Feedback(stage="detect"))
        detection = self._pipeline.run(cloud, request, cancelled)
        total = 1e3 * (time.perf_counter() - started)
        detection.timings = {"wait_cloud": waited} | detection.timings | {"total": total}
        return detection

    def _request(self, goal: DetectGrasps.Goal) -> Request:
        try:
            return Request(
                region=region_to_box(goal.region, self._cell.base_frame),
                max_grasps=goal.max_grasps or self._p["max_grasps"],
                min_score=check_score(goal.min_score),
                not_before=stamp_to_ns(goal.not_before),
            )
        except InputError as error:
            raise SeegraspError(str(error), ErrorCode.INVALID_GOAL) from None

    def _end(
        self, goal: ServerGoalHandle, code: ErrorCode, message: str, detection: Detection | None = None
    ) -> DetectGrasps.Result:
        result = DetectGrasps.Result(error_code=int(code), error_msg=message)
        if detection is not None:
            result.grasps = self._to_msg(detection)
            result.timings = timings_to_msgs(detection.timings)
            goal.succeed()
        elif code == ErrorCode.CANCELLED and goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.abort()
            self._note(code, message)
        return result

    def _note(self, code: ErrorCode, message: str) -> None:
        quiet = code in (ErrorCode.NO_GRASP, ErrorCode.EMPTY_CLOUD, ErrorCode.BUSY)
        self._faults.add(code.name, WARN if quiet else ERROR, message)

    def _run_continuously(self) -> None:
        """Detect in every new cloud, at most `continuous` times a second; goals have precedence."""
        region = self._cell.pick_region() if self._p["region"] == "pick" else None
        request = Request(region, self._p["max_grasps"], self._p["min_score"])
        last, stopped = None, lambda: self._closing.is_set() or not self._active.is_set()
        while not stopped():
            begin = time.monotonic()
            stamp = self._inbox.stamp()
            if stamp is not None and stamp != last and not self._goal_lock.locked():
                last = stamp
                self._detect_once(request, stopped)
            self._closing.wait(max(0.005, begin + 1.0 / self._p["continuous"] - time.monotonic()))

    def _detect_once(self, request: Request, stopped) -> None:
        try:
            cloud = self._inbox.wait(0, 0.0, stopped)
            self._publish(self._pipeline.run(cloud, request, stopped))
        except Cancelled:
            return
        except SeegraspError as error:
            self._note(error.code, str(error))
            if error.code in (ErrorCode.NO_GRASP, ErrorCode.EMPTY_CLOUD):
                empty = Grasps.empty(self._p["detector"])
                self._publish(Detection(empty, self._cell.base_frame, stamp_to_ns(cloud.header.stamp)))

    def _to_msg(self, d: Detection) -> GraspArray:
        return grasps_to_msg(d.grasps, d.frame, d.stamp, self._p["detector"], self._gripper.name, d.timings)

    def _publish(self, detection: Detection) -> None:
        self._grasps.publish(self._to_msg(detection))
        self._markers.publish(grasp_markers(detection.grasps, self._gripper, detection.frame, detection.stamp))
        self._detections.tick()
        self._last = {
            "grasps": len(detection.grasps),
            "detect_ms": detection.timings.get("detect", -1.0),
            "age_ms": (self._now() - detection.stamp) / 1e6,
        }

    # Reporting.

    def _report(self) -> Report:
        if not self._active.is_set():
            return Report(STALE, f"not active: {self._failure or 'configure and activate the node'}")
        report = Report(OK)
        if (idle := self._clouds.idle_s()) > _SILENT_S:
            publishers = self.data_node.count_publishers(self._cloud_topic)
            hint = f"{publishers} publishers; is camera_node running and not rejecting its images?"
            report.worse(ERROR, f"nothing on {self._cloud_topic} for {idle:.0f} s ({hint})")
        self._faults.apply(report)
        report.values = {
            "cloud_hz": self._clouds.rate(),
            "detections": self._detections.total,
            "tf_age_ms": -1.0 if self._tf.age_s is None else 1e3 * self._tf.age_s,
            "device": str(self._detector_params.get("device", "cpu")),
            **self._last,
            **{f"failed: {reason}": count for reason, count in self._faults.counts().items()},
        }
        return report


def main() -> None:
    """Run detector_node until a signal ends it."""
    nodes: list[Node] = []

    def make() -> list[Node]:
        node = DetectorNode()
        nodes[:] = [node, node.data_node]
        return nodes

    code = run_node(make, threads=_THREADS)
    if nodes and nodes[0].hangs:
        print("detector_node: the detector did not return, leaving without it", file=sys.stderr, flush=True)
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
