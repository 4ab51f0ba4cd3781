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
    """On whose behalf a goal commands: `cause` (action, goal, client), and the `stage` that it is in, for the log."""

    cause: str
    cancel: CancelToken
    stage: str = ""
    on_pause: Callable[[bool], None] = field(default=lambda _: None)


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
    """`TrajectoryDriver` of one goal: checks the limits, shows the motion, tells its cause, watches, pauses."""

    def __init__(
        self,
        driver: WatchedTrajectoryDriver,
        fk: Callable[[np.ndarray], np.ndarray],
        safety: Safety,
        command: Command,
        show: Callable[[list[Trajectory]], None],
    ) -> None:
        self._driver, self._fk, self._safety = driver, fk, safety
        self._command, self._show = command, show

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

        Also raises: PlanningError OUT_OF_LIMITS and whatever `again` raises; ExecutionError NOT_ARMED, DRY_RUN,
        STOPPED (paused without `again`), and the codes of the watchdog.
        """
        safety, command = self._safety, self._command
        while True:
            checked = safety.limits.checked(trajectory, self._fk)
            self._show([checked])
            safety.refuse_dry_run("the motion")
            with safety.interlock.motion(cancel, command.on_pause) as token:
                fastest = float(np.abs(checked.qd).max(initial=0.0))
                safety.tell(
                    command,
                    f"move for {checked.duration:.1f} s, speed {safety.limits.speed:.0%}, at most {fastest:.2f} rad/s",
                )
                try:
                    self._driver.execute(checked, token, settle, safety.watchdog.begin())
                    return
                except Cancelled as paused:
                    cancel.check()  # not a pause: the goal has ended
                    if again is None:
                        told = f"{paused}, in a motion that cannot be taken up again"
                        raise Cancelled(told, ErrorCode.STOPPED) from paused
            safety.tell(command, f"paused by {safety.interlock.paused}")
            safety.interlock.await_resume(cancel, command.on_pause)
            trajectory = again()


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
        """See `GripperDriver.start`; ExecutionError NOT_ARMED, DRY_RUN."""
        self._safety.refuse_dry_run("the gripper's stroke")
        with self._safety.interlock.motion(self._command.cancel, self._command.on_pause):
            newtons = "the profile's force" if force is None else f"{force:.0f} N"
            self._safety.tell(self._command, f"gripper to {width * 1e3:.0f} mm with {newtons}")
            return self._driver.start(width, force, allow_stall)

    def move(self, width: float, cancel: CancelToken, force: float | None = None, allow_stall: bool = False) -> float:
        """`start` and `finish`."""
        cancel.check()
        return self.start(width, force, allow_stall).finish(cancel)
