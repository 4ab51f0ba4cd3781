"""The template of grasps: approach views, in-plane angles and depths, and the rotation each of them stands for.

Views are directions from a seed on the surface to where the gripper comes from; the approach is the opposite of the
view. The spiral of views and the zero of the in-plane angle are those of GSNet (Wang et al. 2021, "Graspness Discovery
in Clutters", sections 3 and 4), written in our grasp frame (z approach, x closing); the depths are AnyGrasp's (Fang et
al. 2023, section IV-A).
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

VIEWS = 300
ANGLES = 12  # over half a turn: the two fingers are alike
DEPTHS = (0.005, 0.01, 0.02, 0.03, 0.04)  # m that the fingertips reach past the seed
CLEARANCE = 0.005  # m between each finger and the object before closing, where the gripper opens so far
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
_VERTICAL = 1e-6  # sine of the angle to the vertical below which the closing direction is arbitrary


@cache
def views() -> NDArray[np.float64]:
    """Unit vectors (VIEWS, 3) on a Fibonacci spiral over the sphere, lowest first; read-only."""
    index = np.arange(VIEWS)
    z = (2 * index + 1) / VIEWS - 1.0
    around = 2.0 * np.pi * index * _GOLDEN
    level = np.sqrt(1.0 - z * z)
    return _frozen(np.stack([level * np.cos(around), level * np.sin(around), z], axis=1))


@cache
def angles() -> NDArray[np.float64]:
    """In-plane angles (ANGLES,), rad in [0, pi); read-only."""
    return _frozen(np.pi * np.arange(ANGLES) / ANGLES)


def rotation(approach: ArrayLike, angle: ArrayLike) -> NDArray[np.float64]:
    """Rotations (..., 3, 3) of the grasp frame in the frame of ``approach``.

    Args:
        approach: (..., 3) directions of the approach, of any length but zero.
        angle: (...) rad about the approach; at 0 the closing direction is horizontal.
    """
    z = np.asarray(approach, dtype=np.float64)
    z = z / np.linalg.norm(z, axis=-1, keepdims=True)
    angle = np.asarray(angle, dtype=np.float64)[..., None]
    level = np.stack([-z[..., 1], z[..., 0], np.zeros(z.shape[:-1])], axis=-1)
    size = np.linalg.norm(level, axis=-1, keepdims=True)
    level = np.where(size > _VERTICAL, level / np.maximum(size, _VERTICAL), [0.0, 1.0, 0.0])
    side = np.cross(z, level)  # unit: a vertical approach is closer to it than float64 tells
    x = level * np.cos(angle) + side * np.sin(angle)
    y = side * np.cos(angle) - level * np.sin(angle)
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1)


@cache
def rotations() -> NDArray[np.float64]:
    """Rotations (VIEWS, ANGLES, 3, 3) of the whole template; read-only."""
    return _frozen(rotation(-views()[:, None], angles()[None]))


def nearest_view(directions: ArrayLike) -> NDArray[np.int64]:
    """Index (...) of the view nearest to each of ``directions`` (..., 3), of any length but zero."""
    return np.argmax(np.asarray(directions, dtype=np.float64) @ views().T, axis=-1)


def views_within(tilt: float) -> NDArray[np.bool_]:
    """Which views (VIEWS,) lead to an approach at most ``tilt`` rad away from straight down."""
    return views()[:, 2] >= np.cos(tilt)


@cache
def views_apart(angle: float) -> NDArray[np.bool_]:
    """Which pairs of views (VIEWS, VIEWS) are at least ``angle`` rad apart; read-only."""
    return _frozen(views() @ views().T <= np.cos(angle))


def _frozen(array: NDArray) -> NDArray:
    array.setflags(write=False)
    return array
