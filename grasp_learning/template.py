"""The fixed fan of candidates at every surface point: approach views x in-plane angles x depths.

The constants are those of GraspNet-1Billion (Fang et al., CVPR 2020) with the fifth depth of AnyGrasp (Fang et al.,
T-RO 2023). Frames are our grasp frames: z = approach, x = closing direction.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

VIEWS = 300
ANGLES = 12  # half a turn in steps of 15 deg: the other half only swaps the fingers
DEPTHS = (0.005, 0.01, 0.02, 0.03, 0.04)  # m that the fingertips reach past the surface point
GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


@lru_cache(maxsize=4)
def view_directions(count: int = VIEWS) -> NDArray[np.float64]:
    """(count, 3) unit vectors spread evenly over the sphere on a Fibonacci spiral, read-only.

    They point from the object to where the hand comes from; the approach is opposite.
    """
    i = np.arange(count)
    z = (2 * i + 1) / count - 1.0
    radius, turn = np.sqrt(1.0 - z**2), 2.0 * np.pi * i * GOLDEN
    views = np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=1)
    views.setflags(write=False)
    return views


@lru_cache(maxsize=1)
def rotations() -> NDArray[np.float64]:
    """(VIEWS, ANGLES, 3, 3) grasp frames in the object frame, read-only.

    Angle 0 closes horizontally; the closing direction turns about the approach by pi / ANGLES from one to the next.
    """
    approach = -view_directions()
    level = np.stack([-approach[:, 1], approach[:, 0], np.zeros(VIEWS)], axis=1)
    length = np.linalg.norm(level, axis=1, keepdims=True)
    level = np.where(length > 1e-9, level / np.maximum(length, 1e-9), [0.0, 1.0, 0.0])
    across = np.cross(approach, level)
    theta = np.arange(ANGLES) * np.pi / ANGLES
    closing = np.cos(theta)[:, None] * level[:, None] + np.sin(theta)[:, None] * across[:, None]
    z = np.broadcast_to(approach[:, None], closing.shape)
    frames = np.stack([closing, np.cross(z, closing), z], axis=-1)
    frames.setflags(write=False)
    return frames
