"""What cameras see of an arranged scene: pairs of near poses, several cameras and kinds of noise, random colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from grasp_core import se3
from grasp_core.camera import Camera, CameraProfile
from grasp_core.errors import InputError
from grasp_core.gripper import Gripper
from grasp_eval.bench.looking import VOXEL, look_at, thinned
from grasp_learning.scenes.arrangement import Arrangement
from grasp_perception.ingest import Ingest
from grasp_sim.hand_world import HandWorld
from grasp_sim.noise import DepthNoise, GammaGpModel
from grasp_sim.noise.gamma_gp import GammaGp
from grasp_sim.scene_renderer import SceneRenderer, View

PAIRS = 2
NOISE = {"stereo": 0.65, "gamma_gp": 0.10, "structured_light": 0.10, "none": 0.15}  # shares
CAMERAS = {  # profiles in config/cameras whose noise each mode is
    "stereo": ("d435", "d415"),
    "gamma_gp": ("vgn",),
    "structured_light": ("sr300",),
    "none": ("d435", "d415", "sr300", "vgn"),
}
# The protocol's deviation of the scale, 3 %, moves whole scenes by centimetres off their labels, which no cloud tells;
# this is 0.3 %: a badly calibrated camera.
GAMMA_GP = GammaGpModel(shape=1.0e5)
FOCAL_JITTER = 0.10  # share of the focal length
POLAR = (0.0, 60.0)  # deg from straight down
RADIUS = (0.4, 0.9)  # m
TARGET = (0.05, 0.05, 0.03)  # m, how far off the middle of what lies there the camera looks at most
TURN = (5.0, 15.0)  # deg between the two views of a pair, seen from what they look at
SHIFT = 0.03  # m that the second view is moved on top, at most, in each direction
LOWEST = 0.15  # m above the table that a camera stands at least
TRIES = 10  # poses drawn for a pair, before the scene is given up
SEEN = 150  # points of objects that a view must have
TRUTH_VOXEL = 0.003  # m, of the points that say whose the measured ones are
TRUTH_MARGIN = 0.02  # m around the workspace from which they are taken
MAX_TRUTH = 100_000
BRIGHTNESS = (0.10, 0.75)  # of table and bin
TINT = 0.12  # how far their channels differ from that at most


@dataclass(frozen=True, eq=False)
class Look:
    """One view, as ``scene_files.SceneView``, still without graspness. owner: (N,) int16, object or -1."""

    points: NDArray[np.float32]
    colors: NDArray[np.uint8]
    owner: NDArray[np.int16]
    T_base_cam: NDArray[np.float64]
    noise: str


def looks(arrangement: Arrangement, gripper: Gripper, rng: np.random.Generator) -> list[Look]:
    """2 * PAIRS views; rng is the only source of chance. InputError when too little of the objects is to be seen."""
    scene, cell = arrangement.scene, arrangement.cell
    world = HandWorld(gripper, scene.objects, scene.poses, cell, scene.with_bin)
    _colour(world, rng)
    cameras = [_camera(rng) for _ in range(PAIRS)]
    with SceneRenderer(world.model, max_size=_largest(cameras)) as renderer:
        eye = _Eye(world, renderer, Ingest(cell.workspace_box(), cell.base_frame, VOXEL))
        return [look for camera in cameras for look in eye.pair(camera, rng)]


@dataclass(frozen=True, eq=False)
class _Equipment:
    camera: Camera
    noise: DepthNoise


def _camera(rng: np.random.Generator) -> _Equipment:
    mode = str(rng.choice(list(NOISE), p=list(NOISE.values())))
    profile = CameraProfile.load(str(rng.choice(CAMERAS[mode])))
    factor = float(rng.uniform(1.0 - FOCAL_JITTER, 1.0 + FOCAL_JITTER))
    profile = profile.model_copy(update={"fx": factor * profile.fx, "fy": factor * profile.fy})
    noise = DepthNoise.from_profile(profile, mode)
    if mode == "gamma_gp":
        noise = DepthNoise(mode, GammaGp(GAMMA_GP), profile.depth_scale)
    return _Equipment(profile.camera(profile.optical_frame), noise)


def _largest(cameras: list[_Equipment]) -> tuple[int, int]:
    return max(c.camera.width for c in cameras), max(c.camera.height for c in cameras)


def _colour(world: HandWorld, rng: np.random.Generator) -> None:
    """Table, bin and floor in random dull colours, one for each."""
    model = world.model
    names = [model.geom(i).name for i in np.flatnonzero(model.geom_bodyid == 0)]
    for kind in ("table", "bin", "floor"):
        rgb = np.clip(rng.uniform(*BRIGHTNESS) + rng.uniform(-TINT, TINT, 3), 0.0, 1.0)
        for name in names:
            if name.partition("_")[0] == kind:
                model.geom_rgba[model.geom(name).id, :3] = rgb


@dataclass(frozen=True, eq=False)
class _Eye:
    world: HandWorld
    renderer: SceneRenderer
    ingest: Ingest

    def pair(self, equipment: _Equipment, rng: np.random.Generator) -> list[Look]:
        """Two views from near each other, in which enough of the objects is to be seen."""
        middle = np.mean([pose[:3, 3] for pose in self.world.object_poses().values()], axis=0)
        problem = ""
        for _ in range(TRIES):
            try:
                found = [self._look(equipment, T, rng) for T in pose_pair(middle, rng)]
            except InputError as error:  # next to no usable pixel
                problem = str(error)
                continue
            if all(np.count_nonzero(look.owner >= 0) >= SEEN for look in found):
                return found
            problem = f"fewer than {SEEN} points of objects"
        raise InputError(f"nothing to be seen in {TRIES} pairs of views: {problem}")

    def _look(self, equipment: _Equipment, T: NDArray[np.float64], rng: np.random.Generator) -> Look:
        camera = equipment.camera
        view = self.renderer.render(np.array(self.world.data.qpos), T, camera, segmentation=True)
        depth = equipment.noise(view.depth, rng, view.color) * np.float32(equipment.noise.depth_scale)
        cloud = self.ingest(depth, view.color, camera, T)[0]
        assert cloud.colors is not None
        return Look(cloud.points, cloud.colors, self._owners(cloud.points, view, camera, T), T, equipment.noise.mode)

    def _owners(self, points: NDArray, view: View, camera: Camera, T: NDArray) -> NDArray[np.int16]:
        """(N,) whose point is the nearest one to be seen without noise."""
        assert view.bodies is not None
        owner_of = np.full(self.world.model.nbody + 1, -1, np.int16)  # the last one is for nothing, -1
        owner_of[[self.world.bodies[name] for name in self.world.objects]] = np.arange(len(self.world.objects))
        truth = se3.transform(T.astype(np.float32), camera.rays() * view.depth[..., None])
        box = self.ingest.workspace
        near = (truth >= box.min - TRUTH_MARGIN) & (truth <= box.max + TRUTH_MARGIN)
        near = near.all(axis=-1) & (view.depth > 0.0)
        truth, owner = truth[near], owner_of[view.bodies[near]]
        rows = thinned(truth, TRUTH_VOXEL, MAX_TRUTH)
        return owner[rows[cKDTree(truth[rows]).query(points)[1]]]


def pose_pair(middle: NDArray, rng: np.random.Generator) -> NDArray[np.float64]:
    """(2, 4, 4) poses of an optical frame around a point (3,) m in base, none lower than LOWEST above the table."""
    target = np.asarray(middle) + rng.uniform(-1.0, 1.0, 3) * TARGET
    while True:
        radius, polar, azimuth = rng.uniform(*RADIUS), rng.uniform(*POLAR), rng.uniform(0.0, 360.0)
        first = look_at(radius, np.radians(polar), np.radians(azimuth))
        first[:3, :3] = first[:3, :3] @ se3.exp_so3([0.0, 0.0, rng.uniform(0.0, 2.0 * np.pi)])
        axis = rng.normal(size=3)
        turn = np.radians(rng.uniform(*TURN)) * axis / np.linalg.norm(axis)
        second = se3.make(se3.exp_so3(turn), np.zeros(3)) @ first
        second[:3, 3] += rng.uniform(-SHIFT, SHIFT, 3)
        pair = np.stack([first, second])
        pair[:, :3, 3] += target
        if (pair[:, 2, 3] >= LOWEST).all():
            return pair
