"""The pick loop: observe, detect, execute, place, verify, until nothing is left; ROS-free."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from arm_control.cancel import wait_until
from arm_control.stages.context import PickContext
from arm_control.stages.detect import detect
from arm_control.stages.execute import execute
from arm_control.stages.observe import observe
from arm_control.stages.place import place, put_back
from arm_control.stages.result import Stage, StageResult, run_stage, run_stages, timings
from arm_control.stages.verify import verify_placed
from grasp_core.errors import ErrorCode, SeegraspError
from grasp_core.grasps import Grasps

STAGES = (
    Stage("observe", observe),
    Stage("detect", detect),
    Stage("execute", execute),
    Stage("place", place),
    Stage("verify_place", verify_placed),
)
PUT_BACK = Stage("put_back", put_back)

_NOTHING = {ErrorCode.NO_GRASP, ErrorCode.EMPTY_CLOUD}
_AT_OBJECT = {
    ErrorCode.GRIPPER_EMPTY,
    ErrorCode.OBJECT_LOST,
    ErrorCode.CONTROLLER_ABORTED,
    ErrorCode.GRIPPER_FAILED,
}
_AWAY = {  # a node or its data went away: worth waiting for
    ErrorCode.TIMEOUT,
    ErrorCode.BUSY,
    ErrorCode.CONFIG,
    ErrorCode.NO_DEPTH,
    ErrorCode.STALE_DATA,
    ErrorCode.NO_TF,
    ErrorCode.DETECTOR_FAILED,
    ErrorCode.PLANNER_UNAVAILABLE,
    ErrorCode.CONTROLLER_UNAVAILABLE,
    ErrorCode.NO_JOINT_STATES,
    ErrorCode.GRIPPER_UNAVAILABLE,
}
_FINAL = {ErrorCode.DRY_RUN, ErrorCode.NOT_ARMED, ErrorCode.STOPPED}  # what an operator wants: the run is over
_NEARLY_OPEN = 0.005  # m
_RECOVERY_PAUSE = 1.0  # s before the first look whether things are back


@dataclass(frozen=True)
class PickLimits:
    """When a run ends: `count` objects (0: until nothing is left), attempts, failures in a row."""

    count: int
    max_attempts: int
    max_consecutive_failures: int


@dataclass(frozen=True)
class Attempt:
    """One attempt to pick one object. `start`, `observed`, `end`: ns of ROS time; `timings`: stage -> ms, steady."""

    index: int
    start: int
    end: int
    observed: int
    code: ErrorCode
    message: str
    stage: str
    grasp: Grasps
    frame: str
    candidates: int
    tried: int
    timings: dict[str, float]

    @property
    def success(self) -> bool:
        """Whether the object was placed."""
        return self.code == ErrorCode.NONE


@dataclass
class PickRun:
    """Runs attempts until done. `ready()` says what is missing ("" when all is there); `on_attempt` hears of each."""

    ctx: PickContext
    limits: PickLimits
    ready: Callable[[], str]
    on_attempt: Callable[[Attempt], None] = lambda _: None
    attempts: list[Attempt] = field(default_factory=list)
    picked: int = 0
    _in_a_row: int = 0
    _nothing: int = 0
    _unsure: bool = True  # nobody knows what the gripper holds: at the start, and after a node went away
    _end: tuple[ErrorCode, str] | None = None

    def run(self) -> tuple[ErrorCode, str]:
        """Until an end; its code and what to tell. `Cancelled` on cancellation."""
        self._await_ready("")
        while True:
            self.ctx.cancel.check()
            end = self._limits_reached() or self._round()
            if end is not None:
                if end[0] not in _FINAL:
                    self._leave_nothing_held()
                return end

    def _round(self) -> tuple[ErrorCode, str] | None:
        """One attempt, or one look at which nothing was found; an end, or None to go on."""
        ctx = self.ctx
        ctx.detection = ctx.outcome = ctx.held = None
        start = ctx.now()
        stages = (PUT_BACK, *STAGES) if self._may_hold() else STAGES
        results = run_stages(stages, ctx)
        self._unsure = self._unsure and results[0].stage == PUT_BACK.name and not results[0].ok
        last = results[-1]
        ctx.cancel.check()
        if last.stage == "detect" and last.code in _NOTHING:
            results.append(run_stage(Stage("look", self._look_again), ctx))
            if results[-1].ok:
                return self._end
            last = results[-1]
        self._record(start, last, results)
        if last.ok:
            self._after_success()
            return None
        return self._after_failure(last)

    def _may_hold(self) -> bool:
        """Whether arm_node knows of a held object or, after a restart, the gripper stands as if it held one."""
        if self.ctx.arm.held() is not None:
            return True
        model, least = self.ctx.model, self.ctx.settings.held_width
        return self._unsure and model.min_width + least < self.ctx.arm.width() < model.max_width - _NEARLY_OPEN

    # nothing found

    def _look_again(self, ctx: PickContext) -> str:
        """Decide between another look, a cleared region and giving up."""
        settings = ctx.settings
        left = ctx.detector.points_above(ctx.region, settings.clear_height, ctx.not_before, ctx.cancel)
        self._nothing += 1
        ctx.look += 1
        self._end = None
        if left <= settings.clear_points and self._nothing >= min(2, settings.looks):
            self._end = (ErrorCode.REGION_CLEARED, f"{self.picked} placed; {left} points are left in the region")
        elif self._nothing >= settings.looks:
            self._end = (
                ErrorCode.NO_GRASP,
                f"no grasp in {self._nothing} looks, but {left} points remain in the region "
                f"(cleared means at most {settings.clear_points})",
            )
        elif self._nothing == settings.looks - 1:
            ctx.failed.forget()  # the last look: better a grasp that failed once than none
        return f"look {self._nothing}: {left} points left"

    # after an attempt

    def _record(self, start: int, last: StageResult, results: list[StageResult]) -> None:
        ctx = self.ctx
        detection, outcome = ctx.detection, ctx.outcome
        took = timings(results)
        if outcome is not None:
            took = {
                k: v
                for stage, ms in took.items()
                for k, v in (outcome.timings if stage == "execute" else {stage: ms}).items()
            }
        executed = outcome is not None and outcome.executed >= 0
        attempt = Attempt(
            index=len(self.attempts),
            start=start,
            end=ctx.now(),
            observed=detection.stamp if detection else 0,
            code=last.code,
            message="" if last.ok else last.message,
            stage=outcome.stage if outcome is not None and last.stage == "execute" else last.stage,
            grasp=detection.grasps[outcome.executed] if executed else Grasps.empty(),
            frame=detection.frame if detection else "",
            candidates=len(detection.grasps) if detection else 0,
            tried=outcome.tried if outcome else 0,
            timings=took,
        )
        self.attempts.append(attempt)
        self.picked += attempt.success
        told = f"attempt {attempt.index}: {attempt.stage}: {attempt.code.name} {attempt.message}".rstrip()
        if attempt.success:
            ctx.log.info(told)
        else:
            ctx.log.warning(told)
        self.on_attempt(attempt)

    def _after_success(self) -> None:
        self._in_a_row = self._nothing = self.ctx.look = 0
        self.ctx.failed.forget()

    def _after_failure(self, last: StageResult) -> tuple[ErrorCode, str] | None:
        if last.code in _FINAL:
            return last.code, last.message
        attempt = self.attempts[-1]
        self._in_a_row += 1
        self._nothing = 0
        if last.stage == "execute" and last.code in _AT_OBJECT and len(attempt.grasp):
            self.ctx.failed.remember(attempt.grasp)
        if last.stage == "execute" and not len(attempt.grasp):
            self.ctx.look += 1  # no path to anything from here: another viewpoint may show other grasps
        if last.code in _AWAY:
            self._unsure = True
            try:
                self._await_ready(f"after {last.code.name} ({last.message})", _RECOVERY_PAUSE)
            except SeegraspError as error:
                if error.code == ErrorCode.CANCELLED:
                    raise
                return last.code, f"{last.message}; {error}"
        return None

    def _limits_reached(self) -> tuple[ErrorCode, str] | None:
        limits, done = self.limits, len(self.attempts)
        if limits.count and self.picked >= limits.count:
            return ErrorCode.NONE, f"{self.picked} placed as asked"
        if self._in_a_row >= limits.max_consecutive_failures:
            last = self.attempts[-1]
            return (
                ErrorCode.TOO_MANY_FAILURES,
                f"{self._in_a_row} failures in a row, the last in {last.stage}: {last.code.name}: {last.message}",
            )
        if done >= limits.max_attempts:
            code = ErrorCode.NONE if self.picked == done else ErrorCode.TOO_MANY_FAILURES
            return code, f"{done} attempts (max_attempts) made, {self.picked} placed"
        return None

    def _leave_nothing_held(self) -> None:
        if self.ctx.arm.held() is not None:
            result = run_stage(PUT_BACK, self.ctx)
            if not result.ok:
                self.ctx.log.error(f"the gripper still holds an object: {result.message}")

    def _await_ready(self, why: str, pause: float = 0.0) -> None:
        """Wait until everything is there; CONTROLLER_UNAVAILABLE with what is missing after `settings.recovery` s."""
        self.ctx.cancel.sleep(pause)
        missing = self.ready()
        if not missing:
            return
        self.ctx.on_stage("recover")
        self.ctx.log.warning(f"waiting {why}: {missing}")
        started = time.monotonic()
        if not wait_until(lambda: not self.ready(), self.ctx.settings.recovery, self.ctx.cancel, 0.2):
            raise SeegraspError(
                f"still missing after {self.ctx.settings.recovery:.0f} s: {self.ready()}",
                ErrorCode.CONTROLLER_UNAVAILABLE,
            )
        self.ctx.log.info(f"all is there again after {time.monotonic() - started:.1f} s")
