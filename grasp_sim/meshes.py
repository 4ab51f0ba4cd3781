"""User meshes (OBJ, STL, PLY) as objects: checked, decomposed into convex parts by CoACD, cached on disk."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import os
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import coacd
import numpy as np
import trimesh

from grasp_core.errors import InputError
from grasp_sim.objects.spec import ObjectSpec, Part, bounds_of

log = logging.getLogger(__name__)

SUFFIXES = (".obj", ".stl", ".ply")
MIN_SIZE, MAX_SIZE = 0.005, 0.6  # m, of the longest side
MILLIMETRES = (2.0, 1000.0)  # a longest side in this range is taken to be in millimetres
GREY = (0.6, 0.6, 0.62, 1.0)
CACHE_ENVIRONMENT = "SEEGRASP_CACHE"


@dataclass(frozen=True)
class Decomposition:
    """CoACD's parameters (Wei et al. 2022): a smaller threshold follows the shape more closely with more parts."""

    threshold: float = 0.05
    max_parts: int = 24
    max_vertices: int = 48
    resolution: int = 1000
    search: int = 40  # iterations of the tree search for each cut
    seed: int = 0


def load_folder(folder: str | Path, **kwargs) -> list[ObjectSpec]:
    """Every mesh of a folder (not of its subfolders), by name; kwargs as for load_mesh.

    InputError when the folder does not exist, holds no mesh, or one of its meshes is not usable.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give one that holds {', '.join(SUFFIXES)} files")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"{folder} holds no mesh: expected {', '.join(SUFFIXES)} files")
    return [load_mesh(path, **kwargs) for path in paths]


def load_mesh(
    path: str | Path,
    scale: float = 1.0,
    mass: float | None = None,
    density: float = 600.0,
    friction: float = 0.6,
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
    _check_number(path, "scale", scale)
    _check_number(path, "density", density)
    _check_number(path, "friction", friction)
    if mass is not None:
        _check_number(path, "mass", mass)
    mesh = read_mesh(path, scale)
    pieces = _decompose_cached(path, mesh, decomposition or Decomposition(), _cache_folder(cache))
    parts = [Part("mesh", vertices=vertices) for vertices in pieces]
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


def read_mesh(path: Path, scale: float = 1.0) -> trimesh.Trimesh:
    """Load a mesh file in metres and check that it can be an object on a table; InputError otherwise."""
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
    if not np.isfinite(mesh.vertices).all():
        raise InputError(f"{path} has vertices that are not finite: repair the mesh and export it anew")
    mesh.merge_vertices()
    mesh.apply_scale(scale)
    _check_size(path, np.asarray(mesh.extents))
    return mesh


def _check_size(path: Path, extents: np.ndarray) -> None:
    longest = float(extents.max())
    size = " x ".join(f"{v:.4g}" for v in extents)
    if MILLIMETRES[0] <= longest <= MILLIMETRES[1]:
        raise InputError(f"{path} measures {size} m: it looks like millimetres; load it with scale=0.001")
    if longest > MAX_SIZE:
        raise InputError(f"{path} measures {size} m: larger than {MAX_SIZE} m; check its units and give scale")
    if longest < MIN_SIZE:
        raise InputError(f"{path} measures {size} m: smaller than {MIN_SIZE} m; check its units and give scale")


def _check_number(path: Path, name: str, value: float) -> None:
    if not np.isfinite(value) or value <= 0:
        raise InputError(f"{path}: {name} must be a positive number, got {value}")


def _colour(mesh: trimesh.Trimesh) -> tuple[float, float, float, float]:
    """The mesh's main colour where it has any of its own, else grey."""
    if mesh.visual.kind is None:
        return GREY
    visual = mesh.visual if mesh.visual.kind in ("vertex", "face") else mesh.visual.to_color()
    red, green, blue = (float(v) / 255.0 for v in np.asarray(visual.main_color)[:3])
    return (red, green, blue, 1.0)


def _cache_folder(cache: str | Path | None) -> Path:
    return Path(cache or os.environ.get(CACHE_ENVIRONMENT) or Path("~/.cache/seegrasp")).expanduser()


def _decompose_cached(path: Path, mesh: trimesh.Trimesh, how: Decomposition, folder: Path) -> list[np.ndarray]:
    """Vertices (V, 3) of each convex part, from the cache where it has them."""
    recipe = json.dumps({**asdict(how), "coacd": importlib.metadata.version("coacd")}, sort_keys=True)
    content = np.ascontiguousarray(mesh.vertices).tobytes() + np.ascontiguousarray(mesh.faces).tobytes()
    entry = folder / f"convex_{hashlib.sha256(content + recipe.encode()).hexdigest()[:32]}.npz"
    if entry.is_file():
        try:
            with np.load(entry) as stored:
                return [stored[key] for key in sorted(stored.files)]
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            log.warning("%s is damaged (%s) and is made anew", entry, error)
    log.info("decomposing %s into convex parts", path)
    pieces = decompose(path, mesh, how)
    _store(entry, pieces)
    return pieces


def decompose(path: Path, mesh: trimesh.Trimesh, how: Decomposition) -> list[np.ndarray]:
    """Vertices (V, 3) of each convex part by CoACD; the same mesh and parameters give the same parts."""
    coacd.set_log_level("error")
    hulls = coacd.run_coacd(
        coacd.Mesh(mesh.vertices, mesh.faces),
        threshold=how.threshold,
        max_convex_hull=how.max_parts,
        decimate=True,
        max_ch_vertex=how.max_vertices,
        resolution=how.resolution,
        mcts_iterations=how.search,
        seed=how.seed,
    )
    if not hulls:
        raise InputError(f"{path} has no inside that convex parts could fill: close its surface and export it anew")
    return [np.asarray(vertices, dtype=float) for vertices, _ in hulls]


def _store(entry: Path, pieces: list[np.ndarray]) -> None:
    """Write a cache entry whole or not at all; without room or permission the run goes on, with a warning."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=entry.parent, suffix=".npz")
    except OSError as error:
        log.warning("%s cannot be written (%s): the decomposition is not kept", entry, error)
        return
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **{f"part_{i:03d}": piece for i, piece in enumerate(pieces)})
        os.replace(temporary, entry)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        log.warning("%s cannot be written (%s): the decomposition is not kept", entry, error)
