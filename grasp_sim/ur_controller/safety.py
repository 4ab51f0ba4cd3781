"""Robot mode and safety mode of the controller, and the bits that RTDE reports of them."""

from __future__ import annotations

from grasp_core.ur_modes import RobotMode, SafetyMode

_FREE = (SafetyMode.NORMAL, SafetyMode.REDUCED, SafetyMode.RECOVERY)  # all others are stops
_STOPPED_DUE_TO_SAFETY = 1 << 10
_EMERGENCY_STOPPED = 1 << 7
_BITS = {
    SafetyMode.NORMAL: 1 << 0,
    SafetyMode.REDUCED: 1 << 1,
    SafetyMode.PROTECTIVE_STOP: 1 << 2 | _STOPPED_DUE_TO_SAFETY,
    SafetyMode.RECOVERY: 1 << 3,
    SafetyMode.SAFEGUARD_STOP: 1 << 4 | _STOPPED_DUE_TO_SAFETY,
    SafetyMode.SYSTEM_EMERGENCY_STOP: 1 << 5 | _EMERGENCY_STOPPED | _STOPPED_DUE_TO_SAFETY,
    SafetyMode.ROBOT_EMERGENCY_STOP: 1 << 6 | _EMERGENCY_STOPPED | _STOPPED_DUE_TO_SAFETY,
    SafetyMode.VIOLATION: 1 << 8 | _STOPPED_DUE_TO_SAFETY,
    SafetyMode.FAULT: 1 << 9 | _STOPPED_DUE_TO_SAFETY,
}


class Safety:
    """Modes and what may change them. An arm moves only while it is RUNNING and not stopped."""

    def __init__(self) -> None:
        self.robot_mode = RobotMode.RUNNING
        self.safety_mode = SafetyMode.NORMAL
        self.remote = True
        self.reason = ""

    @property
    def may_move(self) -> bool:
        """Whether the arm is powered, its brakes are released and nothing has stopped it."""
        return self.robot_mode is RobotMode.RUNNING and self.safety_mode in _FREE

    @property
    def safety_bits(self) -> int:
        """`safety_status_bits`."""
        return _BITS.get(self.safety_mode, _STOPPED_DUE_TO_SAFETY)

    @property
    def powered(self) -> bool:
        """Whether the joints have power."""
        return self.robot_mode >= RobotMode.POWER_ON

    def stop(self, mode: SafetyMode, reason: str) -> None:
        """Enter a stop; an emergency stop takes the power away."""
        self.safety_mode, self.reason = mode, reason
        if mode in (SafetyMode.SYSTEM_EMERGENCY_STOP, SafetyMode.ROBOT_EMERGENCY_STOP):
            self.robot_mode = RobotMode.POWER_OFF

    def release(self) -> None:
        """The emergency-stop button is pulled out, or the safeguard closed; power and brakes stay as they are."""
        if self.safety_mode not in _FREE and self.safety_mode is not SafetyMode.PROTECTIVE_STOP:
            self.safety_mode, self.reason = SafetyMode.NORMAL, ""

    def unlock(self) -> bool:
        """End a protective stop; False when there is none."""
        if self.safety_mode is not SafetyMode.PROTECTIVE_STOP:
            return False
        self.safety_mode, self.reason = SafetyMode.NORMAL, ""
        return True

    def power(self, on: bool) -> None:
        """Power the joints (brakes stay closed), or take the power away."""
        if not on:
            self.robot_mode = RobotMode.POWER_OFF
        elif self.safety_mode in _FREE and not self.powered:
            self.robot_mode = RobotMode.IDLE

    def release_brakes(self) -> None:
        """IDLE becomes RUNNING; an arm without power is powered first, as the controller does."""
        self.power(True)
        if self.robot_mode is RobotMode.IDLE:
            self.robot_mode = RobotMode.RUNNING
