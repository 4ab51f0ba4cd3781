"""Kinematics of a UR arm, from its Denavit-Hartenberg parameters, as its controller computes them.

Poses are those of the tool (flange and TCP offset) in the controller's base frame, which is turned by half a turn about
z against ROS's base_link. A UR pose (6,) is a position in m and a rotation vector in rad.
"""

from __future__ import annotations

import math

import numpy as np

from grasp_core import se3
from grasp_sim.ur_controller.models import UrModel

_TOLERANCE = 1e-6  # m and rad
_STEP = 0.5  # rad that one iteration may turn a joint by
_ITERATIONS = 60
_DAMPING = 1e-4


def matrix(pose: np.ndarray) -> np.ndarray:
    """4x4 of a UR pose (6,)."""
    return se3.make(se3.exp_so3(pose[3:]), pose[:3])


def vector(T: np.ndarray) -> np.ndarray:
    """UR pose (6,) of a 4x4."""
    return np.concatenate([T[:3, 3], se3.log_so3(T[:3, :3])])


class Kinematics:
    """Forward and inverse kinematics of one arm with one TCP offset."""

    def __init__(self, model: UrModel) -> None:
        self._model = model
        self._link = [
            (a, d, math.sin(al), math.cos(al)) for a, d, al in zip(model.a, model.d, model.alpha, strict=True)
        ]
        self.tcp = np.zeros(6)
        self._T_flange_tcp = np.eye(4)

    def set_tcp(self, pose: np.ndarray) -> None:
        """The tool's pose (6,) in the flange's frame."""
        self.tcp = np.array(pose, dtype=np.float64)
        self._T_flange_tcp = matrix(self.tcp)

    def frames(self, q: np.ndarray) -> np.ndarray:
        """(7, 4, 4): base, the six joints' frames; the last is the flange."""
        frames = np.empty((7, 4, 4))
        frames[0] = np.eye(4)
        step = np.zeros((4, 4))
        step[3, 3] = 1.0
        for i, (a, d, sa, ca) in enumerate(self._link):
            s, c = math.sin(q[i]), math.cos(q[i])
            step[0] = c, -s * ca, s * sa, a * c
            step[1] = s, c * ca, -c * sa, a * s
            step[2] = 0.0, sa, ca, d
            frames[i + 1] = frames[i] @ step
        return frames

    def forward(self, q: np.ndarray, flange: bool = False) -> np.ndarray:
        """4x4 of the tool, or of the flange."""
        T = self.frames(q)[6]
        return T if flange else T @ self._T_flange_tcp

    def jacobian(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pose 4x4 of the tool, and (6, 6): its linear and angular velocity, in base axes, by joint rates."""
        frames = self.frames(q)
        T = frames[6] @ self._T_flange_tcp
        axes = frames[:6, :3, 2]
        out = np.empty((6, 6))
        out[:3] = np.cross(axes, T[:3, 3] - frames[:6, :3, 3]).T
        out[3:] = axes.T
        return T, out

    def inverse(self, T: np.ndarray, near: np.ndarray) -> np.ndarray | None:
        """Joints (6,) rad for the tool at ``T`` (4x4), found from ``near``; None where there are none within limits."""
        q = np.array(near, dtype=np.float64)
        for _ in range(_ITERATIONS):
            now, jacobian = self.jacobian(q)
            error = np.concatenate([T[:3, 3] - now[:3, 3], se3.log_so3(T[:3, :3] @ now[:3, :3].T)])
            if np.abs(error).max() < _TOLERANCE:
                return q if (np.abs(q) <= np.asarray(self._model.position) + 1e-9).all() else None
            step = np.linalg.solve(jacobian.T @ jacobian + _DAMPING**2 * np.eye(6), jacobian.T @ error)
            q += step * min(1.0, _STEP / max(np.abs(step).max(), 1e-12))
        return None
