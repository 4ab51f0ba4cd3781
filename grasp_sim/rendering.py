"""Pictures of the work cell: colour and depth of one camera from a snapshot, without disturbing the simulation."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

import mujoco
import numpy as np

from grasp_sim.cell_model import CellModel
from grasp_sim.offscreen import Canvas
from grasp_sim.work_cell import Snapshot


@dataclass(frozen=True)
class Frame:
    """One look of a camera: depth (H, W) float32 m along the optical axis, color (H, W, 3) uint8 RGB, time in s."""

    time: float
    depth: np.ndarray
    color: np.ndarray


class CellRenderer:
    """Renders the cameras of one cell model. It belongs to the thread that made it; close it in that thread.

    Depth and colour come out of one pass, so they are aligned; depth is exact (no noise), 0 where nothing is.
    """

    def __init__(self, cell: CellModel) -> None:
        """ConfigError when no OpenGL context can be made."""
        self._canvas = Canvas(cell.model)
        self._cameras = [cell.model.camera(name).id for name in cell.cameras]

    def render(self, snapshot: Snapshot, camera: int) -> Frame:
        """Depth and colour of camera number ``camera`` of the cell."""
        view = mujoco.MjvCamera()
        view.type, view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, self._cameras[camera]
        width, height = (int(v) for v in self._canvas.model.cam_resolution[view.fixedcamid])
        self._canvas.pose(snapshot.qpos)
        color, depth = self._canvas.draw(view, width, height)
        return Frame(snapshot.time, depth, color)

    def picture(
        self,
        snapshot: Snapshot,
        look_at: tuple[float, float, float] = (0.35, 0.1, 0.25),
        distance: float = 2.0,
        azimuth: float = 150.0,
        elevation: float = -25.0,
        size: tuple[int, int] = (1280, 960),
    ) -> np.ndarray:
        """A view from outside, (H, W, 3) uint8; angles in degrees, size as (width, height) of at most 1280 x 960."""
        view = mujoco.MjvCamera()
        view.lookat, view.distance = look_at, distance
        view.azimuth, view.elevation = azimuth, elevation
        self._canvas.pose(snapshot.qpos)
        return self._canvas.draw(view, *size)[0]

    def close(self) -> None:
        """Free the OpenGL context."""
        self._canvas.close()

    def __enter__(self) -> CellRenderer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
