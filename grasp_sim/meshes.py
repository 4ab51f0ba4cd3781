"""User meshes (OBJ, STL, PLY, or URDF around them) as objects: checked, and made of convex parts."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import trimesh

from grasp_core.errors import InputError
from grasp_sim.decomposition import Decomposition, convex_parts
from grasp_sim.mesh_files import SUFFIXES, read_mesh
from grasp_sim.objects.spec import ObjectSpec, Part, bounds_of
from grasp_sim.urdf_object import SUFFIX as URDF
from grasp_sim.urdf_object import UrdfBody, UrdfMesh, read_urdf

log = logging.getLogger(__name__)

GREY = (0.6, 0.6, 0.62, 1.0)
DENSITY = 600.0  # kg/m3
FRICTION = 0.6
SHOWN = 3  # problems in one message
SCALED = re.compile(r"(?P<folder>.+)@(?P<scale>\d*\.?\d+([eE][+-]?\d+)?)")


def load_folder(folder: str | Path, **kwargs) -> list[ObjectSpec]:
    """Every object of a folder (not of its subfolders), by name; kwargs as for load_mesh.

    A folder with URDF files holds what these describe; any other holds one object for each mesh. `folder@0.001` gives
    the factor to metres for all. InputError when the folder does not exist, holds no object, or one is not usable.
    """
    objects, problems = load_usable(folder, **kwargs)
    if problems:
        raise InputError(problems[0])
    return objects


def load_usable(folder: str | Path, **kwargs) -> tuple[list[ObjectSpec], list[str]]:
    """As load_folder, but what cannot be used is left out: the good objects, and what is wrong with each other file.

    InputError when the folder does not exist or holds no object, and when none is usable.
    """
    folder, scale = folder_and_scale(str(folder))
    if scale is not None:
        kwargs["scale"] = scale
    paths = _object_files(folder)
    objects: list[ObjectSpec] = []
    problems: list[str] = []
    for path in paths:
        try:
            objects.append(load_urdf(path, **kwargs) if path.suffix.lower() == URDF else load_mesh(path, **kwargs))
        except InputError as error:
            problems.append(str(error))
    if not objects:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise InputError(f"{folder} holds no mesh that can be used: {'; '.join(problems[:SHOWN])}{more}")
    return objects, problems


def load_mesh(
    path: str | Path,
    scale: float = 1.0,
    mass: float | None = None,
    density: float = DENSITY,
    friction: float = FRICTION,
    decomposition: Decomposition | None = None,
    cache: str | Path | None = None,
) -> ObjectSpec:
    """One mesh file as an object named after the file.

    Args:
        scale: factor to metres (0.001 for a mesh in millimetres).
        mass: kg; None: density (kg/m3) times the volume of the convex parts.
        cache: folder of the decompositions; None: $SEEGRASP_CACHE or ~/.cache/seegrasp.

    InputError names the file, what is wrong with it and what to do.
    """
    path = Path(path).expanduser()
    _check_numbers(path, scale=scale, density=density, friction=friction, mass=mass)
    mesh = read_mesh(path, scale)
    parts = _parts(path, mesh, decomposition, cache)
    return _object(path, parts, mesh, mass, density, friction, scale)


def load_urdf(
    path: str | Path,
    scale: float = 1.0,
    mass: float | None = None,
    density: float = DENSITY,
    friction: float | None = None,
    decomposition: Decomposition | None = None,
    cache: str | Path | None = None,
) -> ObjectSpec:
    """A URDF of one rigid link as an object named after the file; arguments as for load_mesh.

    scale multiplies the URDF's own. Mass and friction are the URDF's where they are not given, and default as for a
    mesh where it has none. Its inertia is not used: it follows from the parts and the mass.
    """
    path = Path(path).expanduser()
    _check_numbers(path, scale=scale, density=density, friction=friction, mass=mass)
    body = read_urdf(path)
    mass = body.mass if mass is None else mass
    friction = next(value for value in (friction, body.friction, FRICTION) if value is not None)
    _check_numbers(path, mass=mass, friction=friction)
    meshes = _link_meshes(path, body, scale)
    parts = [part for mesh in meshes for part in _parts(path, mesh, decomposition, cache)]
    return _object(path, parts, trimesh.util.concatenate(meshes), mass, density, friction, scale)


def folder_and_scale(folder: str) -> tuple[Path, float | None]:
    """A folder's path and, of `folder@0.001`, the factor."""
    match = SCALED.fullmatch(folder)
    if match is None or Path(folder).expanduser().is_dir():
        return Path(folder).expanduser(), None
    return Path(match["folder"]).expanduser(), float(match["scale"])


def _object_files(folder: Path) -> list[Path]:
    kinds = ", ".join((*SUFFIXES, URDF))
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give one that holds {kinds} files")
    files = sorted(path for path in folder.iterdir() if path.is_file())
    described = [path for path in files if path.suffix.lower() == URDF]
    paths = described or [path for path in files if path.suffix.lower() in SUFFIXES]
    if not paths:
        raise InputError(f"{folder} holds no mesh: expected {kinds} files")
    return paths


def _check_numbers(path: Path, **values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not (np.isfinite(value) and value > 0):
            raise InputError(f"{path}: {name} must be a positive number, got {value}")


def _link_meshes(path: Path, body: UrdfBody, scale: float) -> list[trimesh.Trimesh]:
    """The visual meshes of a link in its frame, m, or those for collision where the visual ones cannot be used."""
    try:
        return [_posed(path, item, scale) for item in body.visual or body.collision]
    except InputError as error:
        if not (body.visual and body.collision):
            raise
        log.warning("%s; its collision mesh is used instead", error)
        return [_posed(path, item, scale) for item in body.collision]


def _posed(path: Path, item: UrdfMesh, scale: float) -> trimesh.Trimesh:
    try:
        mesh = read_mesh(item.path, scale, item.scale)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    pose = item.pose.copy()
    pose[:3, 3] *= scale
    return mesh.apply_transform(pose)


def _parts(
    path: Path, mesh: trimesh.Trimesh, decomposition: Decomposition | None, cache: str | Path | None
) -> list[Part]:
    pieces = convex_parts(path, mesh, decomposition or Decomposition(), cache)
    parts = [Part("mesh", vertices=vertices) for vertices in pieces]
    try:
        bounds_of(parts)
    except InputError as error:
        raise InputError(f"{path} cannot be cut into convex parts ({error}): repair it and export it anew") from error
    return parts


def _object(
    path: Path,
    parts: list[Part],
    mesh: trimesh.Trimesh,
    mass: float | None,
    density: float,
    friction: float,
    scale: float,
) -> ObjectSpec:
    centre = bounds_of(parts).mean(0)
    parts = [part.moved(-centre) for part in parts]
    return ObjectSpec(
        name=path.stem,
        family=path.stem,
        parts=tuple(parts),
        mass=float(density * sum(part.volume for part in parts) if mass is None else mass),
        friction=float(friction),
        rgba=_colour(mesh),
        grasp_width=float(min(mesh.bounding_box_oriented.primitive.extents)),
        metadata={"path": str(path), "scale": float(scale)},
    )


def _colour(mesh: trimesh.Trimesh) -> tuple[float, float, float, float]:
    """The mesh's main colour where it has any of its own, else grey."""
    if mesh.visual.kind is None:
        return GREY
    visual = mesh.visual if mesh.visual.kind in ("vertex", "face") else mesh.visual.to_color()
    red, green, blue = (float(v) / 255.0 for v in np.asarray(visual.main_color)[:3])
    return (red, green, blue, 1.0)
