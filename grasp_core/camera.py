"""Pinhole cameras: the shipped profile and the calibrated camera of one image."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from grasp_core import config
from grasp_core.errors import InputError

Positive = Annotated[float, Field(gt=0)]


class CameraTopics(config.StrictModel):
    """Topic names below ``/<namespace>/<name>/``, as realsense-ros has them."""

    color: str
    color_info: str
    depth: str
    depth_info: str


class CameraProfile(config.StrictModel):
    """Model of ``config/cameras/*.yaml``; px, m."""

    name: str
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    fx: Positive
    fy: Positive
    cx: float
    cy: float
    depth_scale: Positive
    near: Positive
    far: Positive
    baseline: Positive
    stereo_fx: Positive | None = None  # px, of the imagers that measure depth; None: as fx
    noise: Literal["none", "stereo", "gamma_gp", "structured_light"]
    body: tuple[Positive, Positive, Positive]
    topics: CameraTopics
    optical_frame: str

    @classmethod
    def load(cls, name: str) -> "CameraProfile":
        """Load by shipped name or path of a YAML file; raises ConfigError."""
        return config.load_model(config.find("cameras", name), cls, "cameras")

    def camera(self, frame: str) -> "Camera":
        """The calibrated camera with the profile's nominal intrinsics in the optical frame ``frame``."""
        K = np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])
        return Camera(K, self.width, self.height, self.depth_scale, frame, self.near, self.far)


@dataclass(frozen=True)
class Camera:
    """A calibrated pinhole camera without distortion.

    Attributes:
        K: (3, 3) float64 intrinsics in px, read-only: who scales them in place would move everybody's camera.
        width, height: image size in px.
        depth_scale: m per unit of 16-bit depth images.
        frame: optical frame (REP-103: z forward, x right, y down).
        near, far: limits of usable depth in m.
    """

    K: NDArray[np.float64]
    width: int
    height: int
    depth_scale: float = 0.001
    frame: str = "camera_color_optical_frame"
    near: float = 0.1
    far: float = 5.0
    _rays: list = field(default_factory=list, repr=False, compare=False)

    def __post_init__(self) -> None:
        K = np.array(self.K, dtype=np.float64)
        K.setflags(write=False)
        object.__setattr__(self, "K", K)
        if K.shape != (3, 3) or not np.isfinite(K).all():
            raise InputError(f"camera {self.frame}: K must be a finite 3x3 matrix, got {K.tolist()}")
        if K[0, 0] <= 0 or K[1, 1] <= 0 or not np.allclose(K[2], [0, 0, 1]):
            raise InputError(f"camera {self.frame}: K has no positive focal lengths: {K.tolist()}; is it calibrated?")
        if self.width <= 0 or self.height <= 0:
            raise InputError(f"camera {self.frame}: image size {self.width}x{self.height} is not positive")
        if not (-self.width < K[0, 2] < 2 * self.width and -self.height < K[1, 2] < 2 * self.height):
            raise InputError(
                f"camera {self.frame}: principal point ({K[0, 2]:.1f}, {K[1, 2]:.1f}) px does not belong to a "
                f"{self.width}x{self.height} image; K and the image size disagree"
            )
        if not self.depth_scale > 0 or not 0 <= self.near < self.far:
            raise InputError(f"camera {self.frame}: need depth_scale > 0 and 0 <= near < far")

    def rays(self) -> NDArray[np.float32]:
        """Viewing rays with z = 1 of all pixels, (height, width, 3), read-only; computed once."""
        if not self._rays:
            u = (np.arange(self.width) - self.K[0, 2]) / self.K[0, 0]
            v = (np.arange(self.height) - self.K[1, 2]) / self.K[1, 1]
            u, v = np.meshgrid(u, v)
            rays = np.stack([u, v, np.ones_like(u)], axis=-1).astype(np.float32)
            rays.setflags(write=False)
            self._rays.append(rays)
        return self._rays[0]

    def deproject(self, depth: ArrayLike) -> NDArray[np.float32]:
        """Points (height, width, 3) in the optical frame from depth (height, width) in m along z.

        Raises:
            InputError: the depth image does not have the camera's size.
        """
        depth = np.asarray(depth, dtype=np.float32)
        if depth.shape != (self.height, self.width):
            raise InputError(
                f"camera {self.frame}: depth image is {depth.shape[::-1]}, calibration is for "
                f"{(self.width, self.height)} (width, height)"
            )
        return self.rays() * depth[..., None]

    def project(self, points: ArrayLike) -> NDArray[np.float64]:
        """Pixels (..., 2) of points (..., 3) in the optical frame; NaN for points not in front of the camera."""
        points = np.asarray(points, dtype=np.float64)
        z = np.where(points[..., 2] > 1e-6, points[..., 2], np.nan)
        u = self.K[0, 0] * points[..., 0] / z + self.K[0, 2]
        v = self.K[1, 1] * points[..., 1] / z + self.K[1, 2]
        return np.stack([u, v], axis=-1)
