"""The arm as the controller drives it: set points out, measured joints in, limits kept."""

from __future__ import annotations

import numpy as np

from grasp_core.trajectory import State
from grasp_sim.ur_controller.kinematics import Kinematics
from grasp_sim.ur_controller.models import UrModel
from grasp_sim.ur_controller.motion import Brake, Motion, MotionError, Servo

_SLACK = 1.02  # times the joint's velocity limit until the controller stops the arm
_STILL = 1e-3  # rad/s


class Arm:
    """Set points of six joints. ``measured`` is the plant's answer; without a plant it is the set point itself."""

    def __init__(self, model: UrModel, q: np.ndarray | None = None) -> None:
        self.model = model
        self.kinematics = Kinematics(model)
        self.setpoint = State.at_rest(np.array(model.home if q is None else q))
        self.measured = self.setpoint
        self.motion: Motion | None = None

    @property
    def still(self) -> bool:
        """Whether neither set point nor joints move."""
        return self.motion is None and bool(np.abs(self.measured.qd).max() < _STILL)

    def place(self, q: np.ndarray) -> None:
        """Stand at ``q`` (6,) rad at once, without any motion."""
        self.motion = None
        self.setpoint = self.measured = State.at_rest(q)

    def brake(self, deceleration: float | None = None) -> Brake:
        """Give up the motion and come to rest, with rad/s^2 of the fastest joint (None: as the safety system does)."""
        brake = Brake(self.setpoint) if deceleration is None else Brake(self.setpoint, deceleration)
        self.motion = brake
        return brake

    def step(self, dt: float, scaling: float) -> None:
        """Advance the set point by ``dt`` s; ``scaling``: of the speed slider. MotionError: it stays where it was."""
        if self.motion is None:
            return
        try:
            unscaled = isinstance(self.motion, (Brake, Servo))  # the speed slider stretches moves, not these
            state = self.motion.step(self.setpoint, dt if unscaled else dt * scaling)
            if not isinstance(self.motion, Brake):
                self._check(state)
        except MotionError:
            self.brake()
            raise
        self.setpoint = state
        if self.motion.done:
            self.motion = None

    def _check(self, state: State) -> None:
        limit = np.asarray(self.model.position)
        if (np.abs(state.q) > limit).any():
            joint = int(np.argmax(np.abs(state.q) - limit))
            raise MotionError(f"joint {joint} reaches its position limit of {limit[joint]:.3f} rad")
        fast = np.asarray(self.model.velocity) * _SLACK
        if (np.abs(state.qd) > fast).any():
            joint = int(np.argmax(np.abs(state.qd) - fast))
            raise MotionError(f"joint {joint} would move at {abs(state.qd[joint]):.2f} rad/s: near a singularity?")
