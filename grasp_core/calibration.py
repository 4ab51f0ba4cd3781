"""The result of a hand-eye calibration, kept in one YAML file: where a camera is, and how far to trust it."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import AwareDatetime, Field, field_validator

from grasp_core import config, se3
from grasp_core.errors import ConfigError, InputError

Vector3 = tuple[float, float, float]
Mode = Literal["eye_in_hand", "eye_to_hand"]
MODES: tuple[Mode, ...] = ("eye_in_hand", "eye_to_hand")
NotNegative = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]


class Error(config.StrictModel):
    """An error in position and angle."""

    mm: NotNegative
    deg: NotNegative


class Calibration(config.StrictModel):
    """Model of the file.

    Attributes:
        parent_frame, child_frame: what the camera is fixed to, and its colour optical frame.
        translation, rotation: pose of the child in the parent, m and quaternion x, y, z, w.
        date: of the last view, with its time zone. serial: of the camera, empty if unknown.
        board: name of the board; square: edge that was calculated with, m.
        views, rejected: used and left out.
        residual: RMS over the views between where the board was seen and where it should have been, at its centre.
        pixels: RMS reprojection error of the corners, px.
        uncertainty: one standard deviation of the result.
        joint_offsets: rad by joint name, where they were estimated too; None otherwise.
    """

    mode: Mode
    parent_frame: Name
    child_frame: Name
    translation: Vector3
    rotation: tuple[float, float, float, float]
    date: AwareDatetime
    camera: str
    serial: str
    board: str
    square: Annotated[float, Field(gt=0)]
    views: Annotated[int, Field(ge=3)]
    rejected: Annotated[int, Field(ge=0)]
    residual: Error
    pixels: NotNegative
    uncertainty: Error
    verdict: Literal["trust", "collect_more"]
    joint_offsets: dict[str, float] | None = None

    @field_validator("rotation")
    @classmethod
    def _unit(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        try:
            se3.matrix_from_quat(value, tolerance=1e-3)
        except InputError as error:
            raise ValueError(str(error)) from error
        return value

    @property
    def T_parent_child(self) -> NDArray[np.float64]:
        """Pose of the camera's optical frame in the parent frame, 4x4."""
        return se3.make(se3.matrix_from_quat(self.rotation), self.translation)

    @classmethod
    def load(cls, path: str | Path) -> "Calibration":
        """Read the file; ConfigError names file and key."""
        return config.load_model(path, cls)

    def save(self, path: str | Path) -> None:
        """Write the file; ConfigError when that is not possible."""
        data = self.model_dump(mode="json", exclude_none=True)
        text = "# Hand-eye calibration: pose of child_frame in parent_frame; m, quaternion x y z w.\n"
        text += yaml.safe_dump(data, sort_keys=False, default_flow_style=None)
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error}") from error
