"""A RealSense camera as a source of depth frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from grasp_perception.realsense.devices import Devices, described, find, info
from grasp_perception.realsense.filters import DepthFilters
from grasp_perception.realsense.framing import FrameMaker
from grasp_perception.realsense.library import realsense
from grasp_perception.realsense.options import configure
from grasp_perception.realsense.profiles import choose, mode_of
from grasp_perception.realsense.settings import Settings
from grasp_perception.realsense.source import DepthFrame, SourceError
from grasp_perception.realsense.streams import Streams

_LEAVE_S = 3.0  # a device that is reset is gone by then
_RETURN_S = 15.0  # and back by then
_POLL_S = 0.2


class RealSense:
    """A `DepthSource` over librealsense: the device with a serial number, or the only one."""

    def __init__(
        self,
        settings: Settings,
        frame: str,
        near: float,
        far: float,
        devices: Devices | None = None,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        """`frame`: name of the colour optical frame; `near`, `far`: limits of use, m; `now`: the host's clock, ns."""
        self._settings, self._frame, self._near, self._far, self._now = settings, frame, near, far, now
        self._devices = devices or Devices()
        self._device: Any = None
        self._streams: Streams | None = None
        self._maker: FrameMaker | None = None
        self.facts: Mapping[str, object] = {}
        self.concerns: tuple[str, ...] = ()
        self.resets = 0

    @property
    def name(self) -> str:
        if self._device is not None:
            return f"{self.facts['model']} (serial {self.facts['serial']})"
        return f"RealSense {self._settings.serial}".rstrip()

    def start(self) -> None:
        self.stop()
        self._device = None
        device = find(self._devices, self._settings.serial)
        try:
            self._start(device)
        except RuntimeError as error:  # the library's; ours are no RuntimeError
            self.stop()
            raise SourceError(f"{described(device)} cannot be set up: {error}") from error

    def _start(self, device: Any) -> None:
        settings = self._settings
        depth, color = choose(device, "depth", settings.depth), choose(device, "color", settings.color)
        configure(device, depth[0], color[0], settings)
        self._learn(device, depth, color)
        stereo = depth[0].supports(realsense().option.stereo_baseline)
        filters = DepthFilters(settings, stereo, self._near, self._far)
        self._maker = FrameMaker(color[1], filters, self._frame, self._near, self._far, self._now)
        self._streams = Streams(self.name, depth, color)

    def _learn(self, device: Any, depth: Any, color: Any) -> None:
        self._device = device
        usb = info(device, "usb_type_descriptor")
        self.facts = {
            "model": info(device, "name"),
            "serial": info(device, "serial_number"),
            "firmware": info(device, "firmware_version"),
            "usb": usb,
            "depth_mode": str(mode_of(depth[1])),
            "color_mode": str(mode_of(color[1])),
            "hardware_resets": self.resets,
        }
        slow = f"{self.name} is connected by USB {usb}: use a USB 3 port and cable"
        self.concerns = (slow,) if usb.startswith("2") else ()

    def read(self, timeout_s: float) -> DepthFrame | None:
        if self._streams is None:
            raise SourceError(f"{self.name} does not stream")
        pair = self._streams.read(timeout_s)
        if pair is None:
            return None
        frame = self._maker(*pair)
        if "stamps" not in self.facts:
            self.facts = {**self.facts, "stamps": self._maker.domain, "lens_px": self._maker.shift}
        return frame

    def silent(self, for_s: float) -> str:
        if self._device is not None and not self._connected():
            return f"{self.name} is unplugged: no USB device any more"
        missing = "frames" if self._streams is None else self._streams.missing(for_s)
        return f"no {missing} from {self.name}"

    def stop(self) -> None:
        for part in (self._streams, self._maker):
            if part is not None:
                part.close()
        self._streams = self._maker = None

    def recover(self) -> None:
        device = self._device
        if device is None or not self._settings.reset or not self._connected():
            return
        try:
            self._devices.reset(device)
        except RuntimeError as error:
            raise SourceError(f"{self.name} does not take a reset ({error}): plug it in again") from error
        self.resets += 1
        self.facts = {**self.facts, "hardware_resets": self.resets}
        serial = str(self.facts["serial"])
        if self._wait(lambda: not self._present(serial), _LEAVE_S):
            self._wait(lambda: self._present(serial), _RETURN_S)

    def _connected(self) -> bool:
        try:
            return bool(self._devices.is_connected(self._device))
        except RuntimeError:
            return False

    def _present(self, serial: str) -> bool:
        try:
            return any(info(d, "serial_number") == serial for d in self._devices.present())
        except (RuntimeError, SourceError):  # devices that come and go cannot be asked
            return False

    @staticmethod
    def _wait(condition: Callable[[], bool], limit_s: float) -> bool:
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL_S)
        return True
