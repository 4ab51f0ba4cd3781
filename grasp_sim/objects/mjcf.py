"""Objects into a MuJoCo model."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from grasp_sim.objects.spec import ObjectSpec, Part

GEOM_TYPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "mesh": mujoco.mjtGeom.mjGEOM_MESH,
}
# Three time steps of 2 ms: as stiff as stays stable (MuJoCo asks for at least two).
SOLREF = (0.006, 1.0)
SOLIMP = (0.95, 0.99, 0.001, 0.5, 2.0)
TORSIONAL_FRICTION = 0.005  # m, about the contact normal
ROUND_KINDS = ("sphere", "ellipsoid", "cylinder", "capsule")
# m, at condim 6 (round parts only): without it a ball rolls for ever. Damping the free joint instead made settling
# twice as slow and unstable (measured with MuJoCo 4.0).
ROLLING_FRICTION = 0.0003


def add_object(
    spec: mujoco.MjSpec,
    obj: ObjectSpec,
    name: str,
    pos: Sequence[float] = (0.0, 0.0, 0.0),
    quat: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
) -> mujoco.MjsBody:
    """Add obj as a free body to spec and return the body.

    The body frame is the object frame at pos (3,) m and quat wxyz in the world. Names: body `name`, joint
    `{name}_free`, geoms `{name}_g{i}` in the order of obj.parts, mesh assets `{name}_m{i}`.
    """
    body = spec.worldbody.add_body(name=name, pos=list(pos), quat=list(quat))
    body.add_freejoint(name=f"{name}_free")
    for i, (part, mass) in enumerate(zip(obj.parts, obj.part_masses, strict=True)):
        _add_part(spec, body, obj, part, float(mass), f"{name}_g{i}", f"{name}_m{i}")
    return body


def _add_part(
    spec: mujoco.MjSpec,
    body: mujoco.MjsBody,
    obj: ObjectSpec,
    part: Part,
    mass: float,
    geom: str,
    asset: str,
) -> None:
    kwargs: dict[str, object] = {}
    if part.kind == "mesh":
        mesh = spec.add_mesh(name=asset, uservert=np.asarray(part.vertices, dtype=float).ravel().tolist())
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
        kwargs["meshname"] = asset
    else:
        kwargs["size"] = [*part.size, 0.0, 0.0][:3]
    body.add_geom(
        name=geom,
        type=GEOM_TYPES[part.kind],
        pos=list(part.position),
        quat=list(part.quaternion),
        mass=mass,
        rgba=list(part.rgba or obj.rgba),
        condim=6 if part.kind in ROUND_KINDS else 4,
        friction=[obj.friction, TORSIONAL_FRICTION, ROLLING_FRICTION],
        solref=list(SOLREF),
        solimp=list(SOLIMP),
        **kwargs,
    )
