"""Whether the arm may move: armed, and not paused; and the switch that ends what is moving. ROS-free, thread-safe.

Everything that commands arm or gripper does so inside `Interlock.motion`, streaming drivers too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from arm_control.cancel import CancelToken, wait_until
from grasp_core.errors import ErrorCode, ExecutionError

_POLL = 0.02  # s between looks whether a pause is over


def _unheard(_: bool) -> None:
    """No one listens."""


class Interlock:
    """Armed or not, paused or not. A pause ends the command that moves; its goal waits, and may go on afterwards."""

    def __init__(self, armed: bool) -> None:
        self._lock = threading.Lock()
        self._armed = armed
        self._why_not = "it was started so (parameter armed)"
        self._paused = ""
        self._moving: list[CancelToken] = []
        self.on_motion: Callable[[], None] = lambda: None  # called when a command begins and when it ends

    @property
    def armed(self) -> bool:
        """Whether motions are allowed."""
        return self._armed

    @property
    def paused(self) -> str:
        """Who paused; empty: nobody."""
        return self._paused

    @property
    def moving(self) -> bool:
        """Whether a command is under way."""
        return bool(self._moving)

    def arm(self) -> None:
        """Allow motions; a pause stays."""
        with self._lock:
            self._armed = True

    def disarm(self, why: str) -> None:
        """Refuse every command from now on; what moves is ended by cancelling its goal. A pause is over."""
        with self._lock:
            self._armed, self._why_not, self._paused = False, why, ""

    def pause(self, who: str) -> bool:
        """End what moves, and let nothing begin until `resume`; whether something moved."""
        with self._lock:
            self._paused = who
            moving = list(self._moving)
        for token in moving:
            token.cancel(f"paused by {who}")
        return bool(moving)

    def resume(self) -> bool:
        """Let motions begin again; whether there was a pause."""
        with self._lock:
            was, self._paused = self._paused, ""
        return bool(was)

    def check(self) -> None:
        """ExecutionError NOT_ARMED unless armed."""
        if not self._armed:
            raise ExecutionError(
                f"arm_node is not armed: {self._why_not}. When nobody is in the arm's reach: seegrasp arm (service "
                "~/arm)",
                ErrorCode.NOT_ARMED,
            )

    def await_resume(self, cancel: CancelToken, on_pause: Callable[[bool], None] = _unheard) -> None:
        """Return once nothing is paused; `on_pause` hears True before and False after a wait. `Cancelled`."""
        if self._paused:
            on_pause(True)
            wait_until(lambda: not self._paused, float("inf"), cancel, _POLL)
            on_pause(False)

    @contextmanager
    def motion(self, cancel: CancelToken, on_pause: Callable[[bool], None] = _unheard) -> Iterator[CancelToken]:
        """Around one command: a token that ends with `cancel` and at a pause. Waits while paused; NOT_ARMED."""
        with cancel.child() as token:
            while True:
                self.check()
                self.await_resume(cancel, on_pause)
                with self._lock:
                    if self._armed and not self._paused:
                        self._moving.append(token)
                        break
            try:
                self.on_motion()
                cancel.check()
                yield token
            finally:
                with self._lock:
                    self._moving.remove(token)
                self.on_motion()
