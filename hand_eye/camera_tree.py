"""Which frame of a camera to hang onto the arm, so that no frame gets two parents.

A camera's driver may publish frames of its own around the optical one (realsense-ros: camera_link and below). Then the
root of that tree is hung onto the arm, else the optical frame itself.
"""

from __future__ import annotations

import numpy as np

from grasp_core import se3
from grasp_core.errors import FrameError


class StaticTree:
    """The fixed transforms that others publish."""

    def __init__(self) -> None:
        self._edges: dict[str, tuple[str, np.ndarray]] = {}

    def add(self, parent: str, child: str, T_parent_child: np.ndarray) -> None:
        """Take note of one; a later one of the same child replaces it."""
        self._edges[child] = (parent, T_parent_child)

    def chain(self, frame: str) -> list[str]:
        """The frames from this one up to its root; FrameError on a loop."""
        frames = [frame]
        while frames[-1] in self._edges:
            parent = self._edges[frames[-1]][0]
            if parent in frames:
                raise FrameError(f"/tf_static: {' -> '.join([*frames, parent])} is a loop; two publishers disagree")
            frames.append(parent)
        return frames

    def hang(self, parent: str, optical: str, T_parent_optical: np.ndarray) -> tuple[str, np.ndarray]:
        """The frame to be published as a child of `parent`, and its pose there (4, 4).

        Raises:
            FrameError: somebody else has hung the camera onto the arm already, or the frames make a loop.
        """
        chain = self.chain(optical)
        above = set(self.chain(parent))
        taken = next((frame for frame in chain if frame in above), None)
        if taken is not None:
            below = chain[chain.index(taken) - 1]
            raise FrameError(
                f"{below} is published as a child of {taken} by somebody else already: stop that publisher (a "
                "static_transform_publisher, the robot's URDF, a simulator), or leave the calibration out of the cell"
            )
        T_root_optical = np.eye(4)
        for frame in chain[:-1]:
            T_root_optical = self._edges[frame][1] @ T_root_optical
        return chain[-1], T_parent_optical @ se3.inverse(T_root_optical)
