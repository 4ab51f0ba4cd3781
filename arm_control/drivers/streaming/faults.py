"""What every arm tells, and why it cannot be moved, in words for the one who stands in front of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grasp_core.errors import ErrorCode, ExecutionError


@dataclass(frozen=True)
class ArmState:
    """What the robot told last.

    ``timestamp`` s, the robot's own clock; ``q``, ``qd`` (dof,) rad, rad/s; ``tcp`` 4x4: the grasp frame in base_link;
    ``setpoint`` (dof,) rad: what the trajectory wants now; ``speed_scaling`` 0 to 1.
    """

    timestamp: float
    q: np.ndarray
    qd: np.ndarray
    tcp: np.ndarray
    setpoint: np.ndarray
    speed_scaling: float


class ArmFault(ExecutionError):
    """The robot cannot be moved; the message says why and what to do. Its code is CONTROLLER_ABORTED."""


class LinkFault(ArmFault):
    """There is no usable connection to the robot."""

    code = ErrorCode.CONTROLLER_UNAVAILABLE


def link_lost(age: float) -> LinkFault:
    """It has gone silent."""
    return LinkFault(
        f"the link to the robot is lost: no data for {age * 1e3:.0f} ms; the robot stops by itself, and this driver "
        "connects again: look at cable, switch and the load of this machine"
    )
