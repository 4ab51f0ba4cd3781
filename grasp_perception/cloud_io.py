"""Reading captures from disk: RGB-D pairs and clouds (PCD, PLY, NPY)."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pypcd4 import PointCloud

from grasp_core import se3
from grasp_core.camera import Camera
from grasp_core.cloud import Cloud
from grasp_core.errors import InputError, SeegraspError

_FAR = 5.0  # m


@dataclass(frozen=True)
class Capture:
    """One RGB-D pair.

    Attributes:
        color: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 m along the optical axis, 0 where nothing was measured.
        camera: the calibrated camera of both.
        T_base_cam: (4, 4) pose of the optical frame in the base frame, or None when the file does not tell.
    """

    color: NDArray[np.uint8]
    depth: NDArray[np.float32]
    camera: Camera
    T_base_cam: NDArray[np.float64] | None


def load_capture(color: Path, depth: Path, camera: Path) -> Capture:
    """Read colour (8 bit), depth (16 bit, times ``depth_scale`` = m) and camera.json (K, width, height, depth_scale,
    frame_id, ``T_base_cam`` or null).

    Raises:
        InputError: a file is missing, unreadable or does not fit the others; the message names it.
    """
    model, T_base_cam = load_camera(camera)
    rgb = _image(color)
    if rgb.mode not in ("RGB", "RGBA", "L", "P"):
        raise InputError(f"{color}: colour image has mode {rgb.mode}, expected 8-bit RGB or grey")
    raw = np.asarray(_image(depth))
    if raw.ndim != 2 or raw.dtype not in (np.uint16, np.int32):
        raise InputError(f"{depth}: depth image is {raw.dtype} with shape {raw.shape}, expected one 16-bit channel")
    for path, size in ((color, rgb.size), (depth, raw.shape[::-1])):
        if size != (model.width, model.height):
            raise InputError(
                f"{path}: image is {size[0]}x{size[1]}, but {camera} calibrates {model.width}x{model.height}; "
                "give the depth image that is aligned to the colour image"
            )
    metres = raw.astype(np.float32) * np.float32(model.depth_scale)
    metres[raw >= 65535] = 0.0
    usable = (metres >= model.near) & (metres <= model.far)
    if not usable.any():
        what = "only zeros" if not raw.any() else f"values {raw.min()}..{raw.max()}"
        raise InputError(
            f"{depth}: no usable depth ({what}, depth_scale {model.depth_scale}); expected metres between {model.near} "
            f"and {model.far} after scaling; check the file and depth_scale in {camera}"
        )
    return Capture(np.asarray(rgb.convert("RGB")), np.where(usable, metres, np.float32(0.0)), model, T_base_cam)


def load_camera(path: Path) -> tuple[Camera, NDArray[np.float64] | None]:
    """Camera and ``T_base_cam`` (or None) from a camera.json; InputError names file and key."""
    try:
        data = json.loads(_existing(path).read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid JSON: {error}") from error
    needed = ("K", "width", "height", "depth_scale")
    missing = [key for key in needed if not isinstance(data, dict) or key not in data]
    if missing:
        raise InputError(f"{path}: camera file lacks {missing}; it needs {list(needed)}")
    try:
        camera = Camera(
            K=np.asarray(data["K"], dtype=np.float64),
            width=int(data["width"]),
            height=int(data["height"]),
            depth_scale=float(data["depth_scale"]),
            frame=str(data.get("frame_id", "camera_color_optical_frame")),
            far=_FAR,
        )
        pose = data.get("T_base_cam")
        return camera, None if pose is None else se3.check(np.asarray(pose, dtype=np.float64), "T_base_cam")
    except (TypeError, ValueError, SeegraspError) as error:
        raise InputError(f"{path}: {error}") from error


def load_cloud(path: Path, frame: str = "cloud") -> Cloud:
    """Read a .pcd (any of its three encodings), .ply or .npy ((N, 3) or (N, 6) with RGB 0..255) cloud, finite points.

    Raises:
        InputError: missing, unknown or damaged file, or one without finite points.
    """
    readers = {".pcd": _read_pcd, ".ply": _read_ply, ".npy": _read_npy}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: unknown kind of cloud {path.suffix!r}; expected one of {sorted(readers)}")
    _existing(path)
    try:
        points, colors = reader(path)
    except SeegraspError:
        raise
    except Exception as error:  # the readers raise anything on damaged files
        raise InputError(f"{path}: cannot be read as {path.suffix[1:].upper()}: {error!r}") from error
    cloud = Cloud(points, colors, frame)
    finite = cloud.finite()
    if len(finite) == 0:
        raise InputError(f"{path}: none of its {len(cloud)} points is finite")
    return finite


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return path


def _image(path: Path) -> Image.Image:
    try:
        image = Image.open(_existing(path))
        image.load()
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{path}: cannot be read as an image: {error}") from error
    return image


def _read_pcd(path: Path) -> tuple[NDArray, NDArray | None]:
    _check_pcd_size(path)
    cloud = PointCloud.from_path(path)
    missing = [name for name in "xyz" if name not in cloud.fields]
    if missing:
        raise InputError(f"{path}: PCD has fields {list(cloud.fields)}, lacks {missing}")
    points = cloud.numpy(("x", "y", "z")).astype(np.float32)
    packed = next((name for name in ("rgb", "rgba") if name in cloud.fields), None)
    if packed is None:
        return points, None
    bits = np.ascontiguousarray(cloud.numpy((packed,))[:, 0]).view(np.uint32)
    return points, np.stack([(bits >> shift) & 255 for shift in (16, 8, 0)], axis=-1).astype(np.uint8)


def _check_pcd_size(path: Path) -> None:
    """InputError when a binary PCD is shorter than its header says (the reader would fill up with zeros)."""
    raw = path.read_bytes()
    start = raw.find(b"\nDATA ")
    end = raw.find(b"\n", start + 1)
    if start < 0 or end < 0:
        raise InputError(f"{path}: cannot be read as PCD: it has no DATA line")
    header = {
        words[0]: words[1:] for line in raw[:end].decode("ascii", "replace").splitlines() if (words := line.split())
    }
    kind, have = header["DATA"][0], len(raw) - end - 1
    if kind == "binary":
        counts = header.get("COUNT", ["1"] * len(header["SIZE"]))
        row = sum(int(size) * int(count) for size, count in zip(header["SIZE"], counts, strict=True))
        need = row * int(header["POINTS"][0])
    elif kind == "binary_compressed":
        need = 8 + (struct.unpack("<I", raw[end + 1 : end + 5])[0] if have >= 8 else 0)
    else:
        return
    if have < need:
        raise InputError(f"{path}: file is truncated: {have} bytes of point data, its header promises {need}")


def _read_ply(path: Path) -> tuple[NDArray, NDArray | None]:
    mesh = trimesh.load(path, process=False)
    points = np.asarray(mesh.vertices, dtype=np.float32)
    colors = getattr(mesh, "colors", None)
    if colors is None and hasattr(mesh, "visual") and mesh.visual.kind == "vertex":
        colors = mesh.visual.vertex_colors
    colors = None if colors is None or len(colors) != len(points) else np.asarray(colors, dtype=np.uint8)[:, :3]
    return points, colors


def _read_npy(path: Path) -> tuple[NDArray, NDArray | None]:
    array = np.load(path, allow_pickle=False)
    if array.ndim != 2 or array.shape[1] not in (3, 6) or array.dtype.kind not in "fiu":
        raise InputError(f"{path}: array {array.dtype} {array.shape}, expected numbers (N, 3) or (N, 6) with RGB")
    colors = array[:, 3:].clip(0, 255).astype(np.uint8) if array.shape[1] == 6 else None
    return array[:, :3].astype(np.float32), colors
