"""Modes of a Universal Robots controller, as RTDE and the dashboard name and number them.

Source: Universal Robots, "Real-Time Data Exchange (RTDE) guide" and "Dashboard server"; the messages RobotMode and
SafetyMode of their ur_dashboard_msgs.
"""

from __future__ import annotations

from enum import IntEnum


class _Mode(IntEnum):
    """A number of a newer controller, unknown here, is a mode like others: `SafetyMode(77).name` is UNKNOWN_77."""

    @classmethod
    def _missing_(cls, value: object) -> _Mode | None:
        if not isinstance(value, int):
            return None
        mode = int.__new__(cls, value)
        mode._name_, mode._value_ = f"UNKNOWN_{value}", value
        return mode


class RobotMode(_Mode):
    """`robot_mode`: only RUNNING has its brakes released."""

    NO_CONTROLLER = -1
    DISCONNECTED = 0
    CONFIRM_SAFETY = 1
    BOOTING = 2
    POWER_OFF = 3
    POWER_ON = 4
    IDLE = 5
    BACKDRIVE = 6
    RUNNING = 7
    UPDATING_FIRMWARE = 8


class SafetyMode(_Mode):
    """`safety_mode`."""

    NORMAL = 1
    REDUCED = 2
    PROTECTIVE_STOP = 3
    RECOVERY = 4
    SAFEGUARD_STOP = 5
    SYSTEM_EMERGENCY_STOP = 6
    ROBOT_EMERGENCY_STOP = 7
    VIOLATION = 8
    FAULT = 9
    VALIDATE_JOINT_ID = 10
    UNDEFINED = 11
    AUTOMATIC_MODE_SAFEGUARD_STOP = 12
    THREE_POSITION_ENABLING_STOP = 13


class RuntimeState(_Mode):
    """`runtime_state`: of the program on the controller."""

    STOPPING = 0
    STOPPED = 1
    PLAYING = 2
    PAUSING = 3
    PAUSED = 4
    RESUMING = 5
