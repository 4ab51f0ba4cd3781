"""Forward kinematics from a URDF, to look for joint offsets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pinocchio as pin

from grasp_core import se3
from grasp_core.errors import ConfigError
from hand_eye.refine import Kinematics


def forward(urdf: str, base: str, flange: str, joints: Sequence[str]) -> Kinematics:
    """The function joints (V, dof) rad -> T_base_flange (V, 4, 4), for joints in the order of their names.

    Raises:
        ConfigError: the URDF cannot be read, or lacks a joint or a frame.
    """
    try:
        model = pin.buildModelFromXML(urdf)
    except ValueError as error:
        raise ConfigError(f"robot description: {error}") from error
    missing = [name for name in joints if not model.existJointName(name)]
    missing += [name for name in (base, flange) if not model.existFrame(name)]
    if missing:
        raise ConfigError(f"robot description: no joint or frame {', '.join(missing)}")
    data = model.createData()
    ids = [model.getJointId(name) for name in joints]
    frames = [model.getFrameId(name) for name in (base, flange)]

    def one(angles: np.ndarray) -> np.ndarray:
        q = pin.neutral(model)
        for i, angle in zip(ids, angles, strict=True):
            at = model.idx_qs[i]
            q[at : at + model.nqs[i]] = angle if model.nqs[i] == 1 else (np.cos(angle), np.sin(angle))
        pin.framesForwardKinematics(model, data, q)
        T_base, T_flange = (data.oMf[i].homogeneous for i in frames)
        return se3.inverse(T_base) @ T_flange

    return lambda q: np.array([one(angles) for angles in q])
