"""Reading captures: every format gives the points that were written, every fault a message that names the file."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from pypcd4 import Encoding, PointCloud

from grasp_core.errors import InputError
from grasp_perception import cloud_io

POINTS = np.random.default_rng(1).uniform(-1, 1, (200, 3)).astype(np.float32)
COLORS = np.random.default_rng(2).integers(0, 256, (200, 3)).astype(np.uint8)


@pytest.mark.parametrize("encoding", list(Encoding))
def test_pcd_with_colours(tmp_path: Path, encoding: Encoding) -> None:
    path = tmp_path / "cloud.pcd"
    packed = PointCloud.encode_rgb(COLORS)
    PointCloud.from_xyzrgb_points(np.column_stack([POINTS, packed])).save(path, encoding=encoding)
    cloud = cloud_io.load_cloud(path, "table")
    assert cloud.frame == "table"
    assert np.allclose(cloud.points, POINTS, atol=1e-5)
    if encoding != Encoding.ASCII:  # the writer rounds packed colours away in text
        assert np.array_equal(cloud.colors, COLORS)


def test_pcd_drops_points_that_were_not_measured(tmp_path: Path) -> None:
    points = POINTS.copy()
    points[::2] = np.nan
    PointCloud.from_xyz_points(points).save(tmp_path / "cloud.pcd")
    assert np.array_equal(cloud_io.load_cloud(tmp_path / "cloud.pcd").points, POINTS[1::2])


def test_ply_with_and_without_colours(tmp_path: Path) -> None:
    path = tmp_path / "cloud.ply"
    trimesh.PointCloud(POINTS, COLORS).export(path)
    cloud = cloud_io.load_cloud(path)
    assert np.allclose(cloud.points, POINTS)
    assert np.array_equal(cloud.colors, COLORS)
    trimesh.PointCloud(POINTS).export(path)
    assert np.allclose(cloud_io.load_cloud(path).points, POINTS)


def test_npy_with_and_without_colours(tmp_path: Path) -> None:
    path = tmp_path / "cloud.npy"
    np.save(path, np.column_stack([POINTS, COLORS]))
    cloud = cloud_io.load_cloud(path)
    assert np.array_equal(cloud.points, POINTS)
    assert np.array_equal(cloud.colors, COLORS)
    np.save(path, POINTS)
    assert cloud_io.load_cloud(path).colors is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cloud.xyz", b"1 2 3", "unknown kind"),
        ("cloud.pcd", b"nothing of the sort", "cannot be read as PCD"),
        ("cloud.ply", b"ply\nformat ascii 1.0\nelement vertex 9\n", "cannot be read as PLY"),
        ("cloud.npy", b"\x93NUMPY", "cannot be read as NPY"),
    ],
)
def test_damaged_clouds_name_the_file(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        cloud_io.load_cloud(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("encoding", [Encoding.BINARY, Encoding.BINARY_COMPRESSED])
def test_truncated_pcd_names_the_file(tmp_path: Path, encoding: Encoding) -> None:
    path = tmp_path / "cloud.pcd"
    PointCloud.from_xyz_points(POINTS).save(path, encoding=encoding)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match=r"cloud\.pcd.*truncated"):
        cloud_io.load_cloud(path)


@pytest.mark.parametrize("array", [np.zeros((3, 3, 3)), np.zeros((5, 4)), np.array([["a", "b", "c"]])])
def test_npy_of_another_shape_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "cloud.npy", array)
    with pytest.raises(InputError, match="expected numbers"):
        cloud_io.load_cloud(tmp_path / "cloud.npy")


def test_cloud_without_finite_points_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "cloud.npy", np.full((10, 3), np.nan))
    with pytest.raises(InputError, match="none of its 10 points"):
        cloud_io.load_cloud(tmp_path / "cloud.npy")
    with pytest.raises(InputError, match="no such file"):
        cloud_io.load_cloud(tmp_path / "missing.npy")


def _capture(folder: Path, depth: np.ndarray | None = None, **changes: object) -> tuple[Path, Path, Path]:
    depth = np.full((48, 64), 700, dtype=np.uint16) if depth is None else depth
    camera = {
        "width": 64,
        "height": 48,
        "K": [[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]],
        "depth_scale": 0.001,
        "frame_id": "camera_color_optical_frame",
        "T_base_cam": np.eye(4).tolist(),
    }
    camera.update(changes)
    paths = folder / "color.png", folder / "depth.png", folder / "camera.json"
    Image.fromarray(np.zeros((48, 64, 3), dtype=np.uint8)).save(paths[0])
    Image.fromarray(depth).save(paths[1])
    paths[2].write_text(json.dumps({k: v for k, v in camera.items() if v != "absent"}))
    return paths


def test_capture_is_read_in_metres(tmp_path: Path) -> None:
    depth = np.full((48, 64), 700, dtype=np.uint16)
    depth[0] = 0
    depth[1] = 65535
    capture = cloud_io.load_capture(*_capture(tmp_path, depth))
    assert capture.color.shape == (48, 64, 3)
    assert np.allclose(capture.depth[2:], 0.7)
    assert not capture.depth[:2].any()
    assert capture.camera.frame == "camera_color_optical_frame"
    assert np.array_equal(capture.T_base_cam, np.eye(4))
    assert cloud_io.load_capture(*_capture(tmp_path, T_base_cam=None)).T_base_cam is None


@pytest.mark.parametrize(
    ("depth", "changes", "message"),
    [
        (np.zeros((48, 64), np.uint16), {}, "only zeros"),
        (np.full((48, 64), 65535, np.uint16), {}, "no usable depth"),
        (np.full((48, 64), 7, np.uint16), {}, "check the file and depth_scale"),
        (np.full((24, 32), 700, np.uint16), {}, "32x24"),
        (np.zeros((48, 64), np.uint8), {}, "expected one 16-bit channel"),
        (np.zeros((48, 64, 3), np.uint8), {}, "expected one 16-bit channel"),
        (None, {"K": "absent"}, r"lacks \['K'\]"),
        (None, {"K": [[1, 2], [3, 4]]}, "3x3"),
        (None, {"K": [[0.0, 0, 0], [0, 0, 0], [0, 0, 1]]}, "focal"),
        (None, {"K": "focal"}, r"camera\.json"),
        (None, {"depth_scale": 0.0}, "depth_scale"),
        (None, {"T_base_cam": (2 * np.eye(4)).tolist()}, "T_base_cam"),
        (None, {"T_base_cam": [1, 2, 3]}, "T_base_cam"),
    ],
)
def test_faulty_captures_name_what_is_wrong(
    tmp_path: Path, depth: np.ndarray | None, changes: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        cloud_io.load_capture(*_capture(tmp_path, depth, **changes))
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_missing_and_damaged_files_are_named(tmp_path: Path, which: int) -> None:
    paths = _capture(tmp_path)
    paths[which].write_bytes(b"garbage")
    with pytest.raises(InputError, match=paths[which].name):
        cloud_io.load_capture(*paths)
    paths[which].unlink()
    with pytest.raises(InputError, match="no such file"):
        cloud_io.load_capture(*paths)


def test_real_kinect_cloud(real_data: Path) -> None:
    cloud = cloud_io.load_cloud(real_data / "clouds" / "mosd_test5.pcd")
    assert len(cloud) > 150_000
    assert cloud.colors is not None
    assert 0.5 < cloud.points[:, 2].min() < cloud.points[:, 2].max() < 1.3
