"""A work cell: what stands where around the arm, in the arm's base frame."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, PrivateAttr, model_validator
from typing_extensions import Self

from grasp_core import config, se3
from grasp_core.calibration import Calibration
from grasp_core.camera import CameraProfile
from grasp_core.errors import ConfigError, InputError

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Vector2 = tuple[float, float]
Vector3 = tuple[float, float, float]

PICK_MARGIN = 0.005  # m that the pick region stays off the walls, beyond depth noise: a wall must not become a grasp
PICK_FLOOR_GAP = 0.004  # m above the bin's floor: depth noise of the floor must not become a grasp
PICK_HEIGHT = 0.25  # m above the bin's floor


@dataclass(frozen=True)
class Box:
    """An axis-aligned box; ``min`` and ``max`` are (3,) float64 in m."""

    min: NDArray[np.float64]
    max: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("min", "max"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        if self.min.shape != (3,) or self.max.shape != (3,) or not np.all(self.min < self.max):
            raise InputError(f"box needs min < max with three finite numbers each, got {self.min} and {self.max}")

    def contains(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Which of ``points`` (..., 3) lie inside."""
        points = np.asarray(points)
        low, high = self.min.astype(points.dtype), self.max.astype(points.dtype)
        return ((points >= low) & (points <= high)).all(axis=-1)


@dataclass(frozen=True)
class Obstacle:
    """An axis-aligned solid box in the base frame: centre (3,) and full size (3,) in m."""

    name: str
    centre: NDArray[np.float64]
    size: NDArray[np.float64]


class BoxModel(config.StrictModel):
    """Corners of a box, m."""

    min: Vector3
    max: Vector3

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not np.all(np.less(self.min, self.max)):
            raise ValueError(f"expected min < max in every coordinate, got {self.min} and {self.max}")
        return self


class Table(config.StrictModel):
    """A horizontal table top, m."""

    height: float
    min: Vector2
    max: Vector2


class Container(config.StrictModel):
    """An open box standing on the table: inner size, m."""

    center: Vector2
    size: tuple[Positive, Positive]
    wall_height: Positive
    wall_thickness: Positive
    floor_thickness: Positive

    def inside(self, table_height: float, margin: float, low: float, high: float) -> Box:
        """The space ``margin`` off the walls, from ``low`` to ``high`` above the floor, m."""
        centre, half = np.array(self.center), np.array(self.size) / 2.0 - margin
        floor = table_height + self.floor_thickness
        return Box([*(centre - half), floor + low], [*(centre + half), floor + high])

    def obstacles(self, name: str, table_height: float) -> list[Obstacle]:
        """Floor and four walls as solid boxes."""
        (cx, cy), (sx, sy), t = self.center, self.size, self.wall_thickness
        floor, height = self.floor_thickness, self.wall_height
        z_wall = table_height + height / 2.0
        boxes = [(f"{name}_floor", [cx, cy, table_height + floor / 2.0], [sx + 2 * t, sy + 2 * t, floor])]
        for sign, side in ((1, "front"), (-1, "back")):
            boxes.append((f"{name}_{side}", [cx + sign * (sx + t) / 2.0, cy, z_wall], [t, sy + 2 * t, height]))
        for sign, side in ((1, "left"), (-1, "right")):
            boxes.append((f"{name}_{side}", [cx, cy + sign * (sy + t) / 2.0, z_wall], [sx, t, height]))
        return [Obstacle(n, np.array(c), np.array(s)) for n, c, s in boxes]


class Safety(config.StrictModel):
    """What no motion may leave, whoever planned it: of the fingertips in the base frame, m; of the approach, rad."""

    workspace: BoxModel | None = None
    min_height: NonNegative = 0.0  # over table, bin or tray
    max_tilt: Annotated[float, Field(gt=0, le=np.pi)] = np.pi / 2  # of a grasp's approach from straight down


class MountedCamera(config.StrictModel):
    """A camera of the cell: profile, topic names, and the pose of its colour optical frame in ``parent``.

    ``position`` and ``rpy`` are nominal: a ``calibration`` (a file, relative to the cell's) takes their place.
    """

    profile: str
    name: str
    namespace: str
    parent: str
    position: Vector3
    rpy: Vector3
    rate: Positive
    calibration: str = ""
    _folder: Path = PrivateAttr(default=Path())

    @property
    def frame(self) -> str:
        """Name of the colour optical frame; realsense-ros prefixes the camera's name."""
        prefix = self.namespace if self.namespace != self.name else self.name
        return f"{prefix}_{self.camera_profile.optical_frame}"

    @property
    def T_parent_optical(self) -> NDArray[np.float64]:
        """Pose of the colour optical frame in the parent frame, 4x4: the calibrated one, else the nominal one."""
        if self.hand_eye is not None:
            return self.hand_eye.T_parent_child
        return se3.make(se3.rpy_matrix(*self.rpy), self.position)

    @cached_property
    def hand_eye(self) -> Calibration | None:
        """The camera's hand-eye calibration, None without one; ConfigError when it is one of other frames."""
        if not self.calibration:
            return None
        path = self._folder / Path(self.calibration).expanduser()
        found = Calibration.load(path)
        if (found.parent_frame, found.child_frame) != (self.parent, self.frame):
            raise ConfigError(
                f"{path}: calibrates {found.child_frame} in {found.parent_frame}, but camera {self.namespace} of the "
                f"cell is {self.frame} in {self.parent}"
            )
        return found

    @cached_property
    def camera_profile(self) -> CameraProfile:
        """The camera's profile; raises ConfigError."""
        return CameraProfile.load(self.profile)

    def topic(self, kind: str) -> str:
        """Full name of a topic: color, color_info, depth or depth_info."""
        return f"/{self.namespace}/{self.name}/{getattr(self.camera_profile.topics, kind)}"


class Cell(config.StrictModel):
    """Model of ``config/cells/*.yaml``."""

    name: str
    arm: str
    gripper: str
    base_frame: str
    workspace: BoxModel
    table: Table
    bin: Container | None = None
    tray: Container | None = None
    cameras: tuple[MountedCamera, ...]
    safety: Safety = Safety()
    poses: dict[str, tuple[float, ...]] = Field(default_factory=dict)

    @classmethod
    def load(cls, name: str) -> "Cell":
        """Load by shipped name or path of a YAML file, with the calibrations of its cameras; raises ConfigError."""
        source = config.load_source(config.find("cells", name), "cells")
        cell = config.validate(source, cls)
        for i, camera in enumerate(cell.cameras):
            camera._folder = source.place(("cameras", i)).path.parent
            _ = camera.hand_eye  # read at the start: a bad file must not surface in the middle of the work
        return cell

    def workspace_box(self) -> Box:
        """The space whose points the camera node keeps."""
        return Box(self.workspace.min, self.workspace.max)

    def pick_region(self) -> Box:
        """Where grasps may lie: inside the bin, or the whole workspace above the table where there is none."""
        if self.bin is None:
            low = np.array(self.workspace.min)
            low[2] = max(low[2], self.table.height + PICK_FLOOR_GAP)
            return Box(low, self.workspace.max)
        return self.bin.inside(self.table.height, PICK_MARGIN, PICK_FLOOR_GAP, PICK_HEIGHT)

    def support_height(self) -> float:
        """Height of the surface that the objects stand on, m in the base frame."""
        return self.table.height + (self.bin.floor_thickness if self.bin else 0.0)

    def support_below(self, points: ArrayLike) -> NDArray[np.float64]:
        """Height of table, bin floor or tray floor below ``points`` (..., 3), m in the base frame -> (...)."""
        points = np.asarray(points, dtype=np.float64)
        height = np.full(points.shape[:-1], self.table.height)
        for container in (self.bin, self.tray):
            if container is not None:
                inside = (np.abs(points[..., :2] - container.center) <= np.array(container.size) / 2.0).all(axis=-1)
                height[inside] += container.floor_thickness
        return height

    def obstacle_boxes(self) -> list[Obstacle]:
        """Table, bin and tray as solid boxes in the base frame."""
        low, high = np.array(self.table.min), np.array(self.table.max)
        thickness = 0.05
        top = Obstacle(
            "table",
            np.array([*(low + high) / 2.0, self.table.height - thickness / 2.0]),
            np.array([*(high - low), thickness]),
        )
        boxes = [top]
        for name in ("bin", "tray"):
            container = getattr(self, name)
            if container is not None:
                boxes += container.obstacles(name, self.table.height)
        return boxes
