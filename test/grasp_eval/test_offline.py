"""How offline replay judges grasps: found again, coverage of the surface, AP on known objects."""

import csv
import json

import numpy as np
import pytest
import trimesh

from grasp_core import se3
from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.errors import ConfigError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_eval import replay
from grasp_eval.offline_frames import COLUMNS, Frame, Judge, metrics
from grasp_eval.offline_objects import KnownObjects
from grasp_eval.offline_place import Placement
from test.grasp_eval.bags import FRAME, T_BASE_CAM, make_bag

POSE = [0.5, 0.0, 0.04, 0.0, 0.0, 0.0]  # of the box in the bag of test.grasp_eval.bags


def box_mesh():
    return trimesh.creation.box((0.03, 0.10, 0.08))


def objects_file(folder, text, mesh=None):
    (mesh or box_mesh()).export(folder / "box.stl")
    path = folder / "objects.yaml"
    path.write_text(f"objects:\n  - {text}\n")
    return path


def replayed(tmp_path, *options, code=0, count=2):
    path, out = make_bag(tmp_path, "mcap", count=count), tmp_path / "out"
    assert replay.main([str(path), "--offline", "--out", str(out), *map(str, options)]) == code
    with (out / "frames.csv").open() as file:
        rows = list(csv.DictReader(file))
    return rows, json.loads((out / "summary.json").read_text()), (out / "report.html").read_text()


def test_a_still_scene_gives_the_same_grasps_again(tmp_path):
    rows, summary, page = replayed(tmp_path, count=3)
    assert [r["stable_all"] for r in rows] == ["", "1.0", "1.0"]
    assert [r["displacement_mm"] for r in rows] == ["", "0.0", "0.0"]
    assert all(0.1 < float(r["covered"]) <= 1.0 for r in rows)
    assert all(r["ap"] == "" for r in rows)
    found = summary["metrics"]
    assert found["grasps"]["n"] == 3
    assert found["grasps"]["min"] == found["grasps"]["max"] == int(rows[0]["grasps"])
    assert found["stable_top"] == {"n": 2, "min": 1.0, "median": 1.0, "mean": 1.0, "max": 1.0}
    assert "ap" not in found
    assert "found again among the best 10: median" in page
    assert "AP by friction" not in page


def test_ap_of_a_known_object_by_pose_and_by_frame(tmp_path):
    (tmp_path / "pose").mkdir()
    options = ["--objects", objects_file(tmp_path / "pose", f"{{mesh: box.stl, pose: {POSE}}}")]
    rows, summary, page = replayed(tmp_path / "pose", *options)
    by_pose = [float(r["ap"]) for r in rows]
    assert by_pose[0] > 0.05, "ten grasps at most of one object: 10 of 50 can count"
    assert summary["metrics"]["ap"]["mean"] == pytest.approx(by_pose[0], abs=1e-4)
    per_friction = list(summary["metrics"]["ap_mu"].values())
    assert per_friction == sorted(per_friction), "more friction holds more"
    assert "AP by friction" in page

    (tmp_path / "frame").mkdir()
    in_camera = box_mesh()
    in_camera.apply_transform(se3.inverse(T_BASE_CAM) @ se3.make(np.eye(3), POSE[:3]))
    path = objects_file(tmp_path / "frame", f"{{mesh: box.stl, frame: {FRAME}}}", in_camera)
    rows, _, _ = replayed(tmp_path / "frame", "--objects", path)
    assert [float(r["ap"]) for r in rows] == pytest.approx(by_pose, abs=0.03)


def test_an_object_that_is_elsewhere_has_no_ap(tmp_path):
    path = objects_file(tmp_path, "{mesh: box.stl, pose: [0.9, 0.3, 0.04, 0, 0, 0]}")
    rows, _, _ = replayed(tmp_path, "--objects", path)
    assert [float(r["ap"]) for r in rows] == [0.0, 0.0]


def test_millimetres_need_a_scale(tmp_path, capsys):
    large = box_mesh()
    large.apply_scale(1000.0)
    (tmp_path / "a").mkdir()
    path = objects_file(tmp_path / "a", f"{{mesh: box.stl, scale: 0.001, pose: {POSE}}}", large)
    rows, _, _ = replayed(tmp_path / "a", "--objects", path)
    assert float(rows[0]["ap"]) > 0.05
    path = objects_file(tmp_path, f"{{mesh: box.stl, pose: {POSE}}}", large)
    out = tmp_path / "o"
    assert replay.main([str(tmp_path / "a/bag"), "--offline", "--out", str(out), "--objects", str(path)]) == 1
    assert "box.stl" in capsys.readouterr().err
    assert not out.exists()


def test_a_frame_that_the_bag_does_not_have_is_a_problem_once(tmp_path):
    path = objects_file(tmp_path, "{mesh: box.stl, frame: mug}")
    rows, summary, _ = replayed(tmp_path, "--objects", path)
    assert [r["ap"] for r in rows] == ["", ""]
    assert [r["error"] for r in rows] == ["", ""]
    (problem,) = summary["problems"]
    assert "no AP" in problem
    assert "mug" in problem


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{mesh: box.stl}", "either frame"),
        ("{mesh: box.stl, frame: a, pose: [0, 0, 0, 0, 0, 0]}", "either frame"),
        ("{mesh: box.stl, pose: [0, 0, 0]}", "objects.0.pose"),
        ("{mesh: box.stl, frame: a, scale: 0}", "objects.0.scale"),
        ("{mesh: box.stl, frame: a, colour: red}", "objects.0.colour"),
    ],
)
def test_bad_files_of_objects_are_told_by_key(text, told, tmp_path):
    with pytest.raises(ConfigError, match=told) as error:
        KnownObjects(objects_file(tmp_path, text), None)
    assert "objects.yaml" in str(error.value)


class Place(Placement):
    def __init__(self) -> None:
        super().__init__(None, "base_link", None)
        self.limit(Box([-0.5, -0.5, 0.0], [0.5, 0.5, 0.3]))


def scene():
    """A table top and a vertical line of points at (0.1, 0), 0 to 10 cm high."""
    x, y = np.meshgrid(np.arange(-0.4, 0.4, 0.01), np.arange(-0.4, 0.4, 0.01))
    table = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    line = np.stack([np.full(91, 0.1), np.zeros(91), np.linspace(0.0101, 0.1, 91)], axis=1)
    return Cloud(np.concatenate([table, line]).astype(np.float32))


def one_grasp(x, z):
    down = se3.rpy_matrix(np.pi, 0.0, 0.0)
    return Grasps.create(down[None], np.array([[x, 0.0, z]]), np.array([0.05]), depth=0.0, score=0.9)


@pytest.fixture
def judge():
    return Judge(None, Gripper.load("robotiq_2f85"))


def test_coverage_is_of_object_points_near_a_grasp_not_of_the_table(judge):
    frame = Frame(0, 0)
    judge(frame, scene(), one_grasp(0.1, 0.1), Place(), np.eye(4))
    assert frame.covered == pytest.approx(0.22, abs=0.02), "the upper 2 of 9 cm"
    judge(frame, scene(), one_grasp(-0.3, 0.1), Place(), np.eye(4))
    assert frame.covered == 0.0


def test_frames_are_compared_with_the_one_before_in_the_same_frame_of_reference(judge):
    first, second, third, fourth = (Frame(i, i) for i in range(4))
    place = Place()
    judge(first, scene(), one_grasp(0.1, 0.1), place, np.eye(4))
    judge(second, scene(), one_grasp(0.104, 0.1), place, np.eye(4))
    place.tables += 1
    judge(third, scene(), one_grasp(0.104, 0.1), place, np.eye(4))
    judge(fourth, scene(), Grasps.empty(), place, np.eye(4))
    assert first.stable_all is None
    assert (second.stable_all, second.displacement_mm) == (1.0, pytest.approx(4.0, abs=1e-3))
    assert third.stable_all is None, "the table was found anew: nothing to compare in"
    assert (fourth.stable_all, fourth.displacement_mm) == (0.0, None)


def test_stability_of_a_standing_camera_is_told_apart(judge):
    place, frames = Place(), [Frame(i, i) for i in range(4)]
    turned = se3.make(se3.rpy_matrix(0.0, 0.0, 0.1), [0.3, 0.0, 0.0])
    cameras = [np.eye(4), np.eye(4), se3.make(np.eye(3), [0.3, 0.0, 0.0]), turned]
    for frame, x, camera in zip(frames, (0.1, 0.102, 0.3, 0.3), cameras, strict=True):
        judge(frame, scene(), one_grasp(x, 0.1), place, camera)
    assert [f.still for f in frames] == [False, True, False, False]
    assert frames[2].camera_moved_mm == pytest.approx(300.0)
    assert frames[3].camera_turned_deg == pytest.approx(np.rad2deg(0.1))
    found = metrics(frames)
    assert found["stable_all"]["n"] == 3
    assert found["stable_all_still"] == {"n": 1, "min": 1.0, "median": 1.0, "mean": 1.0, "max": 1.0}
    assert found["displacement_mm_still"]["median"] == pytest.approx(2.0, abs=1e-3)


def test_metrics_leave_out_failed_frames_and_what_nobody_has():
    frames = [Frame(0, 0, grasps=4, covered=0.2), Frame(1, 1, grasps=8, covered=0.4), Frame(2, 2, error="NO_TF: x")]
    found = metrics(frames)
    assert set(found) == {"grasps", "covered"}
    assert found["grasps"] == {"n": 2, "min": 4.0, "median": 6.0, "mean": 6.0, "max": 8.0}
    assert metrics([]) == {}


def test_every_column_has_a_name_and_the_other_way_round():
    frame = Frame(0, 0, timings={"convert": 1.0, "cloud": 2.0, "detect": 3.0})
    assert set(frame.row()) == set(COLUMNS)
