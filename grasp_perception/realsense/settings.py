"""What can be set of a RealSense camera."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from grasp_core.errors import ConfigError

KEEP = "keep"
EMITTER = (KEEP, "on", "off")


@dataclass(frozen=True, order=True)
class Mode:
    """Size in px and frames per second of a stream."""

    width: int
    height: int
    fps: int

    @classmethod
    def parse(cls, text: str, name: str) -> Mode:
        """From '640x480x30', as realsense-ros writes it; ConfigError that names the parameter `name`."""
        match = re.fullmatch(r"\s*(\d+)\s*[x,]\s*(\d+)\s*[x,]\s*(\d+)\s*", text)
        if match is None or not all(int(n) for n in match.groups()):
            raise ConfigError(f"{name} is {text!r}: expected <width>x<height>x<frames per second>, as 640x480x30")
        return cls(*(int(n) for n in match.groups()))

    def __str__(self) -> str:
        return f"{self.width}x{self.height}x{self.fps}"


@dataclass(frozen=True)
class Settings:
    """What a camera is set to before it streams.

    Attributes:
        serial: the device's serial number; empty: the only one. A leading _, as realsense-ros wants it, is left out.
        depth, color: modes of the two streams.
        preset: name of a preset of the device, path of a JSON file with one, or empty: as the device is.
        emitter: the infrared projector: on, off, or keep (as the preset or device has it).
        laser_power: mW; negative: as the preset or device has it.
        decimation: depth pixels, in each direction, that become one; 1: off.
        spatial, temporal: the library's smoothing filters. Temporal smears what moves, or is seen by a moving camera.
        threshold: leave out depth beyond the camera's near and far limits, so that published images show what is used.
        reset: reset the device when its frames stay away.
    """

    serial: str = ""
    depth: Mode = Mode(640, 480, 30)
    color: Mode = Mode(640, 480, 30)
    preset: str = ""
    emitter: str = KEEP
    laser_power: float = -1.0
    decimation: int = 1
    spatial: bool = False
    temporal: bool = False
    threshold: bool = False
    reset: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "serial", self.serial.strip().removeprefix("_"))
        if self.emitter not in EMITTER:
            raise ConfigError(f"emitter is {self.emitter!r}: expected one of {', '.join(EMITTER)}")
        if not 1 <= self.decimation <= 8:
            raise ConfigError(f"decimation is {self.decimation}: expected 1 (off) to 8")
        if self.preset_file is not None and not self.preset_file.is_file():
            raise ConfigError(f"preset {self.preset}: no such file")

    @property
    def preset_file(self) -> Path | None:
        """The JSON file that `preset` names, if it names one."""
        return Path(self.preset).expanduser() if self.preset.lower().endswith(".json") else None
