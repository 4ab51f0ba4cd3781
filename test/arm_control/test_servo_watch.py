"""Joints of an arm that follows a target: stopped while there is still room to stop."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_control.limits import SafetyLimits
from arm_control.servo_watch import ServoWatch
from grasp_core.errors import ErrorCode, ExecutionError
from test.arm_control.fakes import ARM, CELL, GRIPPER

LIMIT = 1.0  # rad, of every joint
NARROW = ARM.model_copy(update={"position_limits": ((-LIMIT, LIMIT),) * 6})
NOTHING_TOUCHES = SimpleNamespace(self_contacts=lambda q, width: [])


def watch(q: np.ndarray, planner: object = NOTHING_TOUCHES) -> ServoWatch:
    return ServoWatch(SafetyLimits(NARROW, GRIPPER, CELL), planner, q, 0.05)


def refusal(checks: ServoWatch, q: np.ndarray, qd: np.ndarray) -> ErrorCode | None:
    try:
        checks.check(q, qd)
    except ExecutionError as error:
        return error.code
    return None


@given(joint=st.integers(0, 5), speed=st.floats(0.05, 2.0), side=st.sampled_from([-1.0, 1.0]))
def test_a_stop_within_the_limits_is_still_possible_when_it_is_asked_for(joint: int, speed: float, side: float) -> None:
    """An arm that moves evenly, looked at every 50 ms; it begins to brake 50 ms after the look that refuses."""
    unit, period = side * np.eye(6)[joint], 0.05
    checks, q = watch(np.zeros(6)), 0.0
    while refusal(checks, q * unit, speed * unit) is None:
        q += speed * period
        assert q < LIMIT
    assert refusal(checks, q * unit, speed * unit) == ErrorCode.OUT_OF_LIMITS
    assert q + speed * period + speed**2 / (2 * ARM.max_acceleration[joint]) <= LIMIT + 1e-9


def test_an_arm_outside_may_come_back_but_not_go_further() -> None:
    q = np.full(6, LIMIT + 0.2)
    checks = watch(q)
    checks.check(q, np.zeros(6))
    checks.check(q, np.full(6, -0.5))
    with pytest.raises(ExecutionError, match=r"shoulder_pan_joint is at 1\.200 rad and would come to rest at"):
        checks.check(q, np.full(6, 0.1))


def test_only_contacts_that_are_new_end_it() -> None:
    touching = [("camera", "forearm_link")]
    checks = watch(np.zeros(6), SimpleNamespace(self_contacts=lambda q, width: list(touching)))
    checks.check(np.zeros(6), np.zeros(6))
    touching.append(("palm", "upper_arm_link"))
    with pytest.raises(ExecutionError, match="touch itself: palm - upper_arm_link") as error:
        checks.check(np.zeros(6), np.zeros(6))
    assert error.value.code == ErrorCode.GOAL_IN_COLLISION
