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

MAX_GEOMS = 4000


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
        os.environ.setdefault("MUJOCO_GL", "egl")
        model = self._model = cell.model
        self._data = mujoco.MjData(model)
        self._cameras = [model.camera(name).id for name in cell.cameras]
        try:
            self._gl = mujoco.GLContext(64, 64)  # pictures are drawn into the context's off-screen buffer
            self._gl.make_current()
            self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150.value)
        except Exception as error:
            raise ConfigError(
                f"no OpenGL context for rendering (MUJOCO_GL={os.environ['MUJOCO_GL']}): {error}; "
                "install it (apt install libegl1 libgl1-mesa-dri) and set MUJOCO_GL=egl"
            ) from error
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._scene = mujoco.MjvScene(model, maxgeom=MAX_GEOMS)
        self._option = mujoco.MjvOption()
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag] = 0

    def render(self, snapshot: Snapshot, camera: int) -> Frame:
        """Depth and colour of camera number ``camera`` of the cell."""
        view = mujoco.MjvCamera()
        view.type, view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, self._cameras[camera]
        width, height = (int(v) for v in self._model.cam_resolution[view.fixedcamid])
        color, depth = self._draw(snapshot, view, width, height)
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
        return self._draw(snapshot, view, *size)[0]

    def close(self) -> None:
        """Free the OpenGL context."""
        self._gl.make_current()
        self._context.free()
        self._gl.free()

    def __enter__(self) -> CellRenderer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _draw(
        self, snapshot: Snapshot, view: mujoco.MjvCamera, width: int, height: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Colour (H, W, 3) uint8 and depth (H, W) float32 m."""
        model, data = self._model, self._data
        data.qpos[:] = snapshot.qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)
        self._gl.make_current()
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(model, data, self._option, None, view, everything, self._scene)
        area = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(area, self._scene, self._context)
        color = np.empty((height, width, 3), np.uint8)
        z = np.empty((height, width), np.float32)
        mujoco.mjr_readPixels(color, z, area, self._context)
        # OpenGL's rows go up.
        return np.ascontiguousarray(color[::-1]), self._metres(z[::-1])

    def _metres(self, z: np.ndarray) -> np.ndarray:
        """Depth in m from the depth buffer, which is 1 at the near plane and 0 at the far one."""
        near, far = (
            np.float32(v * self._model.stat.extent) for v in (self._model.vis.map.znear, self._model.vis.map.zfar)
        )
        depth = z * (far - near)
        depth += near
        np.divide(far * near, depth, out=depth)
        depth[z <= 0.0] = 0.0
        return depth
