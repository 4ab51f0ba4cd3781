"""What every source of depth frames is, and what it hands out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import Camera
from grasp_core.errors import ErrorCode, SeegraspError


class SourceError(SeegraspError):
    """A camera that does not deliver: not there, in use, or failing; the message says which and what to do."""

    code = ErrorCode.NO_DEPTH


class EndOfRecording(SeegraspError):
    """A recording has been played to its end, and is not to be repeated."""


@dataclass(frozen=True)
class DepthFrame:
    """Depth and colour of one moment, pixel on pixel, of a camera without distortion.

    Attributes:
        depth: (H, W) uint16 in units of `camera.depth_scale`; 0: not measured.
        color: (H, W, 3) uint8 RGB.
        camera: that both pictures belong to, in the colour stream's optical frame.
        stamp: ns of the host's clock since the epoch.
    """

    depth: NDArray[np.uint16]
    color: NDArray[np.uint8]
    camera: Camera
    stamp: int


class DepthSource(Protocol):
    """A camera, or what stands in for one. Not thread-safe: one thread starts, reads and stops it."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def facts(self) -> Mapping[str, object]:
        """For diagnostics: model, serial number, …; empty before the first start. Never changed in place."""

    @property
    def concerns(self) -> tuple[str, ...]:
        """What works, but not as it should."""

    def start(self) -> None:
        """Begin to stream. SourceError when that may succeed later, ConfigError when something must be changed."""

    def read(self, timeout_s: float) -> DepthFrame | None:
        """The next frame; None when there was none in time. SourceError, or EndOfRecording."""

    def silent(self, for_s: float) -> str:
        """Why no frame came for so long: what is missing, as far as the source knows."""

    def stop(self) -> None:
        """End streaming; never raises, and does nothing when it does not stream."""

    def recover(self) -> None:
        """After `stop`: do what may bring lost frames back (a reset); returns when `start` may be tried."""
