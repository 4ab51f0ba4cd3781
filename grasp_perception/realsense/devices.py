"""Finding a RealSense camera among those that are connected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grasp_perception.realsense.library import realsense
from grasp_perception.realsense.plugged import usb_cameras, why_none
from grasp_perception.realsense.source import SourceError


class Devices:
    """The cameras that the library knows; keeps its context, so make one and use it for long."""

    def __init__(self) -> None:
        self._context = realsense().context()

    def present(self) -> list[Any]:
        """Every connected device; SourceError when the library cannot list them."""
        try:
            return list(self._context.query_devices())
        except RuntimeError as error:
            raise SourceError(f"librealsense cannot list cameras ({error}): {why_none(usb_cameras())}") from error

    def is_connected(self, device: Any) -> bool:
        """Whether it is still there."""
        return device.is_connected()

    def reset(self, device: Any) -> None:
        """Restart its firmware: it goes away and comes back."""
        device.hardware_reset()


def info(device: Any, key: str) -> str:
    """One of the library's camera_info values, such as serial_number; empty when the device does not tell."""
    item = getattr(realsense().camera_info, key)
    return device.get_info(item) if device.supports(item) else ""


def described(device: Any) -> str:
    """How messages name a device."""
    return f"{info(device, 'name')} (serial {info(device, 'serial_number')})"


def find(devices: Devices, serial: str, explain: Callable[[], str] = lambda: why_none(usb_cameras())) -> Any:
    """The device with that serial number, or the only one when that is empty.

    SourceError: there is none (says what USB knows, by `explain`), none with that number (lists them), or several and
    no number to choose by.
    """
    present = devices.present()
    if not present:
        raise SourceError(f"no RealSense found: {explain()}")
    fitting = [d for d in present if not serial or info(d, "serial_number") == serial]
    listed = ", ".join(map(described, present))
    if not fitting:
        raise SourceError(f"no RealSense with serial number '{serial}' is connected; there are: {listed}")
    if len(fitting) > 1:
        raise SourceError(f"several RealSense cameras are connected: {listed}; choose by serial number")
    return fitting[0]
