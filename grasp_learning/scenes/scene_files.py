"""Scenes on disk: one .npz for each, written whole or not at all, refused when it is not what it should be."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasp_core.errors import InputError
from grasp_eval.results import write_atomic
from grasp_learning.archives import ABOUT, read_archive
from grasp_learning.object_labels import NO_GRASP
from grasp_perception.dense.template import ANGLES, DEPTHS, VIEWS

FORMAT = "seegrasp scene 1"
CODES = ANGLES * len(DEPTHS)  # candidates of a point and an approach view
POINT_STEP = 0.00005  # m, of stored points: +-1.6 m fit into 16 bits
NORMAL_STEP = 1.0 / 127.0
AGAIN = "`seegrasp learn scenes` makes it again"

# array of a file -> (dtype, shape, in which letters stand for counts: P label points, O objects, Q rows of codes,
# K grasps, V views, N points of all views together)
ARRAYS: dict[str, tuple[type, tuple[int | str, ...]]] = {
    "points": (np.int16, ("P", 3)),
    "normals": (np.int8, ("P", 3)),
    "owner": (np.int16, ("P",)),
    "row": (np.int32, ("P", VIEWS)),
    "is_grasp": (np.uint8, ("Q", -(-CODES // 8))),
    "friction_code": (np.uint8, ("K",)),
    "width_code": (np.uint8, ("K",)),
    "rotation": (np.float32, ("O", 3, 3)),
    "position": (np.float32, ("O", 3)),
    "centre_of_mass": (np.float32, ("O", 3)),
    "radius": (np.float32, ("O",)),
    "view_counts": (np.int64, ("V",)),
    "view_points": (np.int16, ("N", 3)),
    "view_colors": (np.uint8, ("N", 3)),
    "view_owner": (np.int16, ("N",)),
    "view_graspness": (np.uint8, ("N",)),
    "view_pose": (np.float64, ("V", 4, 4)),
}


class ScenesError(InputError):
    """A file of a scene cannot be used: not one, broken, of another format, or of another recipe; names the file."""


class StaleScene(ScenesError):
    """A sound file, but of another recipe."""


@dataclass(frozen=True, eq=False)
class SceneLabels:
    """Grasps of a scene's objects that are free in the scene: P label points, O objects, Q rows of codes. Base frame.

    Attributes:
        points, normals: (P, 3) float32, m and unit, outward. owner: (P,) int16, index of the object.
        row: (P, VIEWS) int32, row of the codes for an approach view of the template *in the object's frame*; -1 where
            no grasp comes from there.
        friction_code, width_code: (Q, CODES) uint8 as in ``object_labels``, angles x depths, depths fastest; NO_GRASP
            where there is no grasp or where the hand meets the object, another one, the support or the bin.
        rotation: (O, 3, 3) float32, R_base_object. position: (O, 3) float32, m. centre_of_mass: (O, 3) float32, m.
        radius: (O,) float32, m from the centre of mass to the farthest surface point.
        names: of the objects. support: m, height of what the objects stand on.
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    owner: NDArray[np.int16]
    row: NDArray[np.int32]
    friction_code: NDArray[np.uint8]
    width_code: NDArray[np.uint8]
    rotation: NDArray[np.float32]
    position: NDArray[np.float32]
    centre_of_mass: NDArray[np.float32]
    radius: NDArray[np.float32]
    names: list[str]
    support: float


@dataclass(frozen=True, eq=False)
class SceneView:
    """One look at a scene, noise included: what a detector gets (voxels of 5 mm, in the workspace). Base frame.

    Attributes:
        points: (N, 3) float32, m. colors: (N, 3) uint8 RGB. owner: (N,) int16, index of the object, -1: background.
        graspness: (N,) float32 in [0, 1], 0 on the background.
        T_base_cam: (4, 4) float64, pose of the optical frame. noise: mode of grasp_sim.noise.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.uint8]
    owner: NDArray[np.int16]
    graspness: NDArray[np.float32]
    T_base_cam: NDArray[np.float64]
    noise: str

    @property
    def camera(self) -> NDArray[np.float32]:
        """(3,) where the camera stands, m."""
        return self.T_base_cam[:3, 3].astype(np.float32)


@dataclass(frozen=True, eq=False)
class SceneSample:
    """A scene's labels and views; views 2k and 2k + 1 are taken from near each other.

    about: what the file says of itself: format, digest of the recipe, seed, index, attempt, kind, names, support and
        noise of each view.
    """

    labels: SceneLabels
    views: list[SceneView]
    name: str
    about: dict[str, Any]


def scene_name(index: int) -> str:
    """Name of the scene with that number."""
    return f"scene-{index:06d}"


def scene_path(folder: Path, name: str) -> Path:
    """Where a scene is kept."""
    return folder / f"{name}.npz"


def scene_names(folder: Path) -> list[str]:
    """Names of the scenes in a folder, sorted. ScenesError when there is none."""
    names = sorted(path.stem for path in folder.glob("scene-*.npz"))
    if not names:
        raise ScenesError(f"{folder}: no scenes there; `seegrasp learn scenes --out {folder}` makes them")
    return names


def save_scene(path: Path, sample: SceneSample) -> int:
    """Write a file, points rounded to 0.05 mm; returns its size in bytes.

    Raises grasp_eval.results.SaveError, leaving what was there before.
    """
    labels, views = sample.labels, sample.views
    about = sample.about | {
        "format": FORMAT,
        "names": labels.names,
        "support": labels.support,
        "noise": [view.noise for view in views],
    }
    grasp = labels.friction_code != NO_GRASP
    arrays = {
        "points": _rounded(labels.points, POINT_STEP, np.int16),
        "normals": _rounded(labels.normals, NORMAL_STEP, np.int8),
        "owner": labels.owner,
        "row": labels.row,
        "is_grasp": np.packbits(grasp, axis=1),
        "friction_code": labels.friction_code[grasp],
        "width_code": labels.width_code[grasp],
        "rotation": labels.rotation,
        "position": labels.position,
        "centre_of_mass": labels.centre_of_mass,
        "radius": labels.radius,
        "view_counts": np.array([len(view.points) for view in views], dtype=np.int64),
        "view_points": _rounded(np.concatenate([view.points for view in views]), POINT_STEP, np.int16),
        "view_colors": np.concatenate([view.colors for view in views]),
        "view_owner": np.concatenate([view.owner for view in views]),
        "view_graspness": _rounded(np.concatenate([view.graspness for view in views]), 1.0 / 255.0, np.uint8),
        "view_pose": np.stack([view.T_base_cam for view in views]),
    }
    data = io.BytesIO()
    np.savez_compressed(data, **{ABOUT: np.array(json.dumps(about))}, **arrays)
    write_atomic(path, data.getvalue())
    return len(data.getvalue())


def load_scene(path: str | Path, digest: str | None = None) -> SceneSample:
    """Read a file, all of it, so that a broken one is found now.

    Args:
        digest: of the recipe that the scene must have; None: any.

    Raises:
        StaleScene: another recipe.
        ScenesError: it cannot be read, or holds something else.
    """
    path = Path(path)
    about, arrays = read_archive(path, ARRAYS, FORMAT, "a scene", AGAIN, ScenesError)
    _check(path, arrays, about)
    if digest is not None and about.get("digest") != digest:
        raise StaleScene(f"{path}: a scene of another recipe; {AGAIN}")
    return SceneSample(_labels(arrays, about), _views(arrays, about), path.stem, about)


def _labels(arrays: dict[str, NDArray], about: dict[str, Any]) -> SceneLabels:
    grasp = np.unpackbits(arrays["is_grasp"], axis=1, count=CODES).view(bool)
    friction, width = np.full(grasp.shape, NO_GRASP, dtype=np.uint8), np.zeros(grasp.shape, dtype=np.uint8)
    friction[grasp], width[grasp] = arrays["friction_code"], arrays["width_code"]
    normals = arrays["normals"].astype(np.float32)
    same = ("owner", "row", "rotation", "position", "centre_of_mass", "radius")
    return SceneLabels(
        points=arrays["points"] * np.float32(POINT_STEP),
        normals=normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), np.float32(1.0)),
        friction_code=friction,
        width_code=width,
        names=list(about["names"]),
        support=float(about["support"]),
        **{name: arrays[name] for name in same},
    )


def _views(arrays: dict[str, NDArray], about: dict[str, Any]) -> list[SceneView]:
    ends = np.cumsum(arrays["view_counts"])
    points = arrays["view_points"] * np.float32(POINT_STEP)
    graspness = arrays["view_graspness"] * np.float32(1.0 / 255.0)
    views = []
    for end, count, pose, noise in zip(ends, arrays["view_counts"], arrays["view_pose"], about["noise"], strict=True):
        part = slice(end - count, end)
        colors, owner = arrays["view_colors"][part], arrays["view_owner"][part]
        views.append(SceneView(points[part], colors, owner, graspness[part], pose, noise))
    return views


def _rounded(values: NDArray, step: float, dtype: type) -> NDArray:
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values / step), limits.min, limits.max).astype(dtype)


def _check(path: Path, arrays: dict[str, NDArray], about: dict[str, Any]) -> None:
    counts = {"N": int(arrays["view_counts"].sum()), "O": len(about.get("names", ())), "V": len(about.get("noise", ()))}
    for name, (dtype, shape) in ARRAYS.items():
        found = arrays[name]
        if found.ndim == len(shape):
            for letter, size in zip(shape, found.shape, strict=True):
                if isinstance(letter, str):
                    counts.setdefault(letter, size)
        expected = tuple(counts.get(size, 0) if isinstance(size, str) else size for size in shape)
        if found.dtype != dtype or found.shape != expected:
            wanted = f"{np.dtype(dtype)} {expected}"
            raise ScenesError(f"{path}: {name} is {found.dtype} {found.shape}, expected {wanted}; {AGAIN}")
    grasps = int(np.unpackbits(arrays["is_grasp"], axis=1, count=CODES).sum())
    if grasps != counts["K"]:
        raise ScenesError(f"{path}: {counts['K']} codes for {grasps} grasps; {AGAIN}")
    for name, limit in (("row", "Q"), ("owner", "O"), ("view_owner", "O")):
        if arrays[name].size and int(arrays[name].max()) >= counts[limit]:
            raise ScenesError(f"{path}: {name} goes beyond its {counts[limit]} rows; {AGAIN}")
