"""A parallel-jaw gripper: one YAML, used by detector, collision filter, planner, simulator and driver alike."""

from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from typing_extensions import Self

from grasp_core import config, se3
from grasp_core.errors import InputError

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


class Finger(config.StrictModel):
    """One finger as a box in the grasp frame, m."""

    thickness: Positive  # along the closing direction, outwards from the pad
    width: Positive  # across, along y
    length: Positive  # from the tip back to the knuckles


class Part(config.StrictModel):
    """A box behind the fingers, centred on the approach axis, m: size along x (closing), y, z (approach)."""

    size: tuple[Positive, Positive, Positive]


class Range(config.StrictModel):
    """Limits and the value used unless told otherwise (N or m/s)."""

    min: NonNegative
    max: Positive
    default: Positive

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min <= self.default <= self.max:
            raise ValueError(f"expected min <= default <= max, got {self.min}, {self.default}, {self.max}")
        return self


class JointMap(config.StrictModel):
    """Piecewise linear map from opening (m) to the driver's joint position (rad or m)."""

    name: str
    width: tuple[float, ...]
    position: tuple[float, ...]

    @model_validator(mode="after")
    def _monotonic(self) -> Self:
        if len(self.width) != len(self.position) or len(self.width) < 2:
            raise ValueError("width and position need the same number of entries, at least 2")
        if np.any(np.diff(self.width) <= 0):
            raise ValueError("width must rise strictly")
        steps = np.diff(self.position)
        if not (np.all(steps > 0) or np.all(steps < 0)):
            raise ValueError("position must rise or fall strictly")
        return self


class GripperDriver(config.StrictModel):
    """Which action the gripper's driver speaks, under which name, and where it tells its joint."""

    type: Literal["gripper_command", "parallel_gripper_command"]
    action: str
    joint_states: str = ""  # empty: with the arm's


class Gripper(config.StrictModel):
    """Model of ``config/grippers/*.yaml``; lengths in m, forces in N, angles in rad.

    Grasp frame: origin midway between the fingertips, z = approach, x = closing direction.
    """

    name: str
    max_width: Positive
    min_width: NonNegative = 0.0
    finger: Finger
    pad_height: Positive
    knuckles: Part
    palm: Part
    tcp_from_flange: Positive
    tcp_yaw: float = 0.0
    mass: Positive
    force: Range
    speed: Range
    pad_friction: Positive
    joint: JointMap
    driver: GripperDriver

    @classmethod
    def load(cls, name: str) -> "Gripper":
        """Load by shipped name or path of a YAML file; raises ConfigError."""
        return config.load_model(config.find("grippers", name), cls, "grippers")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_width >= self.max_width:
            raise ValueError(f"min_width {self.min_width} must be below max_width {self.max_width}")
        if self.pad_height > self.finger.length:
            raise ValueError(f"pad_height {self.pad_height} exceeds finger.length {self.finger.length}")
        if self.joint.width[0] > self.min_width or self.joint.width[-1] < self.max_width:
            raise ValueError("joint.width must span min_width to max_width")
        return self

    @cached_property
    def T_flange_tcp(self) -> NDArray[np.float64]:
        """Pose of the grasp frame in the arm's flange frame, 4x4."""
        return se3.make(se3.rpy_matrix(0.0, 0.0, self.tcp_yaw), [0.0, 0.0, self.tcp_from_flange])

    def joint_from_width(self, width: float) -> float:
        """Driver position for an opening in m; InputError outside [min_width, max_width]."""
        if not np.isfinite(width) or not self.min_width - 1e-6 <= width <= self.max_width + 1e-6:
            raise InputError(f"width {width} m is outside {self.min_width}..{self.max_width} m of gripper {self.name}")
        return float(np.interp(width, self.joint.width, self.joint.position))

    def width_from_joint(self, position: float) -> float:
        """Opening in m for a driver position (clipped to the map's ends); InputError if not finite."""
        if not np.isfinite(position):
            raise InputError(f"position {position} of joint {self.joint.name} is not finite")
        order = np.argsort(self.joint.position)
        return float(np.interp(position, np.asarray(self.joint.position)[order], np.asarray(self.joint.width)[order]))

    def boxes(self, width: float | NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Collision boxes (left finger at -x, right finger at +x, knuckles, palm) in the grasp frame at an opening.

        Args:
            width: opening in m, scalar or (...).

        Returns:
            centres (..., 4, 3) and full sizes (..., 4, 3), box index second to last.
        """
        width = np.asarray(width, dtype=np.float64)
        centres = np.zeros((*width.shape, 4, 3))
        offset = width / 2.0 + self.finger.thickness / 2.0
        centres[..., 0, 0], centres[..., 1, 0] = -offset, offset
        centres[..., :2, 2] = -self.finger.length / 2.0
        centres[..., 2, 2] = -self.finger.length - self.knuckles.size[2] / 2.0
        centres[..., 3, 2] = -self.finger.length - self.knuckles.size[2] - self.palm.size[2] / 2.0
        finger = [self.finger.thickness, self.finger.width, self.finger.length]
        boxes = np.array([finger, finger, self.knuckles.size, self.palm.size])
        sizes = np.broadcast_to(boxes, (*width.shape, 4, 3))
        return centres, sizes
