"""A recording of a RealSense camera (.bag, or .db3 of newer versions) as a source of depth frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from grasp_core.errors import ConfigError
from grasp_perception.realsense.devices import info
from grasp_perception.realsense.filters import DepthFilters
from grasp_perception.realsense.framing import FrameMaker
from grasp_perception.realsense.library import realsense
from grasp_perception.realsense.profiles import choose, mode_of
from grasp_perception.realsense.settings import Settings
from grasp_perception.realsense.source import DepthFrame, EndOfRecording, SourceError
from grasp_perception.realsense.streams import Streams

_SUFFIXES = (".bag", ".db3")
_ROS_2 = "ROS 2 bags (.mcap, .db3 with image topics) are played by `seegrasp replay`"
_MS = 1_000_000


class Recording:
    """A `DepthSource` over librealsense's playback.

    A recording has no transforms, so its frames are stamped as if the camera saw them now: in real time at their
    recorded distances from the first one, else when they are handed out. Of the settings only the filters count.
    """

    def __init__(
        self,
        path: str | Path,
        settings: Settings,
        frame: str,
        near: float,
        far: float,
        real_time: bool = True,
        loop: bool = True,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        """`real_time`: at the recorded pace, else as fast as frames are read, none left out; `loop`: begin again at
        the end. ConfigError: no such file, or not a RealSense recording.
        """
        self._path = Path(path).expanduser()
        self._settings, self._frame, self._near, self._far = settings, frame, near, far
        self._real_time, self._loop, self._now = real_time, loop, now
        self._streams: Streams | None = None
        self._maker: FrameMaker | None = None
        self._first: tuple[int, int] | None = None  # stamp of the first frame, and when it was handed out
        self._any = False
        self.facts: Mapping[str, object] = {}
        self.concerns: tuple[str, ...] = ()
        self.laps = 0
        self._playback = self._open()

    @property
    def name(self) -> str:
        return f"recording {self._path.name}"

    def _open(self) -> Any:
        if not self._path.is_file():
            raise ConfigError(f"no recording {self._path}")
        if self._path.suffix not in _SUFFIXES:
            raise ConfigError(f"{self._path} is no RealSense recording ({', '.join(_SUFFIXES)}); {_ROS_2}")
        self._context = realsense().context()
        try:
            playback = self._context.load_device(str(self._path))
            playback.query_sensors()
        except RuntimeError as error:
            raise ConfigError(f"{self._path} cannot be read as a RealSense recording: {error}; {_ROS_2}") from error
        return playback

    def start(self) -> None:
        self.stop()
        try:
            self._playback.set_real_time(self._real_time)
            depth, color = choose(self._playback, "depth", None), choose(self._playback, "color", None)
            stereo = depth[0].supports(realsense().option.stereo_baseline)
            filters = DepthFilters(self._settings, stereo, self._near, self._far)
            self._maker = FrameMaker(color[1], filters, self._frame, self._near, self._far, self._now)
            self._first, self._any = None, False
            self._streams = Streams(self.name, depth, color)
        except RuntimeError as error:
            raise SourceError(f"{self.name} cannot be played: {error}") from error
        self.facts = {
            "recording": str(self._path),
            "model": info(self._playback, "name"),
            "serial": info(self._playback, "serial_number"),
            "depth_mode": str(mode_of(depth[1])),
            "color_mode": str(mode_of(color[1])),
            "lens_px": self._maker.shift,
        }

    def read(self, timeout_s: float) -> DepthFrame | None:
        if self._streams is None:
            raise SourceError(f"{self.name} is not being played")
        pair = self._streams.read(timeout_s)
        if pair is not None:
            self._any = True
            frame = self._maker(*pair)
            return DepthFrame(frame.depth, frame.color, frame.camera, self._stamp(frame.stamp))
        if self._playback.current_status() != realsense().playback_status.stopped:
            return None
        if not self._any:
            raise ConfigError(f"{self._path} holds no colour and depth frames that belong together")
        if not self._loop:
            raise EndOfRecording(f"{self.name} has ended")
        self.laps += 1
        self.start()
        return None

    def _stamp(self, recorded: int) -> int:
        now = self._now()
        if self._first is None:
            self._first = (recorded, now)
        return self._first[1] + recorded - self._first[0] if self._real_time else now

    def silent(self, for_s: float) -> str:
        missing = "frames" if self._streams is None else self._streams.missing(for_s)
        return f"no {missing} from {self.name}"

    def stop(self) -> None:
        for part in (self._streams, self._maker):
            if part is not None:
                part.close()
        self._streams = self._maker = None

    def recover(self) -> None:
        """Nothing to do: it is started from the beginning."""
