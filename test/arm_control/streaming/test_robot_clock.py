"""Time stamps of the robot on another clock: neither late arrivals nor a lagging /clock show in them."""

import numpy as np
import pytest

from arm_control.drivers.streaming.clock import RobotClock

OFFSET = 1_700_000_000_000_000_000


@pytest.mark.parametrize("simulated", [False, True])
def test_delays_do_not_show(simulated: bool) -> None:
    clock, rng = RobotClock(simulated), np.random.default_rng(0)
    sign = -1 if simulated else 1
    worst = 0
    for i in range(2000):
        true = OFFSET + i * 8_000_000
        delay = 0 if i % 50 == 0 else int(rng.uniform(0, 30e6))
        worst = max(worst, abs(clock.stamp(i * 0.008, true + sign * delay) - true))
    assert worst < 1_000


def test_a_drift_is_followed() -> None:
    clock = RobotClock(simulated=False)
    for i in range(20_000):
        now = OFFSET + round(i * 8_000_000 * (1 + 1e-5))
        stamp = clock.stamp(i * 0.008, now)
    assert 0 <= now - stamp < 100_000


def test_a_robot_that_was_started_again_begins_anew() -> None:
    clock = RobotClock(simulated=False)
    clock.stamp(100.0, OFFSET)
    assert clock.stamp(1.0, OFFSET + 5_000_000_000) == OFFSET + 5_000_000_000
