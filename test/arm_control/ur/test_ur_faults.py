"""Every state in which the arm must not be moved has a reason and a way out."""

from dataclasses import replace

import numpy as np
import pytest

from arm_control.drivers.ur.faults import RobotState, judge
from grasp_core.errors import ErrorCode
from grasp_core.ur_modes import RobotMode, RuntimeState, SafetyMode

GOOD = RobotState(
    timestamp=1.0,
    q=np.zeros(6),
    qd=np.zeros(6),
    tcp=np.eye(4),
    setpoint=np.zeros(6),
    robot_mode=RobotMode.RUNNING,
    safety_mode=SafetyMode.NORMAL,
    runtime_state=RuntimeState.PLAYING,
    speed_scaling=1.0,
)


@pytest.mark.parametrize("safety_mode", [SafetyMode.NORMAL, SafetyMode.REDUCED])
def test_a_running_robot_may_be_moved(safety_mode: SafetyMode) -> None:
    assert judge(replace(GOOD, safety_mode=safety_mode)) is None


@pytest.mark.parametrize(
    ("change", "reason", "way_out"),
    [
        ({"safety_mode": SafetyMode.PROTECTIVE_STOP}, "protective stop", "unlocks the stop"),
        ({"safety_mode": SafetyMode.SAFEGUARD_STOP}, "safeguard stop", "close the safeguard"),
        ({"safety_mode": SafetyMode.SYSTEM_EMERGENCY_STOP}, "emergency stop of the system", "release"),
        ({"safety_mode": SafetyMode.ROBOT_EMERGENCY_STOP}, "emergency stop", "pull the emergency-stop button out"),
        ({"safety_mode": SafetyMode.RECOVERY}, "recovery mode", "move the joint back"),
        ({"safety_mode": SafetyMode.VIOLATION}, "safety violation", "restart the safety system"),
        ({"safety_mode": SafetyMode.FAULT}, "safety fault", "restart the controller"),
        ({"robot_mode": RobotMode.POWER_OFF}, "robot mode is POWER_OFF", "switch the arm on"),
        ({"robot_mode": RobotMode.IDLE}, "robot mode is IDLE", "release its brakes"),
        ({"runtime_state": RuntimeState.STOPPED}, "control program on the robot has stopped", "~/recover"),
        ({"runtime_state": RuntimeState.PAUSED}, "control program on the robot has stopped", "~/recover"),
    ],
)
def test_other_states_say_why_and_what_to_do(change: dict, reason: str, way_out: str) -> None:
    fault = judge(replace(GOOD, **change))
    assert fault.code == ErrorCode.CONTROLLER_ABORTED
    assert reason in str(fault)
    assert way_out in str(fault)


def test_every_safety_mode_is_judged() -> None:
    allowed = {mode for mode in SafetyMode if judge(replace(GOOD, safety_mode=mode)) is None}
    assert allowed == {SafetyMode.NORMAL, SafetyMode.REDUCED}
