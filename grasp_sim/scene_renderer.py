"""Pictures of any model from any pinhole camera: exact depth, colour, and which body is where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import mujoco
import numpy as np

from grasp_core import se3
from grasp_core.camera import Camera
from grasp_core.errors import InputError
from grasp_sim.hand_model import HAND_GROUP
from grasp_sim.offscreen import Canvas
from grasp_sim.robot_model import wxyz

PIXEL = 1e-6  # m: MuJoCo wants the size of the sensor; only its ratio to the focal length counts
# MuJoCo's cameras look along -z with y up; optical frames along +z with y down.
_OPTICAL_TO_MUJOCO = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class View:
    """One picture without noise.

    depth: (H, W) float32, m along the optical axis, 0 where nothing is. color: (H, W, 3) uint8 RGB.
    bodies: (H, W) int32 MuJoCo body ids (0: the world's own geoms, such as the table), -1 where nothing is; or None.
    """

    depth: np.ndarray
    color: np.ndarray
    bodies: np.ndarray | None = None


class SceneRenderer:
    """Renders one model through a fixed camera of its world, which it moves and adjusts before every picture.

    It belongs to the thread that made it; close it in that thread.
    """

    def __init__(
        self, model: mujoco.MjModel, camera_name: str = "view", max_size: tuple[int, int] = (1280, 960)
    ) -> None:
        """max_size: width and height of the largest picture, px.

        Raises:
            InputError: the model has no such camera, or it does not belong to the world body.
            ConfigError: no OpenGL context can be made.
        """
        self._camera = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, camera_name)
        if self._camera < 0 or model.cam_bodyid[self._camera] != 0:
            raise InputError(f"the model has no camera {camera_name!r} on its world body")
        buffer = model.vis.global_
        buffer.offwidth, buffer.offheight = max(buffer.offwidth, max_size[0]), max(buffer.offheight, max_size[1])
        model.vis.quality.offsamples = 0  # smoothed edges would mix body ids and depths
        self._size = buffer.offwidth, buffer.offheight
        self._model = model
        self._canvas = Canvas(model)
        self._view = mujoco.MjvCamera()
        self._view.type, self._view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, self._camera

    def render(
        self,
        qpos: np.ndarray,
        T_base_cam: np.ndarray,
        camera: Camera,
        hidden_groups: Sequence[int] = (HAND_GROUP,),
        segmentation: bool = False,
    ) -> View:
        """Depth and colour, and with ``segmentation`` the bodies, from the optical frame at T_base_cam (4, 4).

        qpos: (nq,) joint positions. hidden_groups: geom groups that are left out. InputError when the picture is
        larger than max_size or T_base_cam no rigid transform.
        """
        self._place(se3.check(T_base_cam, "T_base_cam"), camera)
        self._show(hidden_groups)
        self._canvas.pose(qpos)
        color, depth = self._canvas.draw(self._view, camera.width, camera.height)
        bodies = self._canvas.bodies(self._view, camera.width, camera.height) if segmentation else None
        return View(depth, color, bodies)

    def bodies(
        self,
        qpos: np.ndarray,
        T_base_cam: np.ndarray,
        camera: Camera,
        hidden_groups: Sequence[int] = (HAND_GROUP,),
    ) -> np.ndarray:
        """Only which body is where, (H, W) int32 as in ``View``."""
        self._place(se3.check(T_base_cam, "T_base_cam"), camera)
        self._show(hidden_groups)
        self._canvas.pose(qpos)
        return self._canvas.bodies(self._view, camera.width, camera.height)

    def close(self) -> None:
        """Free the OpenGL context."""
        self._canvas.close()

    def __enter__(self) -> SceneRenderer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _place(self, T_base_cam: np.ndarray, camera: Camera) -> None:
        width, height = camera.width, camera.height
        if width > self._size[0] or height > self._size[1]:
            raise InputError(f"a picture of {width}x{height} px is larger than this renderer's {self._size}: max_size")
        model, i, K = self._model, self._camera, camera.K
        model.cam_pos[i] = T_base_cam[:3, 3]
        model.cam_quat[i] = wxyz(T_base_cam[:3, :3] @ _OPTICAL_TO_MUJOCO)
        model.cam_resolution[i] = width, height
        model.cam_sensorsize[i] = width * PIXEL, height * PIXEL
        # How far the image's centre lies from the principal point; pixel (0, 0) has its centre at (0, 0).
        offset = (width - 1) / 2 - K[0, 2], (height - 1) / 2 - K[1, 2]
        model.cam_intrinsic[i] = np.array([K[0, 0], K[1, 1], *offset]) * PIXEL

    def _show(self, hidden_groups: Sequence[int]) -> None:
        self._canvas.option.geomgroup[:] = 1
        self._canvas.option.geomgroup[list(hidden_groups)] = 0
