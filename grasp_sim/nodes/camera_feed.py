"""What realsense-ros publishes, rendered in a thread of its own."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, Image

from grasp_core.camera import Camera
from grasp_core.cell import MountedCamera
from grasp_ros import qos
from grasp_ros.conversions import array_to_image, info_from_camera
from grasp_ros.diagnostics import WARN, RateMeter, Report
from grasp_sim.cell_model import CellModel
from grasp_sim.noise import DepthNoise
from grasp_sim.noise.grain import grain
from grasp_sim.rendering import CellRenderer
from grasp_sim.work_cell import Snapshot


@dataclass(frozen=True)
class _Job:
    """A picture to take."""

    model: CellModel
    snapshot: Snapshot
    stamp_ns: int


class _CameraOutput:
    """Publishers, noise and timing of one camera."""

    def __init__(
        self, node: Node, mounted: MountedCamera, rate: float, noise: bool, color_noise: float, seed: tuple[int, int]
    ) -> None:
        self.name = mounted.namespace
        self.camera: Camera = mounted.camera_profile.camera(mounted.frame)
        self.period = 1.0 / rate
        self.next_ns = 0
        self.meter = RateMeter()
        self.missed = 0
        self._noise = DepthNoise.from_profile(mounted.camera_profile, None if noise else "none")
        self._color_noise = color_noise
        self._rng = np.random.default_rng(seed)
        self._publishers: dict[str, Publisher] = {
            kind: node.create_publisher(
                CameraInfo if kind.endswith("info") else Image, mounted.topic(kind), qos.RELIABLE
            )
            for kind in ("color", "color_info", "depth", "depth_info")
        }

    def due(self, stamp_ns: int) -> bool:
        """Whether it is time for the next picture; keeps the rate, without catching up after a pause."""
        if stamp_ns < self.next_ns:
            return False
        step = round(self.period * 1e9)
        self.next_ns = max(self.next_ns + step, stamp_ns + step // 2)
        return True

    def publish(self, depth: np.ndarray, color: np.ndarray, stamp_ns: int) -> None:
        """Publish a rendered look: depth with the camera's noise, colour, and the calibration of both."""
        units = self._noise(depth, self._rng, color)
        color = grain(color, self._color_noise, self._rng)
        frame, info = self.camera.frame, info_from_camera(self.camera, stamp_ns)
        self._publishers["color_info"].publish(info)
        self._publishers["depth_info"].publish(info)
        self._publishers["color"].publish(array_to_image(color, "rgb8", frame, stamp_ns))
        self._publishers["depth"].publish(array_to_image(units, "16UC1", frame, stamp_ns))
        self.meter.tick()


class CameraFeed:
    """Renders and publishes the cameras that are due. A camera that is late skips frames: the newest wins."""

    def __init__(
        self,
        node: Node,
        cameras: dict[int, MountedCamera],
        rate: float,
        noise: bool,
        color_noise: float,
        seed: int,
        lockstep: bool,
    ) -> None:
        """``cameras``: by index in the cell. ``rate`` 0: each one's own. ``lockstep``: time waits for the pictures."""
        self._log = node.get_logger()
        self._context = node.context
        self._outputs = {
            i: _CameraOutput(node, mounted, rate or mounted.rate, noise, color_noise, (seed, i))
            for i, mounted in cameras.items()
        }
        self._lockstep = lockstep
        self._jobs: dict[int, _Job] = {}
        self._busy = False
        self._changed = threading.Condition()
        self._running = True
        self._failed = ""
        self._thread = threading.Thread(target=self._run, name="cameras", daemon=True)
        self._thread.start()

    def tick(self, model: CellModel, snapshot: Snapshot, stamp_ns: int) -> None:
        """Hand over the present state to the cameras that are due; called by the simulation's thread."""
        due = [i for i, output in self._outputs.items() if output.due(stamp_ns)]
        if not due or not self._running:
            return
        with self._changed:
            for i in due:
                self._outputs[i].missed += i in self._jobs
                self._jobs[i] = _Job(model, snapshot, stamp_ns)
            self._changed.notify_all()
            while self._lockstep and self._running and (self._jobs or self._busy):
                self._changed.wait(timeout=0.5)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._running = False
            self._changed.notify_all()
        self._thread.join(timeout=5.0)

    def report(self) -> Report:
        """Frame rates and skipped frames, for /diagnostics."""
        report = Report()
        if self._failed:
            report.worse(WARN, self._failed)
        values: dict[str, object] = {}
        for output in self._outputs.values():
            values[f"{output.name}_rate_hz"] = output.meter.rate()
            values[f"{output.name}_frames"] = output.meter.total
            values[f"{output.name}_skipped"] = output.missed
        report.values = values
        return report

    def _run(self) -> None:
        renderer: CellRenderer | None = None
        model: CellModel | None = None
        try:
            while (taken := self._take()) is not None:
                index, job = taken
                if job.model is not model:
                    if renderer is not None:
                        renderer.close()
                    renderer, model = CellRenderer(job.model), job.model
                frame = renderer.render(job.snapshot, index)
                self._outputs[index].publish(frame.depth, frame.color, job.stamp_ns)
        except Exception as error:
            if self._context.ok() and self._running:  # else the node is being taken down under the publishers
                self._failed = f"rendering stopped: {error}"
                self._log.fatal(self._failed)
                self._running = False
                raise
        finally:
            if renderer is not None:
                renderer.close()

    def _take(self) -> tuple[int, _Job] | None:
        """The oldest waiting picture; None at the end."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            while self._running and not self._jobs:
                self._changed.wait(timeout=1.0)
            if not self._running:
                return None
            index = min(self._jobs, key=lambda i: self._jobs[i].stamp_ns)
            self._busy = True
            return index, self._jobs.pop(index)
