"""Modes of a Universal Robots controller, as RTDE and the dashboard name and number them.

Source: Universal Robots, "Real-Time Data Exchange (RTDE) guide" and "Dashboard server".
"""

from enum import IntEnum


class RobotMode(IntEnum):
    """`robot_mode`: only RUNNING has its brakes released."""

    DISCONNECTED = 0
    CONFIRM_SAFETY = 1
    BOOTING = 2
    POWER_OFF = 3
    POWER_ON = 4
    IDLE = 5
    BACKDRIVE = 6
    RUNNING = 7


class SafetyMode(IntEnum):
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


class RuntimeState(IntEnum):
    """`runtime_state`: of the program on the controller."""

    STOPPING = 0
    STOPPED = 1
    PLAYING = 2
    PAUSING = 3
    PAUSED = 4
    RESUMING = 5
