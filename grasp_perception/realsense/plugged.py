"""RealSense cameras that USB knows of, whether or not the library can open them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

USB = Path("/sys/bus/usb/devices")
NODES = Path("/dev/bus/usb")
_RETIRED = ("L515", "SR30", "SR300", "F200", "R200", "LR200", "ZR300", "T265")  # librealsense 2.55.1 dropped the last
_UDEV = (
    "install librealsense's udev rules (99-realsense-libusb.rules in /etc/udev/rules.d, then `sudo udevadm control "
    "--reload-rules && sudo udevadm trigger`) and plug the camera in again"
)


@dataclass(frozen=True)
class UsbCamera:
    """A camera on USB: what it calls itself, its port, its speed in Mbit/s, and whether this user may open it."""

    product: str
    port: str
    speed: float
    allowed: bool

    def __str__(self) -> str:
        return f"{self.product} at USB port {self.port} ({self.speed:g} Mbit/s)"


def usb_cameras(usb: Path = USB, nodes: Path = NODES) -> list[UsbCamera]:
    """Every USB device that calls itself a RealSense; empty where there is no /sys."""
    found = []
    for folder in sorted(usb.glob("*")):
        product = _text(folder / "product")
        if "realsense" not in product.lower():
            continue
        node = nodes / f"{int(_text(folder / 'busnum') or 0):03d}" / f"{int(_text(folder / 'devnum') or 0):03d}"
        speed = float(_text(folder / "speed") or 0.0)
        found.append(UsbCamera(product, folder.name, speed, os.access(node, os.R_OK | os.W_OK)))
    return found


def why_none(cameras: list[UsbCamera]) -> str:
    """Why the library lists no camera, and what to do, given those on USB."""
    if not cameras:
        return (
            "no RealSense is plugged in: USB knows none either (`lsusb`). Check cable and port; in a container, hand "
            "/dev/bus/usb and /dev/video* in"
        )
    listed = ", ".join(map(str, cameras))
    if any(name in camera.product.upper() for camera in cameras for name in _RETIRED):
        return (
            f"plugged in: {listed}, but librealsense no longer knows that model: 2.54.2 was the last version for the "
            "L515 and the SR300. Run a realsense-ros of that time, and camera_node with source:=topics"
        )
    if not all(camera.allowed for camera in cameras):
        return f"plugged in: {listed}, but this user may not open it: {_UDEV}"
    return (
        f"plugged in: {listed}, but the library does not list it: another process may hold it (realsense-ros, "
        f"realsense-viewer), or it hangs. Close the other, plug it in again; or {_UDEV}"
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
