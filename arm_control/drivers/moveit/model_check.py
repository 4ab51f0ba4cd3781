"""Whether MoveIt's robot model and ours are the same arm."""

from __future__ import annotations

import numpy as np

from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.errors import ErrorCode, SeegraspError

POSITION = 0.003  # m: what a straight line may stray, too
ANGLE = 0.005  # rad


def compare_flange(moveit: np.ndarray, ours: np.ndarray, arm: ArmProfile, name: str) -> None:
    """SeegraspError CONFIG when MoveIt puts the flange (4x4, base frame) elsewhere than the robot description."""
    distance = float(np.linalg.norm(moveit[:3, 3] - ours[:3, 3]))
    angle = float(se3.rotation_angle(moveit[:3, :3], ours[:3, :3]))
    if distance > POSITION or angle > ANGLE:
        raise SeegraspError(
            f"{name}'s robot model is not that of {arm.driver.robot_description}: {arm.flange_frame} differs by "
            f"{1000 * distance:.1f} mm and {np.degrees(angle):.1f} deg at home. Give MoveIt the driver's own "
            "description, with its calibration (docs/MOVEIT.md)",
            ErrorCode.CONFIG,
        )
