"""The simulated work cell as the body of a UR controller: its arm follows the controller, its gripper hangs on it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grasp_core.errors import ConfigError
from grasp_core.trajectory import State
from grasp_sim.surroundings import TIME_STEP
from grasp_sim.ur_controller.controller import Controller
from grasp_sim.ur_controller.models import find_model
from grasp_sim.work_cell import WorkCell


class ControllerArm:
    """What `WorkCell.arm` is when a controller on the network moves the arm, instead of a `TrajectoryFollower`."""

    goal = None

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._placed = False

    @property
    def setpoint(self) -> State:
        """Where the controller wants the joints."""
        return self._controller.arm.setpoint

    @property
    def moving(self) -> bool:
        """Whether the controller moves the arm."""
        return not self._controller.arm.still

    def reset(self, q: np.ndarray) -> None:
        """Stand at ``q`` (dof,) rad from the next step on: only then is this the scene that the controller drives."""
        self._placed = False

    def update(self, time: float, q: np.ndarray, qd: np.ndarray) -> State:
        """One period of the controller."""
        if not self._placed:
            self._controller.place(q.copy())
            self._placed = True
        return self._controller.cycle(State(q.copy(), qd.copy(), np.zeros_like(q)))


class CellFingers:
    """The work cell's gripper behind a Robotiq gripper's registers; the physics advance it."""

    def __init__(self, cell: Callable[[], WorkCell]) -> None:
        self._cell = cell

    def move(self, position: float, speed: float, force: float) -> None:
        """See `Fingers`; the simulated gripper has one speed."""
        gripper = self._cell().gripper_profile
        width = gripper.max_width - position * (gripper.max_width - gripper.min_width)
        self._cell().gripper.move(width, gripper.force.min + force * (gripper.force.max - gripper.force.min))

    def step(self, dt: float) -> None:
        """See `Fingers`."""

    @property
    def position(self) -> float:
        """See `Fingers`."""
        cell, gripper = self._cell(), self._cell().gripper_profile
        return float(np.clip((gripper.max_width - cell.width) / (gripper.max_width - gripper.min_width), 0.0, 1.0))

    @property
    def done(self) -> str:
        """See `Fingers`."""
        command = self._cell().gripper.command
        if command.stalled:
            return "stalled"
        return "reached" if command.reached else ""


def make_controller(arm: str, address: str, cell: Callable[[], WorkCell]) -> Controller:
    """A controller for the arm of this profile, to be driven by the physics' steps; ConfigError, OSError."""
    model = find_model(arm)
    if abs(1.0 / model.rate - TIME_STEP) > 1e-9:
        raise ConfigError(
            f"the controller of {arm} runs at {model.rate:.0f} Hz, the physics at {1.0 / TIME_STEP:.0f} Hz: take ur5e"
        )
    return Controller(model, address, fingers=CellFingers(cell))
