"""Scoring a dump on a small data set in the layout of GraspNet-1Billion, written here."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from grasp_core import conventions, se3
from grasp_core.errors import InputError
from grasp_core.grasps import Grasps
from grasp_eval.bench import graspnet, graspnet_data
from test.grasp_eval.bench.bars import BAR, DOWN, bars, changed, good

BAR_ID, BALL_ID = 7, 42
BALL = 0.03  # m, radius
FRAMES = 2
OBJECT = """  <obj>
    <obj_id>{}</obj_id><obj_name>thing.ply</obj_name><obj_path>models/thing</obj_path>
    <pos_in_world>{:.9f} {:.9f} {:.9f}</pos_in_world>
    <ori_in_world>{:.9f} {:.9f} {:.9f} {:.9f}</ori_in_world>
  </obj>
"""


def write_models(root: Path) -> None:
    ball = trimesh.creation.icosphere(subdivisions=4, radius=BALL)
    for number, mesh in ((BAR_ID, trimesh.creation.box(extents=2 * np.array(BAR))), (BALL_ID, ball)):
        folder = root / "models" / f"{number:03d}"
        folder.mkdir(parents=True)
        mesh.export(folder / "textured.obj")
        vertices, faces = trimesh.remesh.subdivide_to_size(mesh.vertices, mesh.faces, max_edge=0.005)
        trimesh.Trimesh(vertices, faces, process=False).export(folder / "nontextured.ply")


def write_scene(root: Path, dump: Path, scene: int, ids: list[int], poses: np.ndarray, grasps: Grasps) -> None:
    """All of a scene, seen from FRAMES places; ``poses`` and ``grasps`` on the table."""
    folder, out = root / "scenes" / f"scene_{scene:04d}" / "realsense", dump / f"scene_{scene:04d}" / "realsense"
    (folder / "annotations").mkdir(parents=True)
    out.mkdir(parents=True)
    eyes = [[0.4 - 0.3 * f, 0.1, 0.6 + 0.01 * scene / 100] for f in range(FRAMES)]
    T_table_cams = np.stack([se3.look_at(eye, [0.0, 0.0, 0.0]) for eye in eyes])
    np.save(folder / "camera_poses.npy", se3.inverse(T_table_cams[0]) @ T_table_cams)
    np.save(folder / "cam0_wrt_table.npy", T_table_cams[0])
    for frame, T_table_cam in enumerate(T_table_cams):
        T_cam_table = se3.inverse(T_table_cam)
        text = "<scene>\n"
        for number, pose in zip(ids, T_cam_table @ poses, strict=True):
            x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
            text += OBJECT.format(number, *pose[:3, 3], w, x, y, z)
        (folder / "annotations" / f"{frame:04d}.xml").write_text(text + "</scene>\n")
        np.save(out / f"{frame:04d}.npy", conventions.to_graspnet(grasps.transformed(T_cam_table)))


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """Scene 100: five bars, 50 sound grasps. Scene 130: four bars with 40, and a ball whose only grasp is the best.

    The ball is held beside its middle, where it needs a friction of tan(asin(0.447)) = 0.5.
    """
    folder = tmp_path_factory.mktemp("graspnet")
    write_models(folder)
    _, poses = bars(5)
    write_scene(folder, folder / "dump", 100, [BAR_ID] * 5, poses, good(poses))
    ball = se3.make(np.eye(3), [0.0, 0.3, BALL])
    off = Grasps.create(DOWN[None], np.array([[0.447 * BALL, 0.3, BALL]]), [0.08], 0.02, [1.0])
    bars_only = good(poses[:4])
    grasps = Grasps.concatenate([changed(bars_only, score=bars_only.score * 0.9), off])
    write_scene(folder, folder / "dump", 130, [BAR_ID] * 4 + [BALL_ID], np.stack([*poses[:4], ball]), grasps)
    return folder


@pytest.fixture
def data(original, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(original, tmp_path / "data"))


def run(data: Path, *options: str) -> int:
    return graspnet.main(["--dump-dir", str(data / "dump"), "--dataset-root", str(data), "--workers", "1", *options])


def scored(data: Path, scenes: str = "100:131") -> dict:
    run(data, "--scenes", scenes, "--out", str(data / "out" / "ap.json"))
    return json.loads((data / "out" / "ap.json").read_text())


def low_and_high() -> tuple[float, float]:
    """AP of scene 130 below and above the friction that the ball needs, by hand."""
    low = sum(min(max(k - 1, 0), 40) / k for k in range(1, 51)) / 50
    return low, sum(min(k, 41) / k for k in range(1, 51)) / 50


def test_the_figures(original):
    for scene in (100, 130):
        score = graspnet.score_scene(original, original / "dump", "realsense", scene)
        assert score.accuracy.shape == (FRAMES, 50, 6)
        assert not score.dump_problems + score.data_problems
        if scene == 100:
            assert (score.accuracy == 1.0).all()
        else:
            low, high = low_and_high()
            expected = [low, low, high, high, high, high]
            np.testing.assert_allclose(score.accuracy.mean(axis=(0, 1)), expected, atol=1e-12)


def test_the_command_prints_and_writes_them(original, tmp_path, capsys):
    out = tmp_path / "new" / "ap.json"
    args = ["--dump-dir", str(original / "dump"), "--dataset-root", str(original), "--out", str(out)]
    assert graspnet.main([*args, "--scenes", "100", "--workers", "1"]) == 0
    printed = capsys.readouterr().out
    assert "seen             1       2  100.00  100.00  100.00" in printed
    assert graspnet.NOTE in printed
    summary = json.loads(out.read_text())
    assert summary["splits"]["seen"]["ap"] == summary["scenes"]["100"]["ap"] == 1.0
    assert set(summary["splits"]) == {"seen", "all"}


def test_workers_change_nothing(original, tmp_path):
    results = []
    for workers in ("1", "2"):
        out = tmp_path / f"{workers}.json"
        args = ["--dump-dir", str(original / "dump"), "--dataset-root", str(original), "--out", str(out)]
        graspnet.main([*args, "--scenes", "100:131", "--workers", workers])
        results.append(json.loads(out.read_text()))
    assert results[0] == results[1]
    low, high = low_and_high()
    assert results[0]["splits"]["similar"]["ap"] == pytest.approx((2 * low + 4 * high) / 6)
    assert results[0]["splits"]["all"]["ap"] == pytest.approx((1 + (2 * low + 4 * high) / 6) / 2)
    assert len(results[0]["data_problems"]) == 29  # scenes 101 to 129 are not there


@pytest.mark.parametrize("what", ["missing", "text", "shape", "rotation", "nan"])
def test_an_unusable_dump_counts_as_no_grasps_and_is_named(data, what, capsys):
    path = data / "dump" / "scene_0100" / "realsense" / "0001.npy"
    array = np.load(path)
    if what == "missing":
        path.unlink()
    elif what == "text":
        path.write_text("no array")
    else:
        array = array[:, :16] if what == "shape" else array
        array[0, 4 if what == "rotation" else 1] = 5.0 if what == "rotation" else np.nan
        np.save(path, array)
    summary = scored(data, "100")
    assert summary["splits"]["seen"]["ap"] == 0.5
    assert summary["splits"]["seen"]["frames"] == 2
    (problem,) = summary["dump_problems"]
    assert problem.startswith(str(path))
    assert str(path) in capsys.readouterr().err


def test_a_frame_without_grasps_scores_zero_without_complaint(data):
    np.save(data / "dump" / "scene_0100" / "realsense" / "0001.npy", np.zeros((0, 17)))
    summary = scored(data, "100")
    assert summary["splits"]["seen"]["ap"] == 0.5
    assert not summary["dump_problems"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("annotations/0000.xml", None),
        ("annotations/0000.xml", "<scene><obj>"),
        ("annotations/0000.xml", "<scene></scene>"),
        ("annotations/0000.xml", "<scene><obj><obj_id>7</obj_id><pos_in_world>0 0</pos_in_world></obj></scene>"),
    ],
)
def test_a_frame_that_the_data_set_lacks_is_left_out_and_named(data, file, content):
    path = data / "scenes" / "scene_0130" / "realsense" / file
    path.unlink() if content is None else path.write_text(content)
    summary = scored(data, "130")
    assert summary["splits"]["similar"]["frames"] == 1
    assert any(problem.startswith(str(path)) for problem in summary["data_problems"])


@pytest.mark.parametrize("file", ["camera_poses.npy", "cam0_wrt_table.npy"])
@pytest.mark.parametrize("array", [None, np.zeros((2, 4, 4)), np.zeros((4, 4)), np.zeros(3)])
def test_a_scene_without_camera_poses_is_left_out(data, file, array):
    path = data / "scenes" / "scene_0130" / "realsense" / file
    path.unlink()
    if array is not None:
        np.save(path, array)
    summary = scored(data)
    assert set(summary["scenes"]) == {"100"}
    assert any("scene_0130" in problem for problem in summary["data_problems"])


def test_a_missing_model_is_named_once_and_counted(data):
    shutil.rmtree(data / "models" / f"{BALL_ID:03d}")
    summary = scored(data)
    assert set(summary["scenes"]) == {"100"}
    assert (
        summary["data_problems"][f"{data / 'models' / '042'}: neither nontextured.ply nor textured.obj is there"] == 2
    )


@pytest.mark.parametrize("gone", ["nontextured.ply", "textured.obj"])
def test_one_of_the_two_model_files_is_enough(data, gone):
    (data / "models" / f"{BAR_ID:03d}" / gone).unlink()
    assert scored(data, "100")["splits"]["seen"]["ap"] == 1.0


def test_a_model_inside_out_is_turned(data):
    path = data / "models" / f"{BAR_ID:03d}" / "textured.obj"
    mesh = trimesh.load_mesh(path, process=False)
    mesh.invert()
    mesh.export(path)
    assert scored(data, "100")["splits"]["seen"]["ap"] == 1.0


@pytest.mark.parametrize(
    ("content", "message"),
    [("nonsense", "mesh|triangles"), ("v 0 0 0\nv 400 0 0\nv 0 400 0\nf 1 2 3\n", "in metres")],
)
def test_models_that_are_none(tmp_path, content, message):
    folder = tmp_path / "models" / "003"
    folder.mkdir(parents=True)
    (folder / "textured.obj").write_text(content)
    with pytest.raises(InputError, match=message):
        graspnet_data.read_model(tmp_path, 3)


def test_nothing_scored_is_an_error(data, capsys):
    shutil.rmtree(data / "models" / f"{BAR_ID:03d}")
    assert run(data, "--scenes", "100") == 1
    assert "no frame could be scored" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scenes", "5:5"], "--scenes 5:5"),
        (["--scenes", "a"], "--scenes a"),
        (["--split", "novel"], "none of the scenes"),
        (["--camera", "kinect"], "none of the scenes"),
        (["--dump-dir", "/nowhere"], "no such folder"),
    ],
)
def test_wrong_arguments_are_named(original, options, message, capsys):
    assert run(original, *options) == 1
    assert message in capsys.readouterr().err


def test_a_folder_that_is_no_data_set(original, tmp_path, capsys):
    assert graspnet.main(["--dump-dir", str(original / "dump"), "--dataset-root", str(tmp_path)]) == 1
    assert "GraspNet-1Billion" in capsys.readouterr().err
