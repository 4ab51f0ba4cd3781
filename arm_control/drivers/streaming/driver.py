"""The arm for its node: sessions started, watched and replaced; motions with an end that can be waited for."""

from __future__ import annotations

import itertools
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

from arm_control.drivers.streaming import messages as m
from arm_control.drivers.streaming.faults import ArmFault, ArmState, LinkFault, link_lost
from arm_control.drivers.streaming.servo import ServoLimits
from arm_control.drivers.streaming.session import SessionSettings
from grasp_core.errors import ErrorCode
from grasp_core.follower import Tolerances
from grasp_core.trajectory import Spline

_RETRY = 1.0  # s between two sessions
_JOIN = 4.0  # s for a session to brake and end
_SLACK = 1.0  # s


class Motion:
    """A motion under way; ``ended`` is set once, when it is over."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.ended: m.Ended | None = None
        self._event = threading.Event()

    def wait(self, timeout: float) -> bool:
        """Whether it has ended within ``timeout`` s."""
        return self._event.wait(timeout)

    def end(self, ended: m.Ended) -> None:
        """Called by the driver."""
        self.ended = ended
        self._event.set()


class ArmDriver:
    """One robot. Thread-safe.

    Args:
        silence: s without a word of a session that is connected until it is ended by force.
        on_update: called for every state, from the driver's thread.
        log: called with one line when the link or a fault changes.
    """

    def __init__(
        self,
        settings: SessionSettings,
        silence: float,
        on_update: Callable[[ArmState], None],
        log: Callable[[str], None],
    ) -> None:
        self._settings, self._silence = settings, silence
        self._on_update, self._log = on_update, log
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._pipe: Connection | None = None
        self._motions: dict[int, Motion] = {}
        self._resumed: m.Resumed | None = None
        self._answered = threading.Event()
        self._closing = threading.Event()
        self.on_gripped: Callable[[m.Gripped | None], None] = lambda ended: None  # None: the session has ended
        self.connection: m.Connected | None = None
        self.update: m.Update | None = None
        self.problem = "not connected yet"  # why the arm must not be moved; "": it may
        self._thread = threading.Thread(target=self._run, name="arm driver", daemon=True)
        self._thread.start()

    def state(self) -> ArmState:
        """The newest state; ArmFault where there is none, or the arm must not be moved."""
        update = self.update
        if update is None or self.connection is None:
            raise LinkFault(self.problem)
        if self.problem:
            raise ArmFault(self.problem)
        return update.state

    def follow(self, spline: Spline, tolerances: Tolerances) -> Motion:
        """Follow a trajectory that begins where the arm is."""
        return self._start(lambda number: m.Follow(number, spline, tolerances))

    def servo(self, limits: ServoLimits, settle: float) -> Motion:
        """Stream poses, given by `aim`, until the arm has rested at its target for ``settle`` s (0: no end)."""
        return self._start(lambda number: m.Servo(number, limits, settle))

    def aim(self, T_base_tcp: np.ndarray, time: float) -> None:
        """The servo's newest target in base_link, 4x4, seen at steady ``time`` s."""
        self.send(m.Aim(np.array(T_base_tcp), time))

    def cancel(self, motion: Motion) -> None:
        """Brake and hold; the motion ends when the arm stands."""
        self.send(m.Cancel(motion.number))

    def resume(self) -> str:
        """After a stop: be ready again; "" or why not."""
        self._answered.clear()
        if not self.send(m.Resume()):
            return self.problem
        if not self._answered.wait(self._settings.link.recovering + _SLACK):
            return "no answer from the robot: see the pendant"
        return self._resumed.message

    def close(self) -> None:
        """Brake, end the session and the driver."""
        self._closing.set()
        self.send(m.Quit())
        self._thread.join(timeout=_JOIN + 1.0)

    def _start(self, make: Callable[[int], object]) -> Motion:
        motion = Motion(next(self._numbers))
        with self._lock:
            self._motions[motion.number] = motion
        if not self.send(make(motion.number)):
            self._end(m.Ended(motion.number, ErrorCode.CONTROLLER_UNAVAILABLE, self.problem))
        return motion

    def send(self, message: object) -> bool:
        """Whether the session got it."""
        with self._lock:
            try:
                if self._pipe is None or self.connection is None:
                    return False
                self._pipe.send(message)
                return True
            except OSError:  # the session has just ended
                return False

    def _end(self, ended: m.Ended) -> None:
        with self._lock:
            motion = self._motions.pop(ended.number, None)
        if motion is not None:
            motion.end(ended)

    # sessions

    def _run(self) -> None:
        while not self._closing.is_set():
            lost = self._session()
            with self._lock:
                self._pipe, self.connection = None, None
                motions, self._motions = self._motions, {}
            for number, motion in motions.items():
                motion.end(m.Ended(number, lost.code, lost.message))
            self._tell(lost.message)
            self.on_gripped(None)
            self._closing.wait(_RETRY)

    def _session(self) -> m.Lost:
        """One session from its start to its end: why it has ended."""
        ours, theirs = multiprocessing.Pipe()
        argv = [sys.executable, "-m", "arm_control.drivers.streaming.session_process", str(theirs.fileno())]
        with subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL) as process:
            theirs.close()
            ours.send(self._settings)
            with self._lock:
                self._pipe = ours
            try:
                return self._listen(ours)
            finally:
                ours.close()
                self._await_end(process)

    def _listen(self, pipe: Connection) -> m.Lost:
        heard, quiet = time.monotonic(), self._settings.link.connecting
        while True:
            try:
                if not pipe.poll(0.05):
                    age = time.monotonic() - heard
                    if age > quiet:
                        return m.Lost(ErrorCode.CONTROLLER_UNAVAILABLE, str(link_lost(age)))
                    continue
                message = pipe.recv()
            except (EOFError, OSError):
                why = "" if self._closing.is_set() else f"{self._settings.link.library} has ended its process"
                return m.Lost(ErrorCode.CONTROLLER_UNAVAILABLE, why)
            heard = time.monotonic()
            if isinstance(message, m.Lost):
                return message
            quiet = self._settings.link.recovering if isinstance(message, m.Quiet) else self._silence
            if isinstance(message, m.Connected):
                with self._lock:
                    self.connection = message
            else:
                self._hear(message)

    def _hear(self, message: object) -> None:
        if isinstance(message, m.Update):
            self.update = message
            self._tell(message.fault)
            self._on_update(message.state)
        elif isinstance(message, m.Ended):
            self._end(message)
        elif isinstance(message, m.Gripped):
            self.on_gripped(message)
        elif isinstance(message, m.Resumed):
            self._resumed = message
            if not message.message and self.update is not None:
                self._tell("")  # who hears of it may send a motion at once
            self._answered.set()

    def _await_end(self, process: subprocess.Popen) -> None:
        try:
            process.wait(_JOIN if self._closing.is_set() else 0.2)
        except subprocess.TimeoutExpired:
            process.kill()  # what it held is closed by the system; the robot's watchdog stops the arm

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._log(problem or "connected: the arm can be moved")
