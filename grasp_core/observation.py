"""One look at the scene: what a detector gets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import Camera
from grasp_core.cloud import Cloud


@dataclass(frozen=True)
class Observation:
    """What was seen at one moment.

    Attributes:
        cloud: cropped, filtered, voxelised points in the base frame.
        depth: (H, W) float32 in m, 0 where nothing was measured; None when only a cloud exists.
        color: (H, W, 3) uint8 RGB, or None.
        camera: the camera of depth and colour, or None.
        T_base_cam: (4, 4) pose of the optical frame in the base frame, or None.
        stamp: ns, time of the measurement.
    """

    cloud: Cloud
    depth: NDArray[np.float32] | None = None
    color: NDArray[np.uint8] | None = None
    camera: Camera | None = None
    T_base_cam: NDArray[np.float64] | None = None
    stamp: int = 0
