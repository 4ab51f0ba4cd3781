"""Depth, colour and bodies from any pinhole camera agree with rays cast at the same geometry."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from grasp_core import se3
from grasp_core.camera import Camera
from grasp_core.errors import InputError
from grasp_sim.hand_model import CAMERA, HAND_GROUP
from grasp_sim.scene_renderer import SceneRenderer

TURN = se3.rpy_matrix(0.2, -0.1, 0.7)
BOX = se3.make(TURN, [0.05, -0.03, 0.08])
BOX_HALF = np.array([0.04, 0.03, 0.02])
BALL, BALL_RADIUS = np.array([-0.08, 0.06, 0.05]), 0.035
CAMERAS = {
    "plain": Camera(np.array([[612.0, 0, 319.5], [0, 612.0, 239.5], [0, 0, 1]]), 640, 480),
    "crooked": Camera(np.array([[380.0, 0, 201.3], [0, 402.0, 90.7], [0, 0, 1]]), 360, 250),
}


def view_from(polar: float, azimuth: float, radius: float = 0.6) -> np.ndarray:
    """A pose that looks at the origin, built from its definition."""
    eye = radius * np.array([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)])
    z = -eye / radius
    x = np.cross(z, [0.3, 0.2, 1.0])
    x /= np.linalg.norm(x)
    return se3.make(np.stack([x, np.cross(z, x), z], axis=1), eye)


POSES = {"top": view_from(0.15, 0.4), "side": view_from(1.05, 2.0)}


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.visual.map.znear, spec.visual.map.zfar = 0.005, 20.0
    spec.stat.extent, spec.stat.center = 1.0, [0.0, 0.0, 0.0]
    spec.worldbody.add_camera(name=CAMERA)
    spec.worldbody.add_light(pos=[0, 0, 2], dir=[0, 0, -1])
    shapes = mujoco.mjtGeom
    spec.worldbody.add_geom(type=shapes.mjGEOM_BOX, pos=[0, 0, -0.02], size=[0.5, 0.5, 0.02], rgba=[0.5, 0.5, 0.5, 1])
    box = spec.worldbody.add_body(name="box")
    box.add_freejoint()
    box.add_geom(type=shapes.mjGEOM_BOX, size=BOX_HALF.tolist(), rgba=[1, 0, 0, 1])
    ball = spec.worldbody.add_body(name="ball", pos=BALL.tolist())
    ball.add_geom(type=shapes.mjGEOM_ELLIPSOID, size=[BALL_RADIUS] * 3, rgba=[0, 0, 1, 1])
    hand = spec.worldbody.add_body(name="hand", pos=[0, 0, 0.3])
    hand.add_geom(type=shapes.mjGEOM_BOX, size=[0.1, 0.1, 0.01], group=HAND_GROUP)
    return spec.compile()


def qpos_of(pose: np.ndarray) -> np.ndarray:
    return np.r_[pose[:3, 3], np.roll(se3.quat_from_matrix(pose[:3, :3]), 1)]


def cast(camera: Camera, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth (H, W) and number of the surface (H, W): 0 table, 1 box, 2 ball; in closed form."""
    rays = camera.rays().astype(np.float64) @ T[:3, :3].T  # z = 1 in the optical frame: length along it is the depth
    eye = T[:3, 3]
    depth = np.full((3, *rays.shape[:2]), np.inf)
    depth[0] = -eye[2] / rays[..., 2]
    local, start = rays @ BOX[:3, :3], BOX[:3, :3].T @ (eye - BOX[:3, 3])
    sides = np.sort(np.stack([(-BOX_HALF - start) / local, (BOX_HALF - start) / local]), axis=0)
    enter, leave = sides[0].max(axis=-1), sides[1].min(axis=-1)
    depth[1] = np.where(enter < leave, enter, np.inf)
    a, b = (rays**2).sum(-1), rays @ (eye - BALL)
    root = b**2 - a * (((eye - BALL) ** 2).sum() - BALL_RADIUS**2)
    depth[2] = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
    return depth.min(axis=0), depth.argmin(axis=0)


def inner(labels: np.ndarray) -> np.ndarray:
    """Pixels whose neighbours belong to the same surface."""
    same = np.ones(labels.shape, bool)
    for axis in (0, 1):
        for shift in (-1, 1):
            same &= np.roll(labels, shift, axis) == labels
    same[[0, -1]] = same[:, [0, -1]] = False
    return same


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("camera", CAMERAS)
def test_depth_and_bodies_agree_with_rays(model: mujoco.MjModel, camera: str, pose: str) -> None:
    camera, T = CAMERAS[camera], POSES[pose]
    expected, surface = cast(camera, T)
    with SceneRenderer(model) as renderer:
        view = renderer.render(qpos_of(BOX), T, camera, segmentation=True)
    assert view.depth.shape == view.color.shape[:2] == view.bodies.shape == (camera.height, camera.width)
    assert view.depth.dtype == np.float32
    assert view.bodies.dtype == np.int32
    on_table = np.abs(T[:3, 3] + (camera.rays() @ T[:3, :3].T) * expected[..., None])[..., :2].max(axis=-1) < 0.49
    checked = inner(surface) & (on_table | (surface > 0))
    ids = np.array([0, model.body("box").id, model.body("ball").id])
    assert (view.bodies == ids[surface])[checked].all()
    flat = checked & (surface < 2)  # the ball is drawn as a polyhedron: its sagitta is a matter of the mesh
    assert np.abs(view.depth - expected)[flat].max() < 0.0002
    facing = checked & (surface == 2)
    assert np.count_nonzero(facing) > 300
    assert np.median(np.abs(view.depth - expected)[facing]) < 0.0005
    assert (surface[checked] == 1).any()


def test_colour_belongs_to_the_depth(model: mujoco.MjModel) -> None:
    with SceneRenderer(model) as renderer:
        view = renderer.render(qpos_of(BOX), POSES["top"], CAMERAS["plain"], segmentation=True)
    box = inner(view.bodies) & (view.bodies == model.body("box").id)
    ball = inner(view.bodies) & (view.bodies == model.body("ball").id)
    assert (view.color[box][:, 0] > 2.0 * view.color[box][:, 2].astype(float)).all()
    assert (view.color[ball][:, 2] > 2.0 * view.color[ball][:, 0].astype(float)).mean() > 0.95


def test_the_hand_is_left_out_unless_asked_for(model: mujoco.MjModel) -> None:
    camera, T, hand = CAMERAS["plain"], POSES["top"], model.body("hand").id
    with SceneRenderer(model) as renderer:
        hidden = renderer.render(qpos_of(BOX), T, camera, segmentation=True)
        shown = renderer.render(qpos_of(BOX), T, camera, hidden_groups=(), segmentation=True)
        again = renderer.bodies(qpos_of(BOX), T, camera)
    assert not (hidden.bodies == hand).any()
    assert (shown.bodies == hand).mean() > 0.05
    assert shown.depth[shown.bodies == hand].max() < hidden.depth[shown.bodies == hand].min()
    np.testing.assert_array_equal(again, hidden.bodies)


def test_background_is_no_body(model: mujoco.MjModel) -> None:
    with SceneRenderer(model) as renderer:
        view = renderer.render(qpos_of(BOX), view_from(1.5, 0.0), CAMERAS["plain"], segmentation=True)
        assert renderer.render(qpos_of(BOX), POSES["top"], CAMERAS["plain"]).bodies is None
    assert (view.bodies == -1).any()
    assert (view.depth[view.bodies == -1] == 0).all()
    assert (view.depth[view.bodies >= 0] > 0).all()


def test_the_pose_of_the_joints_counts(model: mujoco.MjModel) -> None:
    moved = se3.make(TURN, [-0.05, 0.0, 0.08])
    with SceneRenderer(model) as renderer:
        a, b = (renderer.bodies(qpos_of(T), POSES["top"], CAMERAS["plain"]) for T in (BOX, moved))
    assert (a != b).mean() > 0.005


def test_refusals(model: mujoco.MjModel) -> None:
    with pytest.raises(InputError, match="no camera 'other'"):
        SceneRenderer(model, "other")
    with SceneRenderer(model, max_size=(320, 240)) as renderer:
        large = Camera(np.array([[900.0, 0, 1999.5], [0, 900.0, 999.5], [0, 0, 1]]), 4000, 2000)
        with pytest.raises(InputError, match="max_size"):
            renderer.render(qpos_of(BOX), POSES["top"], large)
        with pytest.raises(InputError, match="T_base_cam"):
            renderer.render(qpos_of(BOX), 2 * np.eye(4), CAMERAS["plain"])
