"""A detector in a process of its own, behind the same door as one in this process."""

from __future__ import annotations

import array
import json
import threading
import time
from typing import Any

import numpy as np

from grasp_core import errors
from grasp_core.cell import Box
from grasp_core.errors import ConfigError, DetectorError, DetectorTimeout, ErrorCode, SeegraspError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_perception.detectors import payload, wire
from grasp_perception.detectors.child import Child, ChildError, ChildTimeout
from grasp_perception.detectors.wire import Message

START_S = 180.0  # a large network on a cold disk
_STORY_LINES = 12


class RemoteDetector:
    """Starts the process when it is made, and again with the next call when the last one has ended it. Thread-safe."""

    def __init__(
        self,
        name: str,
        python: str,
        params: dict[str, Any],
        timeout: float | None = None,
        start_timeout: float = START_S,
    ) -> None:
        """Arguments as for make_detector; DetectorError when it cannot be started within ``start_timeout`` s."""
        self.timings: dict[str, float] = {}
        self._name, self._python = name, python
        self._params = _plain(name, params)
        self._timeout, self._start_timeout = timeout, start_timeout
        self._seed: int | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._child: Child | None = None
        with self._lock:
            self._start()

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        child = self._child
        return None if child is None else child.pid

    def detect(self, observation: Observation, gripper: Gripper, region: Box | None = None) -> Grasps:
        """See Detector; ``timings`` has ``transfer``, too: the ms that the second process costs.

        Raises what the detector raised; DetectorError when its process failed.
        """
        with self._lock:
            if self._child is None:
                self._start()
            begin = time.perf_counter()
            reply = self._ask(payload.from_look(observation, gripper, region), self._timeout)
            elapsed = 1e3 * (time.perf_counter() - begin)
        self.timings = {"transfer": elapsed - reply.header["milliseconds"], **reply.header["timings"]}
        return payload.to_grasps(reply)

    def reset(self, seed: int) -> None:
        """Hand the seed on; a process that is started later gets it, too."""
        with self._lock:
            self._seed = int(seed)
            if self._child is None:
                self._start()
            else:
                self._reset()

    def close(self) -> None:
        """End the process, also in the middle of a call, which then fails; later calls are errors."""
        self._closed = True
        if not self._lock.acquire(blocking=False):
            if (child := self._child) is not None:
                child.kill()  # the call under way does the rest
            return
        try:
            if self._child is not None:
                self._child.end()
                self._child = None
        finally:
            self._lock.release()

    def _start(self) -> None:
        if self._closed:
            raise DetectorError(f"detector {self._name!r} was closed")
        try:
            self._child = Child(self._python, self._name)
        except ChildError as error:
            raise DetectorError(f"detector {self._name!r} in a process of its own: {error}") from error
        self._ask(Message({"kind": "make", "params": self._params}, {}), self._start_timeout, starting=True)
        if self._seed is not None:
            self._reset()

    def _reset(self) -> None:
        self._ask(Message({"kind": "reset", "seed": self._seed}, {}), self._timeout)

    def _ask(self, request: Message, timeout: float | None, starting: bool = False) -> Message:
        """The reply. Whatever leaves the two sides out of step, a KeyboardInterrupt too, ends the process."""
        child, encoded = self._child, wire.encode(request.header, request.arrays)
        try:
            if self._closed:  # while it was started
                raise ChildError("was closed")
            reply = child.ask(encoded, timeout)
        except BaseException as error:
            self._child = None
            child.kill()
            child.end()
            if not isinstance(error, ChildError):
                raise
            raise self._failed(error, starting) from error
        if reply.header["kind"] != "error":
            return reply
        if starting:
            self._child = None
            child.end()
            raise self._refused(reply.header)
        raise _relayed(reply.header)

    def _failed(self, how: ChildError, starting: bool) -> DetectorError:
        if self._closed:
            return DetectorError(f"detector {self._name!r} was closed during a call")
        if not starting:
            kind = DetectorTimeout if isinstance(how, ChildTimeout) else DetectorError
            return kind(f"the process of detector {self._name!r} {how}\nThe next call starts it again.")
        return DetectorError(
            f"detector {self._name!r} in a process of {self._python}: it {how}\n"
            "That Python needs numpy, scipy, pydantic and PyYAML besides what the detector needs."
        )

    def _refused(self, header: dict[str, Any]) -> DetectorError:
        story = "\n".join(header["traceback"].strip().splitlines()[-_STORY_LINES:])
        where = f"{header['message']} (in a process of {self._python})"
        return DetectorError(f"{where}\n{story}" if story else where)


def _relayed(header: dict[str, Any]) -> SeegraspError:
    """What was raised over there."""
    kind = getattr(errors, header["class"], None)
    known = isinstance(kind, type) and issubclass(kind, SeegraspError)
    return (kind if known else DetectorError)(header["message"], ErrorCode(header["code"]))


def _plain(name: str, params: dict[str, Any]) -> dict[str, Any]:
    """Parameters as JSON has them; arrays become lists. ConfigError for what JSON cannot hold."""

    def listed(value: Any) -> Any:
        if isinstance(value, (np.ndarray, np.generic, array.array)):
            return value.tolist()
        raise TypeError(f"{value!r} is a {type(value).__name__}")

    try:
        return json.loads(json.dumps(params, default=listed))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"detector {name!r}: parameters for a process of its own are numbers, texts, lists and mappings: {error}"
        ) from error
