"""A parallel gripper's own controller: constant speed, force limit, stall detection. No ROS in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np

from grasp_core.gripper import Gripper

STIFFNESS = 5000.0  # N/m at one finger
DAMPING = 80.0  # N s/m at one finger
INTEGRAL = 6e4  # N/(m s) at one finger: full force also on what is thinner than the servo's own give
STALL_TRAVEL = 0.0003  # m of the opening: less is standing still; the speed itself trembles between pad and object
REST_TIME = 0.02  # s of standing still until a target counts as reached
STALL_TIME = 0.15  # s of standing still until the fingers count as stalled
REACHED = 0.0015  # m of the opening


class FingerModel(Protocol):
    """A compiled model and where its two fingers are in it: (2,) indices, left and right."""

    model: mujoco.MjModel
    finger_qpos: np.ndarray
    finger_dof: np.ndarray
    finger_motor: np.ndarray


@dataclass(eq=False)
class GripperCommand:
    """One command: opening in m, force in N; ``reached`` or ``stalled`` is set when it ends."""

    width: float
    force: float
    reached: bool = False
    stalled: bool = False
    replaced: bool = False

    @property
    def done(self) -> bool:
        """Whether the fingers have arrived, stand still against something, or were commanded anew."""
        return self.reached or self.stalled or self.replaced


def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


class GripperServo:
    """Drives both fingers along a ramp; the ramp waits where the force limit is reached, so the grip stays on."""

    def __init__(self, cell: FingerModel, gripper: Gripper, width: float | None = None) -> None:
        """``width``: m, where the fingers stand at first; None: wide open."""
        width = gripper.max_width if width is None else width
        self._cell = cell
        self._gripper = gripper
        self._still: tuple[float, float] | None = None  # since when, s, and at which opening, m
        self._ramp = width / 2
        self._extra = 0.0  # N, integral action
        self.command = GripperCommand(width, gripper.force.default, reached=True)
        self.effort = 0.0  # N at one finger, > 0 closes

    def move(self, width: float, force: float | None = None) -> GripperCommand:
        """Go to an opening in m with at most ``force`` N (None or 0: the gripper's default; clipped to its range)."""
        gripper = self._gripper
        limit = gripper.force.default if not force else _clip(force, gripper.force.min, gripper.force.max)
        self.command.replaced = not self.command.done
        width = _clip(width, gripper.min_width, gripper.max_width)
        self.command, self._still, self._extra = GripperCommand(width, limit), None, 0.0
        return self.command

    def halt(self, data: mujoco.MjData) -> None:
        """Stay at the present opening, gripping as before if something is held."""
        holding = self.command.stalled
        if not holding:
            force = self.command.force
            self.move(self.width(data), force)

    def width(self, data: mujoco.MjData) -> float:
        """Opening between the pads, m."""
        left, right = self._cell.finger_qpos
        return float(data.qpos[left] + data.qpos[right])

    def speed(self, data: mujoco.MjData) -> float:
        """Speed of the opening, m/s."""
        left, right = self._cell.finger_dof
        return float(data.qvel[left] + data.qvel[right])

    def update(self, data: mujoco.MjData) -> None:
        """Write the finger forces for this step."""
        command, dt = self.command, self._cell.model.opt.timestep
        half, half_speed = self.width(data) / 2, self.speed(data) / 2
        before = self._ramp
        step = self._gripper.speed.default / 2 * dt
        self._ramp += _clip(command.width / 2 - self._ramp, -step, step)
        lead = command.force / STIFFNESS
        self._ramp = _clip(self._ramp, half - lead, half + lead)
        rate = (self._ramp - before) / dt
        wanted = STIFFNESS * (self._ramp - half) + DAMPING * (rate - half_speed) + self._extra
        force = _clip(wanted, -command.force, command.force)
        if force == wanted and self._ramp == command.width / 2:
            self._extra += INTEGRAL * (self._ramp - half) * dt
        data.ctrl[self._cell.finger_motor] = force
        self.effort = -force
        self._judge(float(data.time), 2 * half)

    def _judge(self, time: float, width: float) -> None:
        command = self.command
        if command.done:
            return
        if self._still is None or abs(width - self._still[1]) > STALL_TRAVEL:
            self._still = (time, width)
        if time - self._still[0] < REST_TIME:
            return
        if abs(width - command.width) < REACHED:
            command.reached = True
            return
        pushing = abs(self.effort) > 0.9 * command.force
        command.stalled = pushing and time - self._still[0] >= STALL_TIME
