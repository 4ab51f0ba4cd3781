"""Where the camera of a bag is, and where grasps may lie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grasp_core import se3
from grasp_core.cell import Box
from grasp_eval.bag_frames import BagTransforms
from grasp_perception import table_frame

MARGIN = 0.06  # m around the region that a gripper may touch
SAME_TABLE = 0.8  # part of the points on the table's plane that must still be there
TABLE_BAND = 0.01  # m


class Placement:
    """Where the camera is: given, from the bag's transforms, or found from the table in view.

    The table is looked for in the first frame, and again when a frame no longer shows it where it was. ``tables``
    counts how often it was found: while it stays the same, so does the frame that poses are given in.
    """

    def __init__(self, tf: BagTransforms, base_frame: str, given: np.ndarray | None) -> None:
        self._tf, self._base, self._given = tf, base_frame, given
        self._table: table_frame.TableFrame | None = None
        self.tables = 0
        self.frame = base_frame or "base_link"
        self.note = ""
        self.region: Box | None = None
        self._region_given = False
        self._on_table = 0.0

    def pose(self, camera_frame: str, stamp: int, points: Callable[[], np.ndarray]) -> np.ndarray:
        """T_base_cam of a frame; `points` gives the depth points in the camera. Raises SeegraspError."""
        T = self._known(camera_frame, stamp)
        if T is None:
            return self._from_table(points())
        if self.region is None:
            table = table_frame.find(points())
            self.region = moved(table.region, T @ se3.inverse(table.T_table_cam))
        return T

    def _from_table(self, points: np.ndarray) -> np.ndarray:
        self.frame = "table"
        self.note = "no camera pose in the bag: z up from the table's plane, found in the picture"
        if self._table is None or share_on_plane(points, self._table.T_table_cam) < SAME_TABLE * self._on_table:
            self._table = table_frame.find(points)
            self.tables += 1
            self._on_table = share_on_plane(points, self._table.T_table_cam)
            if not self._region_given:
                self.region = self._table.region
        return self._table.T_table_cam

    def limit(self, region: Box) -> None:
        """Take this region, not the space above the table."""
        self.region, self._region_given = region, True

    def _known(self, camera_frame: str, stamp: int) -> np.ndarray | None:
        if self._given is not None:
            self.note = "camera pose as given on the command line"
            return self._given
        above = self._tf.ancestors(camera_frame)
        if not above:
            return None
        if not self._base:
            self.frame = self._base = "base_link" if "base_link" in above else above[-1]
        self.note = f"camera pose from the bag's transforms ({self._base} to {camera_frame})"
        return self._tf.lookup(self._base, camera_frame, stamp)


def share_on_plane(points: np.ndarray, T_table_cam: np.ndarray) -> float:
    """Which part of points (N, 3) in the camera's frame lies on the plane z = 0 of the table's frame."""
    if len(points) == 0:
        return 0.0
    height = points[::7] @ T_table_cam[2, :3].astype(np.float32) + np.float32(T_table_cam[2, 3])
    return float(np.mean(np.abs(height) < TABLE_BAND))


def moved(box: Box, T: np.ndarray) -> Box:
    """The axis-aligned box around a box moved by T."""
    corners = np.array(np.meshgrid(*zip(box.min, box.max, strict=True))).reshape(3, -1).T
    corners = se3.transform(T, corners)
    return Box(corners.min(axis=0), corners.max(axis=0))


def around(box: Box) -> Box:
    """The box with room for the gripper."""
    return Box(box.min - MARGIN, box.max + MARGIN)
