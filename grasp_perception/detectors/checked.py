"""The door that every detector is called through: whatever it does wrong becomes one clear error."""

from __future__ import annotations

import importlib
import math
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from grasp_core.cell import Box
from grasp_core.errors import DetectorError, GraspsError, InputError, SeegraspError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation

_DOOR = (__file__, str(Path(__file__).with_name("__init__.py")), importlib.__file__)
MAX_GRASPS = 200_000  # of one call; more is a detector that forgot to choose, and would fill memory downstream


class Checked:
    """A detector whose failures and malformed results become one clear DetectorError."""

    def __init__(self, name: str, inner: Any) -> None:
        """`inner` is the detector that is called; `name` is what errors call it."""
        self.name = name
        self.inner = inner
        self._timings: dict[str, float] = {}

    @property
    def timings(self) -> dict[str, float]:
        """Milliseconds per stage of the last call, empty where the detector does not tell."""
        return dict(self._timings)

    def detect(self, observation: Observation, gripper: Gripper, region: Box | None = None) -> Grasps:
        """See Detector; raises DetectorError, or the SeegraspError that the detector raised."""
        self._timings = {}
        try:
            grasps = self.inner.detect(observation, gripper, region)
            timings = getattr(self.inner, "timings", {})
        except GraspsError as error:
            raise DetectorError(f"detector {self.name!r} made malformed grasps: {error}") from error
        except SeegraspError:
            raise
        except (Exception, SystemExit) as error:
            raise DetectorError(f"detector {self.name!r} raised {described(error)}") from error
        sound = self._sound(grasps, gripper)
        self._timings = self._numbers(timings)
        return sound

    def reset(self, seed: int) -> None:
        """Begin something new (a scene): the detector forgets what it has seen and takes this seed, if it can.

        Raises:
            DetectorError: its ``reset`` raised.
        """
        reset = getattr(self.inner, "reset", None)
        if reset is None:
            return
        try:
            reset(seed)
        except SeegraspError:
            raise
        except (Exception, SystemExit) as error:
            raise DetectorError(f"reset({seed}) of detector {self.name!r} raised {described(error)}") from error

    def close(self) -> None:
        """End the process that the detector lives in; nothing for one that lives in this process."""
        if (close := getattr(self.inner, "close", None)) is not None:
            close()

    def _sound(self, grasps: Any, gripper: Gripper) -> Grasps:
        """The grasps, best first, once every one of them is known to be sound."""
        if not isinstance(grasps, Grasps):
            raise DetectorError(f"detector {self.name!r} returned {type(grasps).__name__}, expected Grasps")
        if len(grasps) > MAX_GRASPS:
            raise DetectorError(
                f"detector {self.name!r} returned {len(grasps)} grasps, at most {MAX_GRASPS} are taken: keep the best "
                "of them (Grasps.nms, or a threshold)"
            )
        try:
            grasps = replace(grasps)  # checks the shapes again: its arrays may have been exchanged
            return grasps.validate(gripper.max_width, f"detector {self.name!r}").sorted() if len(grasps) else grasps
        except (InputError, TypeError, ValueError) as error:
            raise DetectorError(f"detector {self.name!r}: {error}; its result was dropped") from error

    def _numbers(self, timings: Any) -> dict[str, float]:
        wrong = f"detector {self.name!r}: timings must be a dict of stage -> finite milliseconds"
        if not isinstance(timings, Mapping):
            raise DetectorError(f"{wrong}, got {type(timings).__name__}")
        try:
            numbers = {str(stage): float(value) for stage, value in timings.items()}
        except (TypeError, ValueError) as error:
            raise DetectorError(f"{wrong}: {error}") from error
        if bad := [stage for stage, value in numbers.items() if not math.isfinite(value)]:
            raise DetectorError(f"{wrong}; {bad[0]!r} is {numbers[bad[0]]}")
        return numbers


def described(error: BaseException) -> str:
    """Type and message of an exception in one line, and where in the detector it was raised."""
    frames = outer_frames(error)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def outer_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of its traceback without those of this package's door and of Python's import system."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f for f in frames if not f.filename.startswith("<frozen ") and f.filename not in _DOOR]
