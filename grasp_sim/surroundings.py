"""What surrounds the objects in every simulation: table, bin and tray, light and sky, and the physics' settings."""

from __future__ import annotations

import mujoco
import numpy as np

from grasp_core.cell import Cell
from grasp_sim.objects.mjcf import SOLIMP, SOLREF

TIME_STEP = 0.002  # s
SURFACE_FRICTION = 0.6

_COLOURS = {"table": (0.78, 0.68, 0.55, 1.0), "bin": (0.33, 0.42, 0.50, 1.0), "tray": (0.55, 0.33, 0.26, 1.0)}


def set_physics(spec: mujoco.MjSpec) -> None:
    """Time step, integrator and friction cones of every simulation here."""
    option = spec.option
    option.timestep = TIME_STEP
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10.0
    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET  # a diverged state is an error, not a new start


def add_boxes(spec: mujoco.MjSpec, cell: Cell, with_bin: bool) -> None:
    """Table, bin and tray, with the contact parameters that scenes are settled with."""
    for obstacle in cell.obstacle_boxes():
        kind = obstacle.name.partition("_")[0]
        if kind == "bin" and not with_bin:
            continue
        spec.worldbody.add_geom(
            name=obstacle.name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=list(obstacle.centre),
            size=(np.asarray(obstacle.size) / 2).tolist(),
            friction=[SURFACE_FRICTION, 0.005, 0.0001],
            condim=3,
            solref=list(SOLREF),
            solimp=list(SOLIMP),
            rgba=list(_COLOURS.get(kind, (0.6, 0.6, 0.6, 1.0))),
        )


def add_looks(spec: mujoco.MjSpec, cell: Cell) -> None:
    """Light, sky and a floor, where what falls off the table comes to lie."""
    spec.visual.headlight.ambient = [0.30, 0.30, 0.30]
    spec.visual.headlight.diffuse = [0.20, 0.20, 0.20]
    spec.visual.headlight.specular = [0.0, 0.0, 0.0]
    spec.visual.quality.offsamples = 0
    spec.visual.map.znear, spec.visual.map.zfar = 0.005, 20.0
    spec.stat.extent, spec.stat.center = 1.0, [0.3, 0.0, 0.3]
    sizes = [(1280, 960), *((c.camera_profile.width, c.camera_profile.height) for c in cell.cameras)]
    spec.visual.global_.offwidth, spec.visual.global_.offheight = (max(s) for s in zip(*sizes, strict=True))
    for pos, level in (([0.9, -0.8, 2.0], 0.45), ([0.0, 1.0, 1.8], 0.2)):
        aim = (np.array([0.4, 0.1, 0.0]) - pos).tolist()
        light = spec.worldbody.add_light(pos=pos, dir=aim, diffuse=[level] * 3, specular=[0.05] * 3, castshadow=False)
        light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.75, 0.80, 0.85],
        rgb2=[0.45, 0.48, 0.52],
        width=64,
        height=384,
    )
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[0.3, 0.1, cell.table.height - 0.80],
        size=[2.5, 2.5, 0.05],
        rgba=[0.42, 0.43, 0.44, 1.0],
    )
