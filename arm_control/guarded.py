"""The drivers as the goals of arm_node see them: nothing reaches arm or gripper but through these guards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from arm_control.cancel import Cancelled, CancelToken
from arm_control.drivers import GripperDriver, PendingMove, WatchedTrajectoryDriver
from arm_control.interlock import Interlock
from arm_control.limits import SafetyLimits
from arm_control.planning import Trajectory
from arm_control.watchdog import MotionWatchdog
from grasp_core.errors import ErrorCode, ExecutionError


@dataclass
class Command:
    """On whose behalf a goal commands: `cause` (action, goal, client), and the `stage` that it is in, for the log.

    `on_pause` hears True when a command begins to wait for the end of a pause, and False afterwards. `on_resume` runs
    after such a wait, before anything moves, and may raise. `waited`: since the last plan; what was planned is old.
    """

    cause: str
    cancel: CancelToken
    stage: str = ""
    on_pause: Callable[[bool], None] = field(default=lambda _: None)
    on_resume: Callable[[], None] = field(default=lambda: None)
    waited: bool = False

    def heard(self, paused: bool) -> None:
        """A wait begins or ends."""
        self.waited = True
        self.on_pause(paused)


@dataclass(frozen=True)
class Safety:
    """What all goals share."""

    interlock: Interlock
    limits: SafetyLimits
    watchdog: MotionWatchdog
    dry_run: bool
    log: Any

    def tell(self, command: Command, what: str) -> None:
        """Write a command and its cause down."""
        self.log.info(f"command: {command.stage}: {what}; {command.cause}")

    def refuse_dry_run(self, what: str) -> None:
        """ExecutionError DRY_RUN in a dry run."""
        if self.dry_run:
            raise ExecutionError(f"dry run: {what} was planned and shown, nothing was moved", ErrorCode.DRY_RUN)


class GuardedArm:
    """`TrajectoryDriver` of one goal: checks the limits, shows the motion, tells its cause, watches, pauses.

    To be made when the goal begins: what is alive then is watched. `grasp`: whether that goal is a grasp.
    """

    def __init__(
        self,
        driver: WatchedTrajectoryDriver,
        fk: Callable[[np.ndarray], np.ndarray],
        safety: Safety,
        command: Command,
        show: Callable[[list[Trajectory]], None],
        grasp: bool = False,
    ) -> None:
        self._driver, self._fk, self._safety = driver, fk, safety
        self._command, self._show = command, show
        self._watch = safety.watchdog.watch(grasp)

    def moving(self) -> bool:
        """See `TrajectoryDriver.moving`."""
        return self._driver.moving()

    def execute(
        self,
        trajectory: Trajectory,
        cancel: CancelToken,
        settle: bool = True,
        again: Callable[[], Trajectory] | None = None,
    ) -> None:
        """See `TrajectoryDriver.execute`. After a pause, goes on with what `again` plans from where the arm stands.

        So it does where a pause came before the motion: what was planned before a wait is never sent.

        Also raises: PlanningError OUT_OF_LIMITS and whatever `again` raises; ExecutionError NOT_ARMED, DRY_RUN,
        STOPPED (paused without `again`), the codes of the watchdog, and what the command's `on_resume` raises.
        """
        safety, command = self._safety, self._command
        while True:
            if command.waited:
                trajectory = self._anew(again)
            checked = safety.limits.checked(trajectory, self._fk)
            self._show([checked])
            safety.refuse_dry_run("the motion")
            with safety.interlock.motion(cancel, command.heard) as token:
                if command.waited:
                    continue
                watch = self._watch.begin()
                fastest = float(np.abs(checked.qd).max(initial=0.0))
                safety.tell(
                    command,
                    f"move for {checked.duration:.1f} s, speed {safety.limits.speed:.0%}, at most {fastest:.2f} rad/s",
                )
                try:
                    self._driver.execute(checked, token, settle, watch)
                    return
                except Cancelled as paused:
                    cancel.check()  # not a pause: the goal has ended
                    if again is None:
                        told = f"{paused}, in a motion that cannot be taken up again"
                        raise Cancelled(told, ErrorCode.STOPPED) from paused
                    command.waited = True
            safety.tell(command, f"paused by {safety.interlock.paused}")
            safety.interlock.await_resume(cancel, command.heard)

    def _anew(self, again: Callable[[], Trajectory] | None) -> Trajectory:
        self._command.on_resume()
        if again is None:
            raise Cancelled("paused before a motion that cannot be planned anew", ErrorCode.STOPPED)
        self._command.waited = False
        return again()


class GuardedGripper:
    """`GripperDriver` of one goal: tells the cause, moves nothing while paused, not armed or in a dry run.

    A pause does not end a stroke: fingers that stop halfway hold nothing.
    """

    def __init__(self, driver: GripperDriver, safety: Safety, command: Command) -> None:
        self._driver, self._safety, self._command = driver, safety, command

    def width(self) -> float:
        """See `GripperDriver.width`."""
        return self._driver.width()

    def start(self, width: float, force: float | None = None, allow_stall: bool = False) -> PendingMove:
        """See `GripperDriver.start`; ExecutionError NOT_ARMED, DRY_RUN, and what the command's `on_resume` raises."""
        self._safety.refuse_dry_run("the gripper's stroke")
        with self._safety.interlock.motion(self._command.cancel, self._command.heard):
            if self._command.waited:
                self._command.on_resume()
            newtons = "the profile's force" if force is None else f"{force:.0f} N"
            self._safety.tell(self._command, f"gripper to {width * 1e3:.0f} mm with {newtons}")
            return self._driver.start(width, force, allow_stall)

    def move(self, width: float, cancel: CancelToken, force: float | None = None, allow_stall: bool = False) -> float:
        """`start` and `finish`."""
        cancel.check()
        return self.start(width, force, allow_stall).finish(cancel)
