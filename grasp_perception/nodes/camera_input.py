"""What camera_node gets from where its images come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import Camera
from grasp_ros.diagnostics import RateMeter, Report

SILENT_S = 1.2  # /diagnostics tells a quarter of a second later


@dataclass(frozen=True)
class Pictures:
    """Depth (H, W) float32 in m, colour (H, W, 3) uint8 RGB or None, and their camera."""

    depth: NDArray[np.float32]
    color: NDArray[np.uint8] | None
    camera: Camera


class Frame(Protocol):
    """One moment, still as it came: `pictures` is called in the worker's thread."""

    stamp: int

    def pictures(self) -> Pictures:
        """Turn it into arrays; InputError when it cannot be used."""


class Input(Protocol):
    """Calls the node's `on_frame` with every frame, `on_reset` with the reason when time jumped back.

    `rates` has a meter for every stream; `hardware_id` names the device or namespace; `paced`: every frame is waited
    for, none may be left out.
    """

    rates: Mapping[str, RateMeter]
    hardware_id: str
    paced: bool

    def describe(self) -> str:
        """Where images come from, for the log."""

    def start(self) -> None:
        """Begin to call `on_frame`."""

    def reset(self) -> None:
        """Forget what belongs to another time line."""

    def report(self, report: Report) -> Mapping[str, object]:
        """Raise the report's level where images stay away; more values for it."""

    def close(self) -> None:
        """End."""
