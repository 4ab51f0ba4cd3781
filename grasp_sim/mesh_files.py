"""Reading mesh files: what is wrong with them is repaired where that is safe, and named where it is not."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import trimesh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from grasp_core.errors import InputError

log = logging.getLogger(__name__)

SUFFIXES = (".obj", ".stl", ".ply")
MIN_SIZE, MAX_SIZE = 0.005, 0.6  # m, of the longest side
MAX_FACES = 100_000  # cutting into convex parts takes 4 s for 5,000, 12 s for 20,000 and 110 s for 80,000
USUAL_SIZE = (0.02, 0.6)  # m, of what a hand picks: a factor that leads here is probably the right one
UNITS = {0.001: "millimetres", 0.01: "centimetres", 1000.0: "metres divided by 1000"}
SMALL_HOLE = 0.1  # of the longest side: a wider hole may be an opening that belongs there, and is not closed
HOLLOW = 1e-5  # volume over that of the box around it: less is a sheet


def read_mesh(path: Path, scale: float = 1.0, own_scale: tuple[float, ...] = (1.0, 1.0, 1.0)) -> trimesh.Trimesh:
    """A mesh file as a closed surface in metres with normals outwards.

    scale: factor to metres; own_scale: what a URDF says beside it, for each axis.

    Small holes are closed and normals turned, with a warning. InputError, naming the file and what to do, when it
    cannot be read, has no faces or too many, is not finite, has not the size of an object on a table, or is open: an
    open surface has no inside, and its hull would close what may be an opening to grasp into.
    """
    mesh = _load(path)
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    faces = np.asarray(mesh.faces)
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    mesh.update_faces(distinct & mesh.unique_faces())
    if len(mesh.faces) == 0:
        raise InputError(f"{path} has only degenerate faces (lines and points): export it anew")
    mesh.remove_unreferenced_vertices()
    mesh.apply_scale(scale * np.asarray(own_scale))
    _check_size(path, np.asarray(mesh.extents), scale)
    _close_small_holes(path, mesh)
    with np.errstate(invalid="ignore"):  # a sheet's centre of mass is 0 / 0
        _turn_outwards(path, mesh)
        hollow = mesh.volume <= HOLLOW * np.prod(mesh.extents)
    if hollow:
        raise InputError(f"{path} encloses no volume: it is a sheet; give its walls a thickness and export it anew")
    return mesh


def _load(path: Path) -> trimesh.Trimesh:
    if not path.is_file():
        raise InputError(f"{path} does not exist: expected a mesh file ({', '.join(SUFFIXES)})")
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} has the type '{path.suffix}': expected one of {', '.join(SUFFIXES)}; convert it")
    try:
        mesh = trimesh.load_mesh(path, process=False)
    except Exception as error:  # the loaders raise whatever their parser meets
        raise InputError(
            f"{path} cannot be read as a mesh ({type(error).__name__}: {error}): export it anew"
        ) from error
    if not isinstance(mesh, trimesh.Trimesh) or len(mesh.faces) == 0:
        raise InputError(f"{path} has no faces: a surface is needed, not a point cloud; export it anew")
    if len(mesh.faces) > MAX_FACES:
        raise InputError(
            f"{path} has {len(mesh.faces)} faces, more than {MAX_FACES}: cutting it into convex parts would take too "
            f"long; reduce it to 20000 or fewer"
        )
    if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices):
        raise InputError(f"{path} has faces of vertices that it does not have: export it anew")
    if not np.isfinite(mesh.vertices).all():
        raise InputError(f"{path} has vertices that are not finite: repair the mesh and export it anew")
    return mesh


def _check_size(path: Path, extents: np.ndarray, scale: float) -> None:
    longest = float(extents.max())
    if MIN_SIZE <= longest <= MAX_SIZE:
        return
    size = " x ".join(f"{v:.4g}" for v in extents)
    for factor, unit in UNITS.items():
        if USUAL_SIZE[0] <= longest * factor <= USUAL_SIZE[1]:
            right = f"{scale * factor:g}"
            raise InputError(
                f"{path} measures {size} m: it looks like {unit}; load it with scale={right}, or all of its folder as "
                f"FOLDER@{right}"
            )
    limit = f"larger than {MAX_SIZE}" if longest > MAX_SIZE else f"smaller than {MIN_SIZE}"
    raise InputError(f"{path} measures {size} m: {limit} m; check its units and give scale")


def _close_small_holes(path: Path, mesh: trimesh.Trimesh) -> None:
    """Close every hole by a fan of faces around the middle of its rim; InputError when one is wide."""
    single = trimesh.grouping.group_rows(mesh.edges_sorted, require_count=1)
    if len(single) == 0:
        return
    rim, count = np.asarray(mesh.edges)[single], len(mesh.vertices)  # (E, 2), in the direction of their faces
    graph = coo_array((np.ones(len(rim)), (rim[:, 0], rim[:, 1])), shape=(count, count))
    _, vertex_hole = connected_components(graph, directed=False)
    holes, edge_hole = np.unique(vertex_hole[rim[:, 0]], return_inverse=True)
    rims = [np.asarray(mesh.vertices)[rim[edge_hole == i].ravel()] for i in range(len(holes))]
    widest = max(float(np.ptp(points, axis=0).max()) for points in rims)
    if widest > SMALL_HOLE * mesh.extents.max():
        raise InputError(
            f"{path} is not closed: its surface has {len(holes)} hole(s), the widest of {widest * 1e3:.0f} mm; close "
            f"them, or give a thin wall its thickness, and export it anew"
        )
    middles = np.array([points.mean(0) for points in rims])
    fan = np.column_stack([rim[:, 1], rim[:, 0], count + edge_hole])
    repaired = trimesh.Trimesh(np.vstack([mesh.vertices, middles]), np.vstack([mesh.faces, fan]), process=False)
    mesh.vertices, mesh.faces = repaired.vertices, repaired.faces
    log.warning("%s is not closed: %d hole(s) of up to %.1f mm were closed", path, len(holes), widest * 1e3)


def _turn_outwards(path: Path, mesh: trimesh.Trimesh) -> None:
    if not mesh.is_winding_consistent:
        trimesh.repair.fix_normals(mesh)
        log.warning("%s has normals that contradict each other: they were turned", path)
    if mesh.volume < 0:
        mesh.invert()
        log.warning("%s has its normals inwards: they were turned", path)
