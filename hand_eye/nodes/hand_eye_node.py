"""hand_eye_node: publishes where the cell's calibrated cameras are on /tf_static."""

from __future__ import annotations

import sys
import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from grasp_core.cell import Cell, MountedCamera
from grasp_core.errors import FrameError, InputError
from grasp_ros import qos
from grasp_ros.conversions import transform_to_matrix, transforms_to_tf
from grasp_ros.diagnostics import ERROR, WARN, Diagnostics, Report
from grasp_ros.params import Params
from grasp_ros.runtime import run_node
from hand_eye.camera_tree import StaticTree
from hand_eye.nodes.serials import serials_in

_LOOK_S = 0.25


class HandEyeNode(Node):
    """Waits for the camera drivers' own frames, then hangs the cameras onto the arm; again when those frames change."""

    def __init__(self) -> None:
        super().__init__("hand_eye_node")
        params = Params(self)
        self._cell = Cell.load(params.declare("cell", "bin_picking", "cell profile: cameras and their calibrations"))
        self._wait = params.declare("wait", 3.0, "s to wait for the camera drivers' own frames", 0.0, 60.0)
        params.check_unknown()
        self._cameras = [camera for camera in self._cell.cameras if camera.hand_eye is not None]
        self._began = time.monotonic()
        self._tree = StaticTree()
        self._published: list[tuple[str, str, np.ndarray]] = []
        self._problems: dict[str, str] = {}
        self._serials: dict[str, set[str]] = {}
        self._publisher = self.create_publisher(TFMessage, "/tf_static", qos.LATCHED)
        self.create_subscription(TFMessage, "/tf_static", self._on_static, qos.TF_STATIC)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.RELIABLE)
        self.create_timer(_LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._diagnostics = Diagnostics(self)
        self._diagnostics.add("transforms", self._report)
        if not self._cameras:
            self.get_logger().warning(f"cell {self._cell.name}: no camera has a calibration; nothing to publish")

    def _on_static(self, msg: TFMessage) -> None:
        mine = {(parent, child) for parent, child, _ in self._published}
        for item in msg.transforms:
            parent, child = item.header.frame_id.strip("/"), item.child_frame_id.strip("/")
            if (parent, child) in mine:
                continue
            try:
                T = transform_to_matrix(item.transform, f"/tf_static: {parent} -> {child}")
            except InputError as error:
                self.get_logger().error(f"{error}: transform not used", throttle_duration_sec=5.0)
            else:
                self._tree.add(parent, child, T)

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for camera in self._cameras:
            self._serials.setdefault(camera.namespace, set()).update(serials_in(msg, camera.namespace))

    def _look(self) -> None:
        """Publish what is to be published now, if that is not what was published last."""
        if time.monotonic() - self._began < self._wait:
            return
        wanted = [found for camera in self._cameras if (found := self._transform(camera)) is not None]
        if wanted and not _same(wanted, self._published):
            self._published = wanted
            self._publisher.publish(transforms_to_tf(wanted, self.get_clock().now().nanoseconds))
            told = ", ".join(f"{parent} -> {child}" for parent, child, _ in wanted)
            self.get_logger().info(f"published {told}")

    def _transform(self, camera: MountedCamera) -> tuple[str, str, np.ndarray] | None:
        try:
            child, T = self._tree.hang(camera.parent, camera.frame, camera.T_parent_optical)
        except FrameError as error:
            if self._problems.get(camera.namespace) != str(error):
                self.get_logger().error(f"camera {camera.namespace}: {error}")
            self._problems[camera.namespace] = str(error)
            return None
        self._problems.pop(camera.namespace, None)
        return camera.parent, child, T

    def _report(self) -> Report:
        report = Report()
        if not self._cameras:
            report.worse(WARN, f"no camera of cell {self._cell.name} has a calibration")
        values: dict[str, object] = {}
        for camera in self._cameras:
            kept = camera.hand_eye
            values[f"{camera.namespace}_date"] = kept.date.isoformat()
            values[f"{camera.namespace}_uncertainty_mm"] = kept.uncertainty.mm
            if kept.verdict != "trust":
                report.worse(
                    WARN, f"camera {camera.namespace}: its calibration is to be made better: collect more views"
                )
            seen = self._serials.get(camera.namespace, set())
            if kept.serial and seen and kept.serial not in seen:
                report.worse(
                    ERROR,
                    f"camera {camera.namespace} has serial {', '.join(sorted(seen))}, calibrated was {kept.serial}: "
                    "calibrate this one",
                )
        for namespace, problem in self._problems.items():
            report.worse(ERROR, f"camera {namespace}: {problem}")
        values["published"] = ", ".join(f"{parent} -> {child}" for parent, child, _ in self._published)
        report.values = values
        return report


def _same(a: list[tuple[str, str, np.ndarray]], b: list[tuple[str, str, np.ndarray]]) -> bool:
    return [x[:2] for x in a] == [x[:2] for x in b] and all(
        np.allclose(x[2], y[2], atol=1e-9) for x, y in zip(a, b, strict=True)
    )


def main() -> int:
    """Entry point of hand_eye_node."""
    return run_node(HandEyeNode)


if __name__ == "__main__":
    sys.exit(main())
