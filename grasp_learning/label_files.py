"""Labels on disk: one .npz for each object, written whole or not at all, refused when it is not what it should be."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from grasp_core.errors import InputError
from grasp_eval.results import write_atomic
from grasp_learning.archives import ABOUT, read_archive
from grasp_learning.object_labels import PER_POINT, ObjectLabels

FORMAT = "seegrasp object labels 1"
SUFFIX = ".npz"
AGAIN = "`seegrasp learn labels` makes it again"
ARRAYS = {  # field of ObjectLabels -> (dtype, shape of what belongs to a point; None: one for all)
    "points": (np.float32, (3,)),
    "normals": (np.float32, (3,)),
    "centre_of_mass": (np.float64, None),
    "friction_code": (np.uint8, (PER_POINT,)),
    "width_code": (np.uint8, (PER_POINT,)),
    "collision_bits": (np.uint8, (PER_POINT // 8,)),
}


class LabelsError(InputError):
    """A file of labels cannot be used: not one, broken, of another format, or of another recipe; names the file."""


class StaleLabels(LabelsError):
    """A sound file, but of another recipe."""


def label_path(folder: Path, name: str) -> Path:
    """Where the labels of an object are kept."""
    return folder / f"{name}{SUFFIX}"


def save_labels(path: Path, labels: ObjectLabels) -> int:
    """Write a file; returns its size in bytes. Raises grasp_eval.results.SaveError, leaving what was there before."""
    about = json.dumps({"format": FORMAT, "name": labels.name, "digest": labels.digest})
    data = io.BytesIO()
    np.savez_compressed(data, **{ABOUT: np.array(about)}, **{name: getattr(labels, name) for name in ARRAYS})
    write_atomic(path, data.getvalue())
    return len(data.getvalue())


def load_labels(path: str | Path, digest: str | None = None) -> ObjectLabels:
    """Read a file, all of it, so that a broken one is found now.

    Args:
        digest: of the recipe that the labels must have; None: any.

    Raises:
        StaleLabels: another recipe.
        LabelsError: it cannot be read, or holds something else.
    """
    path = Path(path)
    about, arrays = read_archive(path, ARRAYS, FORMAT, "labels", AGAIN, LabelsError)
    _check(path, arrays)
    if digest is not None and about.get("digest") != digest:
        raise StaleLabels(f"{path}: labels of another recipe; `seegrasp learn labels` makes them again")
    return ObjectLabels(name=str(about.get("name")), digest=str(about.get("digest")), **arrays)


def _check(path: Path, arrays: dict[str, np.ndarray]) -> None:
    count = len(arrays["points"]) if arrays["points"].ndim else 0
    for name, (dtype, each) in ARRAYS.items():
        shape = (3,) if each is None else (count, *each)
        found = arrays[name]
        if found.dtype != dtype or found.shape != shape:
            expected = f"{np.dtype(dtype)} {shape}"
            raise LabelsError(f"{path}: {name} is {found.dtype} {found.shape}, expected {expected}")
