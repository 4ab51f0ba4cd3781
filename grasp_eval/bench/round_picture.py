"""A picture of a grasp: the hand where it would close, from two sides."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from grasp_core import se3
from grasp_core.camera import Camera
from grasp_sim.hand_world import HandWorld
from grasp_sim.scene_renderer import SceneRenderer

SIZE = (400, 320)  # px, of each half
DISTANCE = 0.42  # m
FARTHEST = 100.0  # m: a grasp may be anywhere, but numbers that large leave no room for an eye beside it
SIDES = (
    (1.0, 0.35, 0.75),
    (-0.35, 1.0, 0.75),
)  # where the eye is, from the grasp, in its closing and across directions


def draw(world: HandWorld, renderer: SceneRenderer, T_base_grasp: NDArray, width: float) -> bytes:
    """JPEG of the scene with the open hand at (4, 4), m in base; the hand is taken away again."""
    world.place_hand(T_base_grasp, width)
    qpos = np.array(world.data.qpos)
    w, h = SIZE
    K = np.array([[1.1 * w, 0.0, (w - 1) / 2], [0.0, 1.1 * w, (h - 1) / 2], [0.0, 0.0, 1.0]])
    camera = Camera(K, w, h)
    x, z = T_base_grasp[:3, 0], T_base_grasp[:3, 2]
    across = np.array([-x[1], x[0], 0.0])
    halves = []
    for along, beside, above in SIDES:
        offset = along * np.array([x[0], x[1], 0.0]) + beside * across + np.array([0.0, 0.0, above])
        look_at = np.clip(T_base_grasp[:3, 3] - 0.03 * z, -FARTHEST, FARTHEST)
        eye = look_at + DISTANCE * offset / np.linalg.norm(offset)
        halves.append(renderer.render(qpos, se3.look_at(eye, look_at), camera, hidden_groups=()).color)
    world.hide_hand()
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(halves, axis=1)).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
