"""Runs a work cell in a thread of its own, paced to real time. No ROS in here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from grasp_core.errors import SeegraspError
from grasp_sim.surroundings import TIME_STEP
from grasp_sim.work_cell import WorkCell

TICK_STEPS = 5  # steps of physics between two ticks: 10 ms
TICK = TICK_STEPS * TIME_STEP  # s
MAX_LAG = 0.1  # s behind real time before the lost time is given up
WINDOW = 1.0  # s of steady time over which the real-time factor is measured


@dataclass
class Pace:
    """How fast simulated time runs: measured factor to real time, and s that were given up so far."""

    factor: float = 0.0
    lost: float = 0.0


class Simulation:
    """Owns the work cell; everybody else touches it with ``lock`` held.

    Every 10 ms of simulated time ``on_tick(cell, stamp_ns, tick)`` is called in the simulation's thread, without the
    lock. Stamps start at the time of day and never go back, also over a change of the scene and a restart.
    """

    def __init__(
        self,
        cell: WorkCell,
        real_time_factor: float,
        on_tick: Callable[[WorkCell, int, int], None],
        start_ns: int | None = None,
    ) -> None:
        """``real_time_factor`` 0: as fast as possible."""
        self.lock = threading.RLock()
        self.pace = Pace()
        self.error: BaseException | None = None
        self._cell = cell
        self._next_cell: WorkCell | None = None
        self._swapped = threading.Condition(self.lock)
        self._factor = real_time_factor
        self._on_tick = on_tick
        start = time.time_ns() if start_ns is None else start_ns
        self._start_ns = start - start % 10_000_000
        self._tick = 0
        self._running = False
        self._thread = threading.Thread(target=self._run, name="physics", daemon=True)

    @property
    def cell(self) -> WorkCell:
        """The present work cell."""
        return self._cell

    @property
    def running(self) -> bool:
        """Whether time goes on."""
        return self._running

    @property
    def stamp_ns(self) -> int:
        """Simulated time, ns."""
        return self._start_ns + self._tick * round(TICK * 1e9)

    def start(self) -> None:
        """Let time run."""
        self._running = True
        self._thread.start()

    def stop(self) -> None:
        """Stop time and end the thread."""
        self._running = False
        with self.lock:
            self._swapped.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout=5.0)

    def replace(self, cell: WorkCell) -> None:
        """Put another scene in place of the present one, between two ticks; returns when it is there.

        Raises:
            SeegraspError: time has stopped, because of an error or at the end of the process.
        """
        with self.lock:
            self._next_cell = cell
            while self._next_cell is not None and self._running:
                self._swapped.wait(timeout=0.5)
            if self._next_cell is not None:
                raise SeegraspError(f"the simulation has stopped ({self.error or 'ending'}): start sim_node anew")

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:  # reported by whoever watches the simulation; time stands still
            self.error = error
            raise
        finally:
            self._running = False

    def _loop(self) -> None:
        due = window = time.monotonic()
        window_tick = self._tick
        while self._running:
            with self.lock:
                self._swap()
                self._cell.step(TICK_STEPS)
                self._tick += 1
            self._on_tick(self._cell, self.stamp_ns, self._tick)
            now = time.monotonic()
            if now - window >= WINDOW:
                self.pace.factor = (self._tick - window_tick) * TICK / (now - window)
                window, window_tick = now, self._tick
            due = self._wait(due, now)

    def _swap(self) -> None:
        if self._next_cell is not None:
            old, self._cell, self._next_cell = self._cell, self._next_cell, None
            old.arm.reset(old.q)
            old.gripper.command.replaced = not old.gripper.command.done
            self._swapped.notify_all()

    def _wait(self, due: float, now: float) -> float:
        """Sleep until the next tick is due and return when the one after it is."""
        if self._factor <= 0.0:
            return now
        due += TICK / self._factor
        if due > now:
            time.sleep(due - now)
        elif now - due > MAX_LAG:
            self.pace.lost += now - due
            return now
        return due
