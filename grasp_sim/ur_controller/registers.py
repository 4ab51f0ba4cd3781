"""Registers and slider that RTDE clients write, and the outputs that a program writes."""

from __future__ import annotations

import re
from typing import Any

INT_REGISTERS, DOUBLE_REGISTERS = 48, 48
_REGISTER = re.compile(r"input_(int|double|bit)_register_(\d+)$")

INPUTS: dict[str, str] = {
    "speed_slider_mask": "UINT32",
    "speed_slider_fraction": "DOUBLE",
    "standard_digital_output_mask": "UINT8",
    "standard_digital_output": "UINT8",
    "configurable_digital_output_mask": "UINT8",
    "configurable_digital_output": "UINT8",
    "tool_digital_output_mask": "UINT8",
    "tool_digital_output": "UINT8",
    "standard_analog_output_mask": "UINT8",
    "standard_analog_output_type": "UINT8",
    "standard_analog_output_0": "DOUBLE",
    "standard_analog_output_1": "DOUBLE",
    "external_force_torque": "VECTOR6D",
}


def input_type(name: str) -> str:
    """RTDE type of an input, or NOT_FOUND."""
    if name in INPUTS:
        return INPUTS[name]
    found = _REGISTER.match(name)
    if found is None or int(found[2]) >= INT_REGISTERS:
        return "NOT_FOUND"
    return {"int": "INT32", "double": "DOUBLE", "bit": "BOOL"}[found[1]]


class Registers:
    """Input and output registers, speed slider, digital outputs. ``written``: when each input came, s."""

    def __init__(self) -> None:
        self.in_int = [0] * INT_REGISTERS
        self.in_double = [0.0] * DOUBLE_REGISTERS
        self.out_int = [0] * INT_REGISTERS
        self.out_double = [0.0] * DOUBLE_REGISTERS
        self.slider = 1.0
        self.digital_outputs = 0
        self.written: dict[str, float] = {}

    def write(self, values: dict[str, Any], time: float) -> None:
        """Take in one input package: name -> value."""
        for name, value in values.items():
            self.written[name] = time
            found = _REGISTER.match(name)
            if found is not None and found[1] != "bit":
                (self.in_int if found[1] == "int" else self.in_double)[int(found[2])] = value
        if values.get("speed_slider_mask"):
            self.slider = min(max(values["speed_slider_fraction"], 0.0), 1.0)
        for kind, shift in (("standard", 0), ("configurable", 8), ("tool", 16)):
            mask = values.get(f"{kind}_digital_output_mask", 0) << shift
            bits = values.get(f"{kind}_digital_output", 0) << shift
            self.digital_outputs = (self.digital_outputs & ~mask) | (bits & mask)
