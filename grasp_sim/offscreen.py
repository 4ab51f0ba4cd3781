"""Drawing a MuJoCo model into memory: one OpenGL context and what every renderer does with it."""

from __future__ import annotations

import os

import mujoco
import numpy as np

from grasp_core.errors import ConfigError

MAX_GEOMS = 4000


class Canvas:
    """The OpenGL context of one model. It belongs to the thread that made it; close it in that thread.

    ``option`` says which geom groups are shown. Pictures are as large as the model's off-screen buffer at most.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        """ConfigError when no OpenGL context can be made."""
        os.environ.setdefault("MUJOCO_GL", "egl")
        self.model, self.data = model, mujoco.MjData(model)
        model.vis.quality.shadowsize = 0  # shadows are off: making their map takes longer than a picture
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
        self.option = mujoco.MjvOption()
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag] = 0

    def pose(self, qpos: np.ndarray) -> None:
        """Put all bodies, cameras and lights where the joint positions (nq,) have them."""
        self.data.qpos[:] = qpos
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def draw(self, view: mujoco.MjvCamera, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Colour (H, W, 3) uint8 and depth (H, W) float32 in m, 0 where nothing is."""
        color = np.empty((height, width, 3), np.uint8)
        z = np.empty((height, width), np.float32)
        self._render(view, color, z)
        # OpenGL's rows go up.
        return np.ascontiguousarray(color[::-1]), self._metres(z[::-1])

    def bodies(self, view: mujoco.MjvCamera, width: int, height: int) -> np.ndarray:
        """(H, W) int32: the body that is seen in each pixel, -1 where none is."""
        marks = (mujoco.mjtRndFlag.mjRND_SEGMENT, mujoco.mjtRndFlag.mjRND_IDCOLOR)
        color = np.empty((height, width, 3), np.uint8)
        for flag in marks:
            self._scene.flags[flag] = 1
        try:
            self._render(view, color, None)
        finally:
            for flag in marks:
                self._scene.flags[flag] = 0
        numbers = color[::-1].astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
        return self._body_of_number()[numbers]

    def close(self) -> None:
        """Free the OpenGL context."""
        self._gl.make_current()
        self._context.free()
        self._gl.free()

    def _render(self, view: mujoco.MjvCamera, color: np.ndarray, z: np.ndarray | None) -> None:
        self._gl.make_current()
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self.model, self.data, self.option, None, view, everything, self._scene)
        area = mujoco.MjrRect(0, 0, color.shape[1], color.shape[0])
        mujoco.mjr_render(area, self._scene, self._context)
        mujoco.mjr_readPixels(color, z, area, self._context)

    def _body_of_number(self) -> np.ndarray:
        """Number of a drawn geom as the colour gives it (0: nothing) -> body id or -1."""
        table = np.full(self._scene.ngeom + 1, -1, np.int32)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                table[geom.segid + 1] = self.model.geom_bodyid[geom.objid]
        return table

    def _metres(self, z: np.ndarray) -> np.ndarray:
        """Depth in m from the depth buffer, which is 1 at the near plane and 0 at the far one."""
        near, far = (
            np.float32(v * self.model.stat.extent) for v in (self.model.vis.map.znear, self.model.vis.map.zfar)
        )
        depth = z * (far - near)
        depth += near
        np.divide(far * near, depth, out=depth)
        depth[z <= 0.0] = 0.0
        return depth
