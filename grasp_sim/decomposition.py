"""Convex parts of a mesh by CoACD, cached on disk."""

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

log = logging.getLogger(__name__)

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


def convex_parts(
    path: Path, mesh: trimesh.Trimesh, how: Decomposition, cache: str | Path | None = None
) -> list[np.ndarray]:
    """Vertices (V, 3) of each convex part, from the cache where it has them.

    path: the mesh's file, for messages. cache: folder; None: $SEEGRASP_CACHE or ~/.cache/seegrasp. An entry that is
    damaged is made anew, and one that cannot be written is not kept; both with a warning.
    """
    folder = Path(cache or os.environ.get(CACHE_ENVIRONMENT) or Path("~/.cache/seegrasp")).expanduser()
    recipe = json.dumps({**asdict(how), "coacd": importlib.metadata.version("coacd")}, sort_keys=True)
    content = np.ascontiguousarray(mesh.vertices).tobytes() + np.ascontiguousarray(mesh.faces).tobytes()
    entry = folder / f"convex_{hashlib.sha256(content + recipe.encode()).hexdigest()[:32]}.npz"
    pieces = _stored(entry)
    if pieces is None:
        log.info("decomposing %s into convex parts", path)
        pieces = decompose(path, mesh, how)
        _store(entry, pieces)
    return pieces


def decompose(path: Path, mesh: trimesh.Trimesh, how: Decomposition) -> list[np.ndarray]:
    """Vertices (V, 3) of each convex part by CoACD; the same mesh and parameters give the same parts."""
    coacd.set_log_level("error")
    try:
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
    except RuntimeError as error:
        raise InputError(f"{path} cannot be cut into convex parts ({error}): repair it and export it anew") from error
    if not hulls:
        raise InputError(f"{path} has no inside that convex parts could fill: close its surface and export it anew")
    return [np.asarray(vertices, dtype=float) for vertices, _ in hulls]


def _stored(entry: Path) -> list[np.ndarray] | None:
    """The parts of a cache entry, or None where there is none that can be used."""
    try:
        with open(entry, "rb") as file, np.load(file) as stored:
            pieces = [stored[key] for key in sorted(stored.files)]
        if not pieces or not all(_is_piece(piece) for piece in pieces):
            raise ValueError("it holds something else than convex parts")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        log.warning("%s is damaged or not readable (%s) and is made anew", entry, error)
        return None
    return pieces


def _is_piece(vertices: np.ndarray) -> bool:
    shaped = vertices.ndim == 2 and vertices.shape[1] == 3 and len(vertices) >= 4
    return shaped and vertices.dtype == np.float64 and bool(np.isfinite(vertices).all())


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
