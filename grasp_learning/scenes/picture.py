"""A picture of a scene to learn from: two of its views in colour, and by graspness with the best grasps in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import Camera
from grasp_core.cloud import Cloud
from grasp_core.gripper import Gripper
from grasp_learning.scenes.best import best
from grasp_learning.scenes.scene_files import SceneSample, SceneView
from grasp_perception.drawing import draw_grasps, render_cloud, score_color

SIZE = (640, 480)  # px, of each quarter
FOCAL = 700.0  # px
GRASPS = 25
BACKGROUND = (90, 90, 90)


def picture(sample: SceneSample, gripper: Gripper) -> NDArray[np.uint8]:
    """(960, 1280, 3) RGB: the first view of each of the first two pairs, in colour above, with grasps below."""
    width, height = SIZE
    K = np.array([[FOCAL, 0.0, (width - 1) / 2], [0.0, FOCAL, (height - 1) / 2], [0.0, 0.0, 1.0]])
    camera = Camera(K, width, height)
    found = best(sample, GRASPS)
    columns = []
    for view in sample.views[:4:2]:
        plain = render_cloud(Cloud(view.points, view.colors), camera, view.T_base_cam)
        graspness = render_cloud(Cloud(view.points, _colors(view)), camera, view.T_base_cam)
        columns.append(np.concatenate([plain, draw_grasps(graspness, found, gripper, camera, view.T_base_cam)]))
    return np.concatenate(columns, axis=1)


def _colors(view: SceneView) -> NDArray[np.uint8]:
    """From red (graspness 0) to green (1); grey: background."""
    table = np.array([score_color(value) for value in np.linspace(0.0, 1.0, 256)], dtype=np.uint8)
    colors = table[np.rint(255.0 * view.graspness).astype(int)]
    colors[view.owner < 0] = BACKGROUND
    return colors
