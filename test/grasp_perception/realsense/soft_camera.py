"""A D435 made of software: the real library's sensors, syncer and alignment behind it, and faults on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pyrealsense2 as rs

from grasp_perception.realsense.settings import Mode
from grasp_perception.realsense.soft import SoftStream

VGA = Mode(640, 480, 30)
SCALE = 0.001


def intrinsics(mode: Mode, f: float, model=rs.distortion.none, coeffs: Sequence[float] = (0.0,) * 5) -> rs.intrinsics:
    made = rs.intrinsics()
    made.width, made.height, made.fx, made.fy = mode.width, mode.height, f, f
    made.ppx, made.ppy = (mode.width - 1) / 2, (mode.height - 1) / 2
    made.model, made.coeffs = model, list(coeffs)
    return made


class SoftCamera:
    """Looks at whatever `depth` (mm) and `color` hold; `alive`: sends frames; `plugged`: USB knows it."""

    def __init__(
        self,
        serial: str = "1234",
        name: str = "Intel RealSense D435",
        usb: str = "3.2",
        modes: Sequence[Mode] = (VGA,),
        lens: rs.intrinsics | None = None,
        depth_f: float = 400.0,
        depth_lens: rs.intrinsics | None = None,
        scale: float = SCALE,
        baseline_m: float = 0.0,
    ) -> None:
        self.serial, self.modes, self.scale = serial, tuple(modes), scale
        self.alive = self.plugged = self.color_alive = True
        self.domain = rs.timestamp_domain.global_time
        self.resets, self.number = 0, 0
        self.device = rs.software_device()
        told = {"name": name, "serial_number": serial, "product_line": "D400", "usb_type_descriptor": usb}
        for key, value in told.items():
            self.device.register_info(getattr(rs.camera_info, key), value)
        self.depth_stream = SoftStream(self.device, "Stereo Module", "depth")
        self.color_stream = SoftStream(self.device, "RGB Camera", "color")
        self.depth_stream.sensor.add_read_only_option(rs.option.depth_units, scale)
        self.option("emitter_enabled", 0, 2, 1)
        self.option("visual_preset", 0, 6, 0)
        extrinsics = rs.extrinsics()
        extrinsics.rotation, extrinsics.translation = np.eye(3).reshape(-1).tolist(), [baseline_m, 0.0, 0.0]
        for i, mode in enumerate(self.modes):
            depth = self.depth_stream.offer(mode, depth_lens or intrinsics(mode, depth_f), 2 * i)
            color = self.color_stream.offer(mode, lens or intrinsics(mode, 600.0), 2 * i + 1)
            depth.register_extrinsics_to(color, extrinsics)
        self.depth = np.full((self.modes[0].height, self.modes[0].width), 600, np.uint16)
        self.color = np.full((*self.depth.shape, 3), (10, 20, 30), np.uint8)

    def option(self, name: str, low: float, high: float, value: float) -> None:
        limits = rs.option_range()
        limits.min, limits.max, limits.step, limits.default = low, high, 1.0, value
        self.depth_stream.sensor.add_option(getattr(rs.option, name), limits, True)

    def value(self, name: str) -> float:
        return self.depth_stream.sensor.get_option(getattr(rs.option, name))

    def send(self, timestamp_ms: float | None = None) -> None:
        """One frame of both streams, if the camera is well."""
        if not (self.alive and self.plugged):
            return
        mode, stamp = self.modes[0], 1e3 * time.time() if timestamp_ms is None else timestamp_ms
        self.depth_stream.send(mode, self.depth, self.number, stamp, self.domain, self.scale)
        if self.color_alive:
            self.color_stream.send(mode, self.color, self.number, stamp, self.domain)
        self.number += 1

    @contextmanager
    def running(self, rate: float = 30.0) -> Iterator[SoftCamera]:
        """Send frames at that rate meanwhile."""
        done = threading.Event()

        def run() -> None:
            while not done.wait(1.0 / rate):
                self.send()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            done.set()
            thread.join()


class SoftDevices:
    """In place of `Devices`: software cameras that can be unplugged, and die until they are reset."""

    def __init__(self, *cameras: SoftCamera) -> None:
        self.cameras = cameras
        self.reset_heals, self.away_s = True, 0.1

    def present(self) -> list:
        return [c.device for c in self.cameras if c.plugged]

    def is_connected(self, device: rs.device) -> bool:
        return self._camera(device).plugged

    def reset(self, device: rs.device) -> None:
        camera = self._camera(device)
        camera.resets += 1
        camera.plugged = False

        def back() -> None:
            camera.alive = camera.color_alive = self.reset_heals
            camera.plugged = True

        threading.Timer(self.away_s, back).start()

    def _camera(self, device: rs.device) -> SoftCamera:
        serial = device.get_info(rs.camera_info.serial_number)
        return next(c for c in self.cameras if c.serial == serial)
