"""The torques that make the simulated arm follow its setpoint. No ROS in here."""

from __future__ import annotations

import mujoco
import numpy as np

from grasp_core.trajectory import State
from grasp_sim.cell_model import CellModel

NATURAL_FREQUENCY = 80.0  # rad/s of the joint servo, critically damped
INTEGRAL_RATE = 10.0  # 1/s


class JointServo:
    """Computed torque: feed-forward of the arm's own dynamics, and a critically damped servo with integral action."""

    def __init__(self, cell: CellModel) -> None:
        self._cell = cell
        dof = len(cell.arm_dof)
        self._integral = np.zeros(dof)
        self._wish = np.zeros(cell.model.nv)
        self._product = np.zeros(cell.model.nv)

    def reset(self) -> None:
        """Forget the integral."""
        self._integral[:] = 0.0

    def update(self, data: mujoco.MjData, want: State) -> np.ndarray:
        """Write motor torques, within the joints' limits, for the state in ``data``; returns them (dof,) N m."""
        cell, w = self._cell, NATURAL_FREQUENCY
        error = want.q - data.qpos[cell.arm_qpos]
        rate = want.qd - data.qvel[cell.arm_dof]
        self._wish[cell.arm_dof] = want.qdd + w * w * error + 2 * w * rate + self._integral
        mujoco.mj_mulM(cell.model, data, self._product, self._wish)
        torque = self._product[cell.arm_dof] + data.qfrc_bias[cell.arm_dof]
        limited = np.minimum(np.maximum(torque, -cell.arm_torque), cell.arm_torque)
        free = torque == limited  # a saturated joint must not wind up
        self._integral[free] += INTEGRAL_RATE * w * w * error[free] * cell.model.opt.timestep
        data.ctrl[cell.arm_motor] = limited
        return limited
