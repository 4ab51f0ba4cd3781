"""The files of the GraspNet-1Billion data set that its metric needs, and of a dump of grasps for it.

Layout (graspnet.net, graspnetAPI): ``models/NNN/nontextured.ply`` and ``textured.obj``;
``scenes/scene_NNNN/<camera>/annotations/NNNN.xml`` with the objects' poses in the camera's optical frame,
``camera_poses.npy`` (F, 4, 4), each frame's camera in the first one's, and ``cam0_wrt_table.npy`` (4, 4). A dump is
``scene_NNNN/<camera>/NNNN.npy``, (N, 17) each.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from functools import lru_cache
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray

from grasp_core import conventions, se3
from grasp_core.errors import InputError
from grasp_core.grasps import Grasps
from grasp_eval.bench.ap import Model

CAMERAS = ("realsense", "kinect")
SPLITS = {"seen": range(100, 130), "similar": range(130, 160), "novel": range(160, 190)}
MODELS_KEPT = 32  # in memory; a scene has about ten
LARGEST_MODEL = 1.0  # m


def scene_folder(root: Path, scene: int, camera: str) -> Path:
    """Where a scene's files lie, under ``scenes`` of the data set or in a dump."""
    return root / f"scene_{scene:04d}" / camera


def table_in_cameras(folder: Path) -> NDArray[np.float64]:
    """(F, 4, 4) T_cam_table of each frame of a scene; InputError names the file that is missing or wrong."""
    cameras = _array(folder / "camera_poses.npy")
    first = _array(folder / "cam0_wrt_table.npy")
    if cameras.ndim != 3 or cameras.shape[1:] != (4, 4):
        raise InputError(f"{folder / 'camera_poses.npy'}: expected shape (F, 4, 4), got {cameras.shape}")
    if first.shape != (4, 4):
        raise InputError(f"{folder / 'cam0_wrt_table.npy'}: expected shape (4, 4), got {first.shape}")
    table = first @ cameras
    if not se3.is_rotation(table[:, :3, :3], tolerance=1e-2).all() or not np.isfinite(table).all():
        raise InputError(f"{folder}: the camera poses are no rigid transforms")
    return se3.inverse(table)


def read_objects(path: Path) -> tuple[list[int], NDArray[np.float64]]:
    """Ids and poses (N, 4, 4) in the camera's frame of the objects in an annotation; InputError names the file."""
    try:
        entries = ElementTree.parse(path).getroot().findall("obj")
    except (OSError, ElementTree.ParseError) as error:
        raise InputError(f"{path}: cannot be read as XML: {error}") from error
    if not entries:
        raise InputError(f"{path}: it has no <obj>")
    ids, poses = [], []
    for entry in entries:
        try:
            ids.append(int(entry.findtext("obj_id", "")))
            position = [float(v) for v in entry.findtext("pos_in_world", "").split()]
            w, x, y, z = (float(v) for v in entry.findtext("ori_in_world", "").split())
            poses.append(se3.make(se3.matrix_from_quat([x, y, z, w]), np.array(position).reshape(3)))
        except (ValueError, InputError) as error:
            raise InputError(
                f"{path}: object {len(ids)}: expected obj_id, pos_in_world (x y z) and ori_in_world (w x y z): {error}"
            ) from error
    return ids, np.stack(poses)


def read_dump(path: Path) -> Grasps:
    """The grasps of one frame, in the camera's frame; InputError names the file and what is wrong."""
    array = _array(path)
    try:
        return conventions.from_graspnet(array, "dump")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


@lru_cache(maxsize=MODELS_KEPT)
def read_model(root: Path, object_id: int) -> Model:
    """Surface and thinned points of an object; InputError names what is missing.

    As graspnetAPI has it: contacts on textured.obj, points from the vertices of nontextured.ply. Where one of the two
    is missing the other one stands in.
    """
    folder = root / "models" / f"{object_id:03d}"
    fine, textured = folder / "nontextured.ply", folder / "textured.obj"
    if not fine.is_file() and not textured.is_file():
        raise InputError(f"{folder}: neither nontextured.ply nor textured.obj is there")
    mesh = _mesh(textured if textured.is_file() else fine)
    if not fine.is_file():
        return Model.of_mesh(mesh)
    return Model.of_mesh(mesh, (mesh if not textured.is_file() else _mesh(fine)).vertices)


def _mesh(path: Path) -> trimesh.Trimesh:
    try:
        mesh = trimesh.load_mesh(path, process=False, skip_materials=True)
    except Exception as error:  # trimesh raises whatever its parsers do
        raise InputError(f"{path}: cannot be read as a mesh: {error}") from error
    if not isinstance(mesh, trimesh.Trimesh) or not len(mesh.faces) or not np.isfinite(mesh.vertices).all():
        raise InputError(f"{path}: it has no triangles, or vertices that are not finite")
    if mesh.extents.max() > LARGEST_MODEL:
        raise InputError(f"{path}: {mesh.extents.max():.1f} m large; the data set's models are in metres")
    if mesh.volume < 0:  # faces that look inwards
        mesh.invert()
    return mesh


def _array(path: Path) -> NDArray[np.float64]:
    try:
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
    except FileNotFoundError as error:
        raise InputError(f"{path}: missing") from error
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as an array of numbers: {error}") from error
