"""Which grasp of an object's own template stands for a grasp of the template of a scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grasp_perception.dense.template import ANGLES, rotations, views

_STEP = np.pi / ANGLES


def template_maps(T: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The nearest grasps of the objects' templates, depths unchanged.

    A mirror keeps approach and closing direction what they are; it only exchanges the two sides of the closing plane,
    which are alike to a gripper.

    Args:
        T: (O, 3, 3) orthogonal, from each object's frame to that of the scene; determinant -1: a mirror.

    Returns:
        views (O, VIEWS): for each view of the scene the nearest one of the object; angles (O, VIEWS, ANGLES): for each
        angle at that view of the scene the nearest one at that view of the object.
    """
    T = np.asarray(T, dtype=np.float64)
    seen = np.einsum("oji,vj->ovi", T, views())  # views of the scene in the frames of the objects
    near = np.argmax(seen @ views().T, axis=2)
    axes = rotations()[near, 0]  # (O, VIEWS, 3, 3)
    closing = np.einsum("oji,vaj->ovai", T, rotations()[..., 0], optimize=True)
    x = np.einsum("ovai,ovi->ova", closing, axes[..., 0])
    y = np.einsum("ovai,ovi->ova", closing, axes[..., 1])
    angle = np.rint(np.arctan2(y, x) / _STEP).astype(np.int64) % ANGLES
    return near, angle
