"""An arm profile: names, limits and controllers of one arm under one driver, so that no code knows them."""

from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr, model_validator
from typing_extensions import Self

from grasp_core import config
from grasp_core.errors import ConfigError

Positive = Annotated[float, Field(gt=0)]


class ArmDriver(config.StrictModel):
    """ROS names of the arm's driver."""

    trajectory_action: str
    joint_states: str
    robot_description: str
    servo_action: str = ""  # ServoTo of a driver that can follow a target; "": it cannot
    servo_target: str = ""


class ArmProfile(config.StrictModel):
    """Model of ``config/arms/*.yaml``; rad, rad/s, rad/s^2, m/s in the order of ``joints``."""

    name: str
    urdf: str
    base_frame: str
    flange_frame: str
    planning_group: str
    joints: tuple[str, ...]
    position_limits: tuple[tuple[float, float], ...] | None = None
    max_velocity: tuple[Positive, ...]
    max_acceleration: tuple[Positive, ...]
    max_tcp_velocity: Positive
    linear_velocity: Positive
    linear_acceleration: Positive
    velocity_scaling: Annotated[float, Field(gt=0, le=1)]
    driver: ArmDriver
    poses: dict[str, tuple[float, ...]]
    _folder: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        lengths: dict[str, tuple] = {"max_velocity": self.max_velocity, "max_acceleration": self.max_acceleration}
        if self.position_limits is not None:
            lengths["position_limits"] = self.position_limits
            for joint, (low, high) in zip(self.joints, self.position_limits, strict=False):
                if low >= high:
                    raise ValueError(f"position_limits of {joint}: expected low < high, got {low} and {high}")
        lengths |= {f"poses.{name}": pose for name, pose in self.poses.items()}
        for key, values in lengths.items():
            if len(values) != len(self.joints):
                raise ValueError(f"{key} has {len(values)} entries, expected {len(self.joints)} (one for each joint)")
        return self

    @classmethod
    def load(cls, name: str) -> "ArmProfile":
        """Load by shipped name or path of a YAML file; raises ConfigError."""
        source = config.load_source(config.find("arms", name), "arms")
        profile = config.validate(source, cls)
        profile._folder = source.place(("urdf",)).path.parent
        return profile

    @property
    def dof(self) -> int:
        """Number of joints."""
        return len(self.joints)

    def position_limits_array(self) -> NDArray[np.float64]:
        """(2, dof) rad: lowest and highest positions of the profile; infinite where it leaves them to the URDF."""
        if self.position_limits is None:
            return np.array([[-np.inf], [np.inf]]).repeat(self.dof, axis=1)
        return np.array(self.position_limits).T

    @property
    def urdf_path(self) -> Path:
        """Path of the URDF, relative names taken from the profile's folder; ConfigError if it does not exist."""
        path = self._folder / self.urdf
        if not path.is_file():
            raise ConfigError(f"arm profile {self.name}: no file {path} (key urdf)")
        return path
