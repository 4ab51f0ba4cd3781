"""Pictures of the work cell: colour and depth of one camera from a snapshot, without disturbing the simulation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType

import mujoco
import numpy as np

from grasp_core.errors import ConfigError
from grasp_sim.cell_model import CellModel
from grasp_sim.work_cell import Snapshot


@dataclass(frozen=True)
class Frame:
    """One look of a camera: depth (H, W) float32 m along the optical axis, color (H, W, 3) uint8 RGB, time in s."""

    time: float
    depth: np.ndarray
    color: np.ndarray


class CellRenderer:
    """Renders the cameras of one cell model. It belongs to the thread that made it; close it in that thread.

    Depth is exact (no noise) and aligned to colour: both come from the same camera. Beyond the far plane it is 0.
    """

    def __init__(self, cell: CellModel) -> None:
        """ConfigError when no OpenGL context can be made."""
        os.environ.setdefault("MUJOCO_GL", "egl")
        self._model = cell.model
        self._data = mujoco.MjData(cell.model)
        self._cameras = cell.cameras
        self._renderers: dict[tuple[int, int], mujoco.Renderer] = {}

    def render(self, snapshot: Snapshot, camera: int) -> Frame:
        """Depth and colour of camera number ``camera`` of the cell."""
        self._pose(snapshot)
        name = self._cameras[camera]
        width, height = (int(v) for v in self._model.cam_resolution[self._model.camera(name).id])
        renderer = self._renderer(width, height)
        renderer.update_scene(self._data, name)
        color = renderer.render()
        renderer.enable_depth_rendering()
        depth = renderer.render()
        renderer.disable_depth_rendering()
        far = self._model.vis.map.zfar * self._model.stat.extent
        return Frame(snapshot.time, np.where(depth < 0.999 * far, depth, np.float32(0.0)), color)

    def picture(
        self,
        snapshot: Snapshot,
        look_at: tuple[float, float, float] = (0.35, 0.1, 0.25),
        distance: float = 2.0,
        azimuth: float = 150.0,
        elevation: float = -25.0,
        size: tuple[int, int] = (1280, 960),
    ) -> np.ndarray:
        """A view from outside, (H, W, 3) uint8; angles in degrees, size as (width, height)."""
        self._pose(snapshot)
        camera = mujoco.MjvCamera()
        camera.lookat, camera.distance = look_at, distance
        camera.azimuth, camera.elevation = azimuth, elevation
        renderer = self._renderer(*size)
        renderer.update_scene(self._data, camera)
        return renderer.render()

    def close(self) -> None:
        """Free the OpenGL contexts."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    def __enter__(self) -> CellRenderer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _pose(self, snapshot: Snapshot) -> None:
        self._data.qpos[:] = snapshot.qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)

    def _renderer(self, width: int, height: int) -> mujoco.Renderer:
        if (width, height) not in self._renderers:
            try:
                renderer = mujoco.Renderer(self._model, height, width)
            except Exception as error:
                raise ConfigError(
                    f"no OpenGL context for rendering (MUJOCO_GL={os.environ['MUJOCO_GL']}): {error}; "
                    "install libegl1 (apt install libegl1 libgl1-mesa-dri) and set MUJOCO_GL=egl"
                ) from error
            for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
                renderer.scene.flags[flag] = 0
            self._renderers[width, height] = renderer
        return self._renderers[width, height]
