"""``seegrasp detect`` from files to files, on synthetic and real captures, and with every kind of bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grasp_core import conventions, se3
from grasp_core.grasps import Grasps
from grasp_eval import detect
from grasp_eval.synthetic import Scene, wrist_camera
from grasp_perception import table_frame

POSE = se3.look_at([0.5, -0.35, 0.55], [0.5, 0.0, 0.0])


def _scene() -> Scene:
    scene = Scene().add("box", (0.05, 0.09, 0.06), (0.45, 0.0, 0.03), (0, 0, 0.4))
    return scene.add("cylinder", (0.03, 0.03, 0.09), (0.6, 0.03, 0.045))


@pytest.fixture
def capture(tmp_path: Path) -> list[str]:
    """Arguments for a capture of a table with two objects, its camera pose known."""
    camera = wrist_camera()
    depth = np.round(_scene().depth(camera, POSE) * 1000).astype(np.uint16)
    Image.fromarray(np.full((480, 640, 3), 90, dtype=np.uint8)).save(tmp_path / "color.png")
    Image.fromarray(depth).save(tmp_path / "depth.png")
    _write_camera(tmp_path, POSE.tolist())
    files = {"rgb": "color.png", "depth": "depth.png", "camera": "camera.json"}
    return [text for key, name in files.items() for text in (f"--{key}", str(tmp_path / name))]


def _write_camera(folder: Path, pose: list | None) -> None:
    camera = wrist_camera()
    data = {"width": 640, "height": 480, "K": camera.K.tolist(), "depth_scale": 0.001, "T_base_cam": pose}
    (folder / "camera.json").write_text(json.dumps(data))


def _read(out: Path) -> tuple[dict, Grasps]:
    report = json.loads((out / "grasps.json").read_text())
    return report, Grasps.from_dict(report["grasps"])


def test_writes_json_array_and_picture(capture: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert detect.main([*capture, "--out", str(out), "--top", "5"]) == 0
    report, grasps = _read(out)
    assert report["frame"] == "base_link"
    assert len(grasps) > 10
    assert np.all(np.diff(grasps.score) <= 0)
    back = conventions.from_graspnet(np.load(out / "grasps_graspnet.npy"))
    assert np.allclose(back.t, grasps.t, atol=1e-5)
    assert np.allclose(back.R, grasps.R, atol=1e-5)
    picture = np.asarray(Image.open(out / "grasps.png"))
    assert picture.shape == (480, 640, 3)
    assert (picture != 90).any()
    for centre in ([0.45, 0.0], [0.6, 0.03]):
        assert np.linalg.norm(grasps.t[:, :2] - centre, axis=1).min() < 0.03


def test_without_a_camera_pose_the_table_becomes_the_frame(capture: list[str], tmp_path: Path) -> None:
    _write_camera(tmp_path, None)
    assert detect.main([*capture, "--out", str(tmp_path / "out")]) == 0
    report, grasps = _read(tmp_path / "out")
    assert report["frame"] == "table"
    assert "table plane" in report["frame_note"]
    in_base = grasps.transformed(POSE @ se3.inverse(np.array(report["T_frame_camera"])))
    assert np.median(in_base.R[:, 2, 2]) < -0.7
    for centre in ([0.45, 0.0], [0.6, 0.03]):
        assert np.linalg.norm(in_base.t[:, :2] - centre, axis=1).min() < 0.03


@pytest.mark.parametrize("axes", ["camera", "base"])
def test_clouds_are_taken_in_both_frames(tmp_path: Path, axes: str) -> None:
    seen = _scene().observe(wrist_camera(), POSE, voxel=0.003)
    cloud = seen.cloud.points if axes == "base" else se3.transform(se3.inverse(POSE), seen.cloud.points)
    np.save(tmp_path / "cloud.npy", cloud)
    args = ["--cloud", str(tmp_path / "cloud.npy"), "--cloud-frame", axes, "--out", str(tmp_path / "out")]
    assert detect.main(args) == 0
    _, grasps = _read(tmp_path / "out")
    assert len(grasps) > 10
    assert (tmp_path / "out" / "grasps.png").is_file()


def test_region_limits_the_result(capture: list[str], tmp_path: Path) -> None:
    region = ["--region", "0.3", "-0.1", "0.004", "0.52", "0.1", "0.2"]
    assert detect.main([*capture, *region, "--out", str(tmp_path / "out")]) == 0
    _, grasps = _read(tmp_path / "out")
    assert len(grasps) > 5
    assert grasps.t[:, 0].max() < 0.54


def test_two_million_points_are_reduced(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(0.2, 0.8, (1_900_000, 2)), np.zeros(1_900_000)])
    block = rng.uniform([0.45, -0.04, 0.0], [0.5, 0.04, 0.05], (100_000, 3))
    block[:, 2] = 0.05
    cloud = np.concatenate([floor - np.array([0.0, 0.5, 0.0]), block]).astype(np.float32)
    np.save(tmp_path / "cloud.npy", cloud)
    args = ["--cloud", str(tmp_path / "cloud.npy"), "--cloud-frame", "base", "--out", str(tmp_path / "out")]
    assert detect.main(args) == 0
    report, grasps = _read(tmp_path / "out")
    assert report["points"] < 60_000
    assert len(grasps) > 0


def _fails(args: list[str], tmp_path: Path, capsys: pytest.CaptureFixture, *words: str) -> None:
    assert detect.main([*args, "--out", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    for word in words:
        assert word in message
    assert "Traceback" not in message
    assert not (tmp_path / "out" / "grasps.json").exists()


@pytest.mark.parametrize("which", [1, 3, 5])
def test_missing_files_are_named(capture: list[str], tmp_path: Path, capsys: pytest.CaptureFixture, which: int) -> None:
    Path(capture[which]).unlink()
    _fails(capture, tmp_path, capsys, capture[which], "no such file")


@pytest.mark.parametrize("value", [0, 65535])
def test_depth_without_measurements_is_named(
    capture: list[str], tmp_path: Path, capsys: pytest.CaptureFixture, value: int
) -> None:
    Image.fromarray(np.full((480, 640), value, np.uint16)).save(tmp_path / "depth.png")
    _fails(capture, tmp_path, capsys, "depth.png", "no usable depth")


def test_images_of_another_size_are_named(capture: list[str], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    Image.fromarray(np.full((240, 320), 700, np.uint16)).save(tmp_path / "depth.png")
    _fails(capture, tmp_path, capsys, "depth.png", "320x240", "640x480")


def test_nan_and_empty_clouds_are_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "cloud.npy"
    np.save(path, np.full((100, 3), np.nan))
    _fails(["--cloud", str(path)], tmp_path, capsys, "cloud.npy", "finite")
    np.save(path, np.zeros((0, 3)))
    _fails(["--cloud", str(path)], tmp_path, capsys, "cloud.npy")


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        (["--gripper", "no_such_gripper"], "no_such_gripper"),
        (["--detector", "no_such_detector"], "no_such_detector"),
        (["--top", "0"], "--top"),
        (["--region", "1", "0", "0", "0", "1", "1"], "min < max"),
        (["--region", "5", "5", "5", "6", "6", "6"], "points"),
        (["--cloud", "also.pcd"], "either"),
    ],
)
def test_bad_options_are_named(
    capture: list[str], tmp_path: Path, capsys: pytest.CaptureFixture, extra: list[str], word: str
) -> None:
    _fails([*capture, *extra], tmp_path, capsys, word)


def test_output_that_cannot_be_written_is_named(
    capture: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    assert detect.main([*capture, "--out", str(tmp_path / "taken")]) == 1
    assert "taken" in capsys.readouterr().err


def test_a_wall_is_no_table() -> None:
    u, v = np.meshgrid(np.linspace(-0.5, 0.5, 80), np.linspace(-0.4, 0.4, 60))
    wall = np.stack([u, v, np.full_like(u, 1.0)], axis=-1).reshape(-1, 3).astype(np.float32)
    with pytest.raises(Exception, match="no table found"):
        table_frame.find(wall)


@pytest.mark.parametrize("name", ["ycb_table1", "bin_view0"])
def test_real_captures(real_data: Path, tmp_path: Path, name: str) -> None:
    folder = real_data / "real" / name
    files = {"rgb": "color.png", "depth": "depth.png", "camera": "camera.json"}
    args = [text for key, file in files.items() for text in (f"--{key}", str(folder / file))]
    assert detect.main([*args, "--out", str(tmp_path)]) == 0
    report, grasps = _read(tmp_path)
    assert report["points"] > 10_000
    assert len(grasps) >= 10
