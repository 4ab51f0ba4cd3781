"""What a session's process tells when it ends by a defect, instead of by a fault of the robot."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from arm_control.drivers.streaming.driver import ArmDriver
from arm_control.drivers.streaming.faults import ArmFault, ArmState
from arm_control.drivers.streaming.session import SessionSettings
from grasp_core.errors import ErrorCode
from grasp_core.follower import Tolerances
from grasp_core.trajectory import Spline
from test.ur_robot import wait_for

ROOT = Path(__file__).resolve().parents[3]
REST = ArmState(1.0, np.zeros(2), np.zeros(2), np.eye(4), np.zeros(2), 1.0)


class BrokenLink:
    """Tells states; breaks when it is to move."""

    version, period, gripper = "1.0", 0.01, None

    def next(self) -> ArmState:
        return REST

    def judge(self, state: ArmState) -> ArmFault | None:
        return None

    def servo_joints(self, q: np.ndarray) -> None:
        raise KeyError("no such\njoint")

    def alive(self) -> None: ...


@dataclass(frozen=True)
class BrokenSettings:
    """Connects, or breaks at once."""

    connects: bool
    library: ClassVar[str] = "some_library"
    connecting: ClassVar[float] = 60.0
    recovering: ClassVar[float] = 60.0
    late: ClassVar[float] = 1.0

    def connect(self) -> BrokenLink:
        if not self.connects:
            raise ModuleNotFoundError("No module named 'some_library'")
        return BrokenLink()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    drivers = []

    def make(connects: bool) -> tuple[ArmDriver, list[str]]:
        told: list[str] = []
        settings = SessionSettings(BrokenSettings(connects), ("a", "b"), np.ones(2), realtime=False)
        drivers.append(ArmDriver(settings, 60.0, lambda state: None, told.append))
        return drivers[-1], told

    yield make
    for driver in drivers:
        driver.close()


def test_a_defect_while_connecting_is_told(start, capfd: pytest.CaptureFixture) -> None:
    driver, told = start(connects=False)
    wait_for(lambda: told, "the end")
    assert "(ModuleNotFoundError: No module named 'some_library')" in told[0]
    assert "traceback is in this node's log" in told[0]
    with pytest.raises(ArmFault, match="some_library"):
        driver.state()
    driver.close()
    assert "Traceback" in capfd.readouterr().err


def test_a_defect_in_motion_ends_the_motion_with_its_reason(start, capfd: pytest.CaptureFixture) -> None:
    driver, _ = start(connects=True)
    wait_for(lambda: driver.update is not None and not driver.problem, "the connection")
    tolerances = Tolerances(*np.full((4, 2), 1.0), 5.0)
    motion = driver.follow(Spline([0.0, 1.0], np.zeros((2, 2))), tolerances)
    assert motion.wait(60.0)
    assert motion.ended.code == ErrorCode.CONTROLLER_UNAVAILABLE
    assert "through some_library was ended by a defect (KeyError: 'no such\\njoint')" in motion.ended.message
    driver.close()
    assert "in servo_joints" in capfd.readouterr().err
