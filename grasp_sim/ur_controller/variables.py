"""The variables that RTDE can send: type, the PolyScope version that brought them, and their value."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from grasp_sim.ur_controller.kinematics import vector
from grasp_sim.ur_controller.models import Version

if TYPE_CHECKING:
    from grasp_sim.ur_controller.controller import Controller

FORMATS = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT32": "I",
    "UINT64": "Q",
    "INT32": "i",
    "DOUBLE": "d",
    "VECTOR3D": "3d",
    "VECTOR6D": "6d",
    "VECTOR6INT32": "6i",
    "VECTOR6UINT32": "6I",
}
LENGTHS = {"VECTOR3D": 3, "VECTOR6D": 6, "VECTOR6INT32": 6, "VECTOR6UINT32": 6}
Getter = Callable[["Controller"], Any]

_ZERO3, _ZERO6 = (0.0,) * 3, (0.0,) * 6
_JOINT_RUNNING = (253,) * 6  # joint_mode
_REGISTER = re.compile(r"output_(int|double)_register_(\d+)$")


def _tcp_speed(c: Controller) -> np.ndarray:
    return c.arm.kinematics.jacobian(c.arm.measured.q)[1] @ c.arm.measured.qd


def _robot_bits(c: Controller) -> int:
    return int(c.safety.powered) | int(c.program.running) << 1


_VARIABLES: dict[str, tuple[str, Getter]] = {
    "timestamp": ("DOUBLE", lambda c: c.time),
    "target_q": ("VECTOR6D", lambda c: c.arm.setpoint.q),
    "target_qd": ("VECTOR6D", lambda c: c.arm.setpoint.qd),
    "target_qdd": ("VECTOR6D", lambda c: c.arm.setpoint.qdd),
    "actual_q": ("VECTOR6D", lambda c: c.arm.measured.q),
    "actual_qd": ("VECTOR6D", lambda c: c.arm.measured.qd),
    "actual_TCP_pose": ("VECTOR6D", lambda c: vector(c.arm.kinematics.forward(c.arm.measured.q))),
    "actual_TCP_speed": ("VECTOR6D", _tcp_speed),
    "target_TCP_pose": ("VECTOR6D", lambda c: vector(c.arm.kinematics.forward(c.arm.setpoint.q))),
    "target_TCP_speed": ("VECTOR6D", _tcp_speed),
    "robot_mode": ("INT32", lambda c: int(c.safety.robot_mode)),
    "safety_mode": ("INT32", lambda c: int(c.safety.safety_mode)),
    "joint_mode": ("VECTOR6INT32", lambda c: _JOINT_RUNNING),
    "robot_status_bits": ("UINT32", _robot_bits),
    "safety_status_bits": ("UINT32", lambda c: c.safety.safety_bits),
    "runtime_state": ("UINT32", lambda c: c.program.runtime_state),
    "speed_scaling": ("DOUBLE", lambda c: 1.0 if c.safety.may_move else 0.0),
    "target_speed_fraction": ("DOUBLE", lambda c: c.registers.slider),
    "actual_digital_input_bits": ("UINT64", lambda c: 0),
    "actual_digital_output_bits": ("UINT64", lambda c: c.registers.digital_outputs),
    "output_bit_registers0_to_31": ("UINT32", lambda c: 0),
    "output_bit_registers32_to_63": ("UINT32", lambda c: 0),
    "actual_main_voltage": ("DOUBLE", lambda c: 48.0),
    "actual_robot_voltage": ("DOUBLE", lambda c: 48.0 if c.safety.powered else 0.0),
    "joint_temperatures": ("VECTOR6D", lambda c: (30.0,) * 6),
}
# What a kinematic arm has no answer for: zeros of the right type.
_ZEROS = {
    "VECTOR6D": (
        "target_current target_moment actual_current actual_qdd actual_moment joint_control_output actual_TCP_force "
        "actual_joint_voltage"
    ),
    "DOUBLE": (
        "actual_execution_time actual_momentum actual_robot_current standard_analog_input0 standard_analog_input1 "
        "standard_analog_output0 standard_analog_output1"
    ),
    "VECTOR3D": "actual_tool_accelerometer elbow_position elbow_velocity",
}
_VALUES = {"VECTOR6D": _ZERO6, "DOUBLE": 0.0, "VECTOR3D": _ZERO3}
for _kind, _names in _ZEROS.items():
    _VARIABLES |= {name: (_kind, lambda c, value=_VALUES[_kind]: value) for name in _names.split()}
# Later ones: type, and since when on CB3 and on the e-Series (Universal Robots, RTDE guide).
_LATER: dict[str, tuple[str, Any, Version, Version]] = {
    "payload": ("DOUBLE", 0.0, (3, 11, 0, 0), (5, 5, 1, 0)),
    "payload_cog": ("VECTOR3D", _ZERO3, (3, 11, 0, 0), (5, 5, 1, 0)),
    "payload_inertia": ("VECTOR6D", _ZERO6, (3, 15, 0, 0), (5, 11, 0, 0)),
    "ft_raw_wrench": ("VECTOR6D", _ZERO6, (4, 0, 0, 0), (5, 9, 0, 0)),
    "actual_current_as_torque": ("VECTOR6D", _ZERO6, (4, 0, 0, 0), (5, 23, 0, 0)),
}


def find(name: str, version: Version) -> tuple[str, Getter] | None:
    """Type and getter of an output variable; None where a controller of this version has none."""
    if name in _VARIABLES:
        return _VARIABLES[name]
    if name in _LATER:
        kind, value, cb3, e_series = _LATER[name]
        since = cb3 if version[0] < 5 else e_series
        return (kind, lambda c: value) if version >= since else None
    found = _REGISTER.match(name)
    if found is None or int(found[2]) >= 48 or version < (3, 4, 0, 0):
        return None
    index = int(found[2])
    if found[1] == "int":
        return "INT32", lambda c: c.registers.out_int[index]
    return "DOUBLE", lambda c: c.registers.out_double[index]
