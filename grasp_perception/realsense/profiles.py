"""Choosing stream profiles among those that a device offers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from grasp_core.errors import ConfigError
from grasp_perception.realsense.devices import described, info
from grasp_perception.realsense.library import realsense
from grasp_perception.realsense.settings import Mode

COLOR_FORMATS = ("rgb8", "bgr8", "rgba8", "bgra8")
_FORMATS = {"depth": ("z16",), "color": COLOR_FORMATS}


def offered(device: Any, stream: str) -> list[tuple[Any, Any]]:
    """(sensor, profile) of every mode of the stream 'depth' or 'color' in a format that is understood, best first."""
    rs = realsense()
    formats = [getattr(rs.format, name) for name in _FORMATS[stream]]
    found = [
        (sensor, profile)
        for sensor in device.query_sensors()
        for profile in sensor.get_stream_profiles()
        if profile.stream_type() == getattr(rs.stream, stream) and profile.format() in formats
    ]
    return sorted(found, key=lambda item: formats.index(item[1].format()))


def mode_of(profile: Any) -> Mode:
    """Size and rate of a video profile."""
    video = profile.as_video_stream_profile()
    return Mode(video.width(), video.height(), video.fps())


def choose(device: Any, stream: str, wanted: Mode | None) -> tuple[Any, Any]:
    """(sensor, profile) of the stream in the mode `wanted`, or in the first one when that is None.

    ConfigError: not offered; lists what is.
    """
    found = offered(device, stream)
    fitting = [item for item in found if wanted is None or mode_of(item[1]) == wanted]
    if fitting:
        return fitting[0]
    if not found:
        formats = ", ".join(_FORMATS[stream])
        raise ConfigError(f"{described(device)} has no {stream} stream in one of the formats {formats}")
    usb = info(device, "usb_type_descriptor")
    hint = f" Over USB {usb} there are fewer than over USB 3." if usb.startswith("2") else ""
    raise ConfigError(
        f"{described(device)} offers no {stream} stream of {wanted}; it offers: "
        f"{_listed([mode_of(profile) for _, profile in found])}.{hint}"
    )


def _listed(modes: Sequence[Mode]) -> str:
    """Modes by size, largest first: '1280x720 at 6, 15, 30 fps; …'."""
    rates: dict[tuple[int, int], set[int]] = defaultdict(set)
    for mode in modes:
        rates[mode.width, mode.height].add(mode.fps)
    sizes = sorted(rates, reverse=True)
    return "; ".join(f"{w}x{h} at {', '.join(map(str, sorted(rates[w, h])))} fps" for w, h in sizes)
