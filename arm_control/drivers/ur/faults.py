"""Why the arm does not move, and the way out, in words for the one who stands in front of it."""

from __future__ import annotations

from dataclasses import dataclass

from arm_control.drivers.streaming.faults import ArmFault, ArmState, LinkFault
from grasp_core.ur_modes import RobotMode, RuntimeState, SafetyMode

OLDEST = {3: (3, 12), 5: (5, 6)}
"""PolyScope's oldest supported version by series: 3 is CB3, 5 the e-Series."""

RESUME = "then call the service ~/recover of ur_driver_node"
_ALLOWED = (SafetyMode.NORMAL, SafetyMode.REDUCED)
_SAFETY = {
    SafetyMode.PROTECTIVE_STOP: (
        "protective stop: the arm met a resistance or left its safety limits",
        f"look for the cause and clear the arm's way, {RESUME} (it unlocks the stop)",
    ),
    SafetyMode.SAFEGUARD_STOP: ("safeguard stop", f"close the safeguard, {RESUME}"),
    SafetyMode.SYSTEM_EMERGENCY_STOP: (
        "emergency stop of the system",
        f"release the emergency stop of the cell, switch the arm on at the pendant, {RESUME}",
    ),
    SafetyMode.ROBOT_EMERGENCY_STOP: (
        "emergency stop",
        f"pull the emergency-stop button out, switch the arm on at the pendant, {RESUME}",
    ),
    SafetyMode.RECOVERY: ("recovery mode: a joint is outside its safety limits", "move the joint back at the pendant"),
    SafetyMode.VIOLATION: ("safety violation", f"restart the safety system at the pendant, {RESUME}"),
    SafetyMode.FAULT: ("safety fault", f"restart the controller (see its log), {RESUME}"),
    SafetyMode.VALIDATE_JOINT_ID: ("a joint was exchanged", f"confirm its identity at the pendant, {RESUME}"),
    SafetyMode.AUTOMATIC_MODE_SAFEGUARD_STOP: (
        "safeguard stop of the automatic mode",
        f"close the safeguard, {RESUME}",
    ),
    SafetyMode.THREE_POSITION_ENABLING_STOP: (
        "stop by the three-position enabling device",
        f"hold it in the middle, or switch to automatic mode at the pendant, {RESUME}",
    ),
}


@dataclass(frozen=True)
class RobotState(ArmState):
    """As `ArmState`, and what a UR controller tells of itself; ``tcp`` is where it commands the grasp frame to be."""

    robot_mode: RobotMode
    safety_mode: SafetyMode
    runtime_state: RuntimeState


def unreachable(host: str, port: int, error: Exception) -> LinkFault:
    """Nobody answers."""
    return LinkFault(
        f"no UR controller at {host}:{port} ({error}): is the robot on, is robot_ip right, does `ping {host}` answer?"
    )


def wrong_version(version: str, expected: int) -> LinkFault:
    """PolyScope is too old, of another series, or unknown."""
    oldest = ", ".join(f"{major}.{minor} or newer" for major, minor in OLDEST.values())
    series = {3: "a CB3", 5: "an e-Series"}[expected]
    return LinkFault(
        f"PolyScope {version} does not do: the profile is of {series} arm, and {oldest} is needed; update the robot, "
        "or choose the arm profile (ur5: CB3, ur5e: e-Series) that fits it"
    )


def local_control() -> ArmFault:
    """Programs over the network are refused."""
    return ArmFault(
        "the robot is in local control: choose Remote Control at the top right of the pendant (it must be enabled in "
        f"Settings, System, Remote Control), {RESUME}"
    )


def in_use(error: Exception) -> LinkFault:
    """Another client owns the registers that ur_rtde needs."""
    return LinkFault(
        f"another program or fieldbus controls the robot ({' '.join(str(error).split())}): end it, or disable "
        "EtherNet/IP, PROFINET and MODBUS in the robot's installation"
    )


def judge(state: RobotState) -> ArmFault | None:
    """Why an arm in this state must not be moved; None: it may."""
    if state.safety_mode not in _ALLOWED:
        unknown = (f"safety mode {state.safety_mode.name}", f"see the pendant, {RESUME}")
        reason, way_out = _SAFETY.get(state.safety_mode, unknown)
        return ArmFault(f"{reason}: {way_out}")
    if state.robot_mode is not RobotMode.RUNNING:
        return ArmFault(
            f"robot mode is {state.robot_mode.name}: switch the arm on and release its brakes at the pendant, {RESUME}"
        )
    if state.runtime_state is not RuntimeState.PLAYING:
        return ArmFault(
            "the control program on the robot has stopped: at the pendant, by a switch to local control, or because a "
            f"target could not be reached; see the pendant's log, {RESUME}"
        )
    return None
