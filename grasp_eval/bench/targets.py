"""Target-driven scenes: which object of a pile is to be picked, hidden to a wanted degree, and where it is seen.

Occlusion is TARGO's (targo-benchmark.github.io): 1 - visible pixels / pixels of the object alone from the same view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import Camera, CameraProfile
from grasp_core.cell import Box
from grasp_core.errors import InputError
from grasp_eval.bench.looking import Look, sample_views
from grasp_eval.bench.protocol import Protocol
from grasp_sim.hand_world import HandWorld
from grasp_sim.scene_renderer import SceneRenderer

BINS = 9  # of occlusion: 0 to 0.1, and so on to 0.8 to 0.9; rounds go through them in turn
BIN_WIDTH = 0.1
VIEW_TRIES = 16  # sets of views looked at for one target
SHRINK = 2  # pictures of the search are smaller by this
MIN_PIXELS = 400  # of the whole target in the full picture: what is smaller has no meaningful degree of occlusion
REGION_MARGIN = 0.005  # m around the visible points of a target
FAR_AWAY = 1000.0  # m, beyond the renderer's far plane


@dataclass(frozen=True)
class Target:
    """What is to be picked: its name, the first views (V, 4, 4) of it, and its occlusion in them, 0 to 1."""

    name: str
    T_base_cams: NDArray[np.float64]
    occlusion: float


def choose_target(
    world: HandWorld, renderer: SceneRenderer, protocol: Protocol, profile: CameraProfile, seed: int, index: int
) -> Target:
    """An object and views of it whose occlusion lies in bin ``index % 9``: 0 to 0.1, ..., 0.8 to 0.9.

    Searches all objects in up to 16 random sets of views that depend on ``seed`` and ``index`` alone, and takes one at
    random from the first set that has any; where none has, the one nearest to the middle of the bin. Objects that are
    not to be seen at all are no targets.

    Raises:
        InputError: nothing in the scene is visible from any of the views.
    """
    camera = profile.camera(profile.optical_frame)
    name, T_base_cams = _search(world, renderer, protocol, _shrunk(camera, SHRINK), seed, index)
    return Target(name, T_base_cams, occlusions(world, renderer, T_base_cams, camera, [name])[name])


def _search(
    world: HandWorld, renderer: SceneRenderer, protocol: Protocol, camera: Camera, seed: int, index: int
) -> tuple[str, NDArray[np.float64]]:
    """Name and views of the target."""
    rng = np.random.default_rng([seed, index, BINS])
    middle = (index % BINS + 0.5) * BIN_WIDTH
    nearest: tuple[float, str, NDArray[np.float64]] | None = None
    for _ in range(VIEW_TRIES):
        T_base_cams = sample_views(protocol, rng)
        degrees = occlusions(world, renderer, T_base_cams, camera, min_pixels=MIN_PIXELS // SHRINK**2)
        misses = {name: abs(degree - middle) for name, degree in degrees.items()}
        fitting = [name for name, miss in misses.items() if miss <= BIN_WIDTH / 2]
        if fitting:
            return fitting[int(rng.integers(len(fitting)))], T_base_cams
        if misses:
            name = min(misses, key=misses.__getitem__)
            if nearest is None or misses[name] < nearest[0]:
                nearest = misses[name], name, T_base_cams
    if nearest is None:
        raise InputError(f"no object is visible from {VIEW_TRIES} views: is the scene empty or the camera misplaced?")
    return nearest[1:]


def occlusions(
    world: HandWorld,
    renderer: SceneRenderer,
    T_base_cams: NDArray[np.float64],
    camera: Camera,
    names: Sequence[str] | None = None,
    min_pixels: int = 1,
) -> dict[str, float]:
    """Occlusion in the views (V, 4, 4), all pixels summed, of the named objects (None: of all).

    Only of those that are visible at all and, alone, fill ``min_pixels``.
    """
    qpos = np.array(world.data.qpos)
    heights = {name: _height_index(world, name) for name in world.objects}
    pixels = sum(_counts(renderer.bodies(qpos, T, camera), world.model.nbody) for T in T_base_cams)
    apart = qpos.copy()
    apart[list(heights.values())] += FAR_AWAY
    result = {}
    for name in world.objects if names is None else names:
        seen = int(pixels[world.bodies[name]])
        if seen == 0:
            continue
        alone = apart.copy()
        alone[heights[name]] = qpos[heights[name]]
        whole = sum(int(np.sum(renderer.bodies(alone, T, camera) == world.bodies[name])) for T in T_base_cams)
        if whole >= min_pixels:
            result[name] = 1.0 - seen / whole
    return result


def target_region(look: Look, target: str) -> Box | None:
    """The box around what is visible of an object, 5 mm larger on all sides; None when nothing is.

    InputError when the look knows no such object.
    """
    if target not in look.names:
        raise InputError(f"there is no object {target!r} in this look; there are: {', '.join(look.names)}")
    points = look.points[look.labels == look.names.index(target)].astype(np.float64)
    if not len(points):
        return None
    return Box(points.min(axis=0) - REGION_MARGIN, points.max(axis=0) + REGION_MARGIN)


def _height_index(world: HandWorld, name: str) -> int:
    """Index in qpos of the z coordinate of an object's free joint."""
    joint = int(world.model.body_jntadr[world.bodies[name]])
    return int(world.model.jnt_qposadr[joint]) + 2


def _counts(bodies: NDArray[np.int32], nbody: int) -> NDArray[np.int64]:
    """(nbody,) pixels of every body."""
    return np.bincount(bodies.reshape(-1) + 1, minlength=nbody + 1)[1:]


def _shrunk(camera: Camera, factor: int) -> Camera:
    """The same view in a picture that is smaller by a whole factor."""
    K = camera.K.copy()
    K[0, 0], K[1, 1] = K[0, 0] / factor, K[1, 1] / factor
    K[:2, 2] = (K[:2, 2] + 0.5) / factor - 0.5
    width, height = camera.width // factor, camera.height // factor
    return Camera(K, width, height, camera.depth_scale, camera.frame, camera.near, camera.far)
