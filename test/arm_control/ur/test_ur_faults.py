"""Every state in which the arm must not be moved has a reason and a way out."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ({"safety_mode": SafetyMode(10)}, "a joint was exchanged", "confirm its identity"),
        ({"safety_mode": SafetyMode(11)}, "safety mode UNDEFINED", "see the pendant"),
        ({"safety_mode": SafetyMode(12)}, "safeguard stop of the automatic mode", "close the safeguard"),
        ({"safety_mode": SafetyMode(13)}, "three-position enabling device", "hold it in the middle"),
        ({"safety_mode": SafetyMode(77)}, "safety mode UNKNOWN_77", "see the pendant"),
        ({"robot_mode": RobotMode(-1)}, "robot mode is NO_CONTROLLER", "switch the arm on"),
        ({"robot_mode": RobotMode(8)}, "robot mode is UPDATING_FIRMWARE", "switch the arm on"),
        ({"robot_mode": RobotMode(77)}, "robot mode is UNKNOWN_77", "switch the arm on"),
        ({"robot_mode": RobotMode.POWER_OFF}, "robot mode is POWER_OFF", "switch the arm on"),
        ({"robot_mode": RobotMode.IDLE}, "robot mode is IDLE", "release its brakes"),
        ({"runtime_state": RuntimeState.STOPPED}, "control program on the robot has stopped", "~/recover"),
        ({"runtime_state": RuntimeState(77)}, "control program on the robot has stopped", "~/recover"),
        ({"runtime_state": RuntimeState.PAUSED}, "control program on the robot has stopped", "~/recover"),
    ],
)
def test_other_states_say_why_and_what_to_do(change: dict, reason: str, way_out: str) -> None:
    fault = judge(replace(GOOD, **change))
    assert fault.code == ErrorCode.CONTROLLER_ABORTED
    assert reason in str(fault)
    assert way_out in str(fault)


@given(st.integers(-(2**31), 2**31 - 1))
def test_no_number_of_a_safety_mode_gets_past_the_judge(number: int) -> None:
    state = replace(GOOD, safety_mode=SafetyMode(number))
    assert (judge(state) is None) == (number in (SafetyMode.NORMAL, SafetyMode.REDUCED))
    assert pickle.loads(pickle.dumps(state)).safety_mode.name == state.safety_mode.name  # states go through a pipe
