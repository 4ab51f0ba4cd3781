"""Orientations of the grasp frame that are tried."""

import numpy as np
from numpy.typing import NDArray

from grasp_core import se3

_TILTS = (0.0, 20.0, -20.0, 40.0, -40.0)  # degrees about the closing direction: both contacts stay level
_ROLLS = (20.0, -20.0)  # degrees about y: one finger lower than the other


def downwards(in_plane: int, max_tilt: float) -> NDArray[np.float64]:
    """Rotations (A, 3, 3) around straight down, ``in_plane`` closing directions over half a turn.

    Each closing direction comes with an upright approach, approaches tilted about the closing direction and, at every
    other one, approaches tilted sideways, up to ``max_tilt`` degrees.
    """
    rotations = []
    for i in range(in_plane):
        yaw = np.pi * i / in_plane
        down = se3.rpy_matrix(0.0, 0.0, yaw) @ np.diag([1.0, -1.0, -1.0])
        rotations += [down @ se3.rpy_matrix(np.deg2rad(a), 0.0, 0.0) for a in _TILTS if abs(a) <= max_tilt]
        rotations += [down @ se3.rpy_matrix(0.0, np.deg2rad(a), 0.0) for a in _ROLLS if abs(a) <= max_tilt]
    return np.stack(rotations)


def along_normals(normals: NDArray[np.float64], in_plane: int, max_tilt: float) -> NDArray[np.float64]:
    """Rotations (S, in_plane, 3, 3) whose approach is the inward normal, bent to at most ``max_tilt`` degrees."""
    approach = -normals
    tilt = np.arccos(np.clip(-approach[:, 2], -1.0, 1.0))
    bent = np.minimum(tilt, np.deg2rad(max_tilt))
    level = approach[:, :2] / np.maximum(np.linalg.norm(approach[:, :2], axis=1, keepdims=True), 1e-9)
    z = np.concatenate([level * np.sin(bent)[:, None], -np.cos(bent)[:, None]], axis=1)
    x = np.stack([-level[:, 1], level[:, 0], np.zeros(len(level))], axis=1)
    x[np.linalg.norm(x, axis=1) < 0.5] = (1.0, 0.0, 0.0)
    frames = np.stack([x, np.cross(z, x), z], axis=-1)
    spin = np.stack([se3.rpy_matrix(0.0, 0.0, np.pi * i / in_plane) for i in range(in_plane)])
    return frames[:, None] @ spin[None]
