"""The doctor's look at the hand-eye calibrations that a cell names: good enough, and what is published?"""

from __future__ import annotations

import numpy as np

from grasp_core import se3
from grasp_core.cell import MountedCamera
from seegrasp.doctor import Finding, ok, problem

APART_MM, APART_DEG = 0.5, 0.05  # between the file and /tf_static


def check_calibration(camera: MountedCamera, T_parent_camera: np.ndarray | None) -> Finding:
    """The file of a camera that has one, against its pose in the transforms (4, 4), None while they say nothing."""
    name, kept = f"calibration {camera.namespace}", camera.hand_eye
    made = f"of {kept.date.date()}, {kept.views} views, uncertain by {kept.uncertainty.mm:.2f} mm"
    if T_parent_camera is not None:
        mm = np.linalg.norm(T_parent_camera[:3, 3] - kept.T_parent_child[:3, 3]) * 1e3
        deg = np.rad2deg(se3.rotation_angle(T_parent_camera[:3, :3], kept.T_parent_child[:3, :3]))
        if mm > APART_MM or deg > APART_DEG:
            return problem(
                name,
                f"{made}; but /tf_static has the camera {mm:.1f} mm and {deg:.2f} deg from there",
                "stop whoever else publishes the camera's place; only hand_eye_node should",
            )
    if kept.verdict != "trust":
        return problem(name, f"{made}; its verdict is to collect more views", "seegrasp calibrate, with more poses")
    return ok(name, made)
