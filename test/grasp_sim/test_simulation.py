"""Time of the simulation: it goes on, is paced, survives a change of scene, and says when it cannot keep up."""

import threading
import time

import numpy as np
import pytest

from grasp_core.errors import SeegraspError
from grasp_sim.simulation import TICK, Simulation
from grasp_sim.work_cell import WorkCell
from test.grasp_sim.robot import cell_with


class Ticks:
    """Records the ticks of a simulation and waits for a number of them."""

    def __init__(self, delay: float = 0.0) -> None:
        self.stamps: list[int] = []
        self.cells: list[WorkCell] = []
        self._delay = delay
        self._more = threading.Condition()

    def __call__(self, cell: WorkCell, stamp_ns: int, tick: int) -> None:
        time.sleep(self._delay)
        with self._more:
            self.stamps.append(stamp_ns)
            self.cells.append(cell)
            self._more.notify_all()

    def wait(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.stamps) >= count, timeout=30.0)


def test_stamps_rise_evenly_also_over_a_new_scene() -> None:
    ticks, first, second = Ticks(), cell_with(), cell_with()
    simulation = Simulation(first, 0.0, ticks, start_ns=5_000_000_000)
    simulation.start()
    ticks.wait(5)
    simulation.replace(second)
    assert simulation.cell is second
    ticks.wait(len(ticks.stamps) + 5)
    simulation.stop()
    assert not simulation.running
    assert ticks.stamps[0] == 5_010_000_000
    np.testing.assert_array_equal(np.diff(ticks.stamps), round(TICK * 1e9))
    assert ticks.cells[0] is first
    assert ticks.cells[-1] is second


def test_never_faster_than_asked_for() -> None:
    ticks = Ticks()
    simulation = Simulation(cell_with(), 2.0, ticks)
    start = time.monotonic()
    simulation.start()
    ticks.wait(60)
    elapsed = time.monotonic() - start
    simulation.stop()
    assert elapsed > 60 * TICK / 2.0 - 0.02


def test_what_cannot_be_caught_up_is_given_up_and_told() -> None:
    ticks = Ticks(delay=0.05)  # five times as long as a tick may take
    simulation = Simulation(cell_with(), 1.0, ticks)
    simulation.start()
    ticks.wait(30)
    simulation.stop()
    assert simulation.pace.lost > 0.5
    assert 0 < simulation.pace.factor < 0.5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failure_stops_time_and_is_kept() -> None:
    def fail(cell: WorkCell, stamp_ns: int, tick: int) -> None:
        raise ValueError("broken")

    simulation = Simulation(cell_with(), 1.0, fail)
    simulation.start()
    simulation._thread.join(timeout=10.0)
    assert not simulation.running
    assert isinstance(simulation.error, ValueError)
    with pytest.raises(SeegraspError, match="broken"):
        simulation.replace(cell_with())
