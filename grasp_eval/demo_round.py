"""One round of the demo: reset the scene, pick until /pick ends, ask the simulator where the objects are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.task import Future
from seegrasp_msgs.action import Pick
from seegrasp_msgs.msg import PickAttempt

from grasp_core.cell import Cell
from grasp_core.errors import ErrorCode
from grasp_eval.demo_client import DemoClient, DemoError, attempt_from_msg, split_by_tray
from grasp_eval.progress import Progress
from grasp_eval.results import Attempt, Round, error_name

GOOD_ENDS = (ErrorCode.NONE, ErrorCode.REGION_CLEARED)
STALLED_S = 30.0
CANCEL_S = 15.0
CANCEL_BROKEN_S = 5.0  # when a node is gone already


class Interrupted(Exception):
    """Ctrl-C."""


@dataclass
class Plan:
    """What a round asks for."""

    scene: str
    objects: int
    timeout_s: float
    max_attempts: int = 0


class RoundRunner:
    """Runs one round and keeps its results up to date, so that whatever ends it, they can be reported.

    `on_attempt(msg, attempt)` is called once for each attempt, from the client's thread or the caller's.
    """

    def __init__(
        self,
        client: DemoClient,
        cell: Cell,
        plan: Plan,
        seed: int,
        *,
        progress: Progress,
        abort: Callable[[], None],
        on_attempt: Callable[[PickAttempt, Attempt], None],
        on_stage: Callable[[str], None],
    ) -> None:
        self.result = Round(seed)
        self._client, self._cell, self._plan = client, cell, plan
        self._progress, self._abort = progress, abort
        self._on_attempt, self._on_stage = on_attempt, on_stage
        self._lock = threading.Lock()
        self._stage, self._attempt = "", 0
        self._wall = self._ros = self._last_end = 0.0

    def run(self) -> Round:
        """Everything from reset to ground truth. Raises DemoError, Interrupted; `result` is right nevertheless."""
        r, plan = self.result, self._plan
        self._progress.status(f"seed {r.seed}: resetting the scene")
        self._on_stage("")
        r.objects = self._client.reset(plan.scene, plan.objects, r.seed, self._abort)
        self._progress.line(f"seed {r.seed}: {len(r.objects)} objects: {', '.join(r.objects)}")
        self._wall = self._last_end = time.monotonic()
        self._ros = self._client.ros_s
        try:
            self._pick()
        finally:
            self._clock_out()
            self._ground_truth()
        return r

    def _pick(self) -> None:
        goal = Pick.Goal(max_attempts=self._plan.max_attempts)
        future = self._client.start_pick(goal, self._on_feedback, self._abort)
        try:
            self._wait(future)
        except BaseException as reason:
            self._client.cancel_pick()
            self._drain(future, CANCEL_S if isinstance(reason, Interrupted) else CANCEL_BROKEN_S)
            raise
        self._take_result(future)

    def _wait(self, future: Future) -> None:
        end = time.monotonic() + self._plan.timeout_s
        ros, moved = self._client.ros_s, time.monotonic()
        while not future.done():
            self._abort()
            now = time.monotonic()
            if (current := self._client.ros_s) != ros:
                ros, moved = current, now
            if now - moved > STALLED_S:
                raise DemoError(f"/clock has stood still for {STALLED_S:.0f} s: is the simulator alive?")
            if now > end:
                raise DemoError(f"the round did not end within {self._plan.timeout_s:.0f} s; last stage: {self._stage}")
            self._show()
            time.sleep(0.1)

    def _drain(self, future: Future, timeout_s: float) -> None:
        self._progress.line("stopping the robot")
        end = time.monotonic() + timeout_s
        while not future.done() and time.monotonic() < end:
            time.sleep(0.05)
        if future.done():
            self._take_result(future, finished=False)
        else:
            self._progress.line(f"/pick did not confirm that it stopped within {timeout_s:.0f} s")

    def _take_result(self, future: Future, finished: bool = True) -> None:
        result = future.result().result
        for msg in result.attempts:
            self._book(msg)
        r = self.result
        r.error_code, r.error_msg = result.error_code, result.error_msg
        r.picked_reported, r.finished = result.picked, finished
        self._clock_out()
        ended = error_name(r.error_code) or "done"
        self._progress.line(f"seed {r.seed}: /pick ended: {ended} {r.error_msg}".rstrip())

    def _clock_out(self) -> None:
        if not self.result.wall_s:
            self.result.wall_s = time.monotonic() - self._wall
            self.result.ros_s = max(0.0, self._client.ros_s - self._ros)

    def _ground_truth(self) -> None:
        try:
            objects = self._client.objects()
        except DemoError as error:
            self._progress.line(str(error))
            self.result.error_msg = f"{self.result.error_msg} {error}".strip()
            self.result.remaining = list(self.result.objects)
            self.result.finished = False
            return
        inside, _ = split_by_tray(objects, self._cell)
        known = self.result.objects
        self.result.in_tray = [n for n in inside if n in known]
        self.result.remaining = [n for n in known if n not in inside]
        self._progress.line(f"seed {self.result.seed}: {len(self.result.in_tray)} of {len(known)} objects in the tray")

    def _on_feedback(self, feedback: Pick.Feedback) -> None:
        if feedback.stage != self._stage:
            self._stage = feedback.stage
            self._on_stage(feedback.stage)
        self._attempt = feedback.attempt
        for msg in feedback.finished:
            self._book(msg)

    def _book(self, msg: PickAttempt) -> None:
        with self._lock:
            if any(a.index == msg.index for a in self.result.attempts):
                return
            now = time.monotonic()
            attempt = attempt_from_msg(msg, self.result.seed, now - self._last_end)
            self._last_end = now
            self.result.attempts.append(attempt)
            self.result.attempts.sort(key=lambda a: a.index)
        outcome = "picked" if msg.success else f"failed in {msg.stage}: {attempt.error} {msg.error_msg}"
        self._progress.line(f"seed {attempt.seed} attempt {msg.index}: {outcome} ({msg.duration_s:.1f} s)")
        self._on_attempt(msg, attempt)

    def _show(self) -> None:
        r = self.result
        done = f"picked {r.successes} of {len(r.objects)}"
        text = f"seed {r.seed} · attempt {self._attempt} · {self._stage or 'starting'} · {done}"
        self._progress.status(f"{text} · robot time {self._client.ros_s - self._ros:.0f} s", self._stage)
