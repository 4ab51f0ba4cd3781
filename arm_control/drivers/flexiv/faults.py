"""Why a Rizon does not move, and the way out, in words for the one who stands in front of it."""

from __future__ import annotations

from dataclasses import dataclass

from arm_control.drivers.streaming.faults import ArmFault, ArmState

_RECOVER = "then call the service ~/recover of flexiv_driver_node"
_REMOTE = f"choose Auto (Remote) in Flexiv Elements or at the control box, {_RECOVER}"
_STATUS = {
    "UNKNOWN": ("the robot tells no status", "see Flexiv Elements"),
    "BOOTING": ("the robot is starting up", f"wait, {_RECOVER}"),
    "ESTOP_NOT_RELEASED": ("emergency stop", f"release the emergency-stop button, {_RECOVER} (it releases the brakes)"),
    "NOT_ENABLED": (
        "the robot is not enabled",
        "call the service ~/recover of flexiv_driver_node: brakes are released",
    ),
    "RELEASING_BRAKE": ("the brakes are being released", f"wait, {_RECOVER}"),
    "MINOR_FAULT": ("minor fault", f"look for the cause in Flexiv Elements and clear the arm's way, {_RECOVER}"),
    "CRITICAL_FAULT": ("critical fault", f"see Flexiv Elements; {_RECOVER}, or restart the control box"),
    "IN_REDUCED_STATE": (
        "reduced state: a safety input is open, or the arm has passed a safety plane",
        f"close the safeguard or move the arm back, {_RECOVER}",
    ),
    "IN_RECOVERY_STATE": (
        "recovery state: a joint is outside of its limits",
        "run the automatic recovery in Flexiv Elements and restart the control box",
    ),
    "IN_MANUAL_MODE": ("the robot is in manual mode", _REMOTE),
    "IN_AUTO_MODE": ("the robot is in auto mode, but not in Auto (Remote)", _REMOTE),
}
READY = "READY"


@dataclass(frozen=True)
class RizonState(ArmState):
    """As `ArmState`, and the names of the RDK's ``OperationalStatus`` and ``Mode``."""

    status: str
    mode: str


def judge(state: RizonState, modes: tuple[str, ...]) -> ArmFault | None:
    """Why an arm in this state must not be moved; None: it may. ``modes``: those in which it takes our commands."""
    if state.status != READY:
        reason, way_out = _STATUS.get(state.status, (f"operational status {state.status}", f"see its log, {_RECOVER}"))
        return ArmFault(f"{reason}: {way_out}")
    if state.mode not in modes:
        return ArmFault(
            f"the robot is in control mode {state.mode}: another program has switched it, or it was stopped; end what "
            f"runs on the robot, {_RECOVER}"
        )
    return None
