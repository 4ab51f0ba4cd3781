"""The latency benchmark: its arithmetic, its processes, detectors that fail."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_core.errors import InputError
from grasp_eval.bench import latency, latency_page, latency_scenes
from grasp_eval.bench.latency_probe import peak_memory_mb
from grasp_eval.synthetic import Scene

PLUGIN = """
import os, time
import numpy as np
from grasp_core.grasps import Grasps

class Fake:
    def __init__(self, act=lambda n: None):
        self.act, self.timings = act, {}

    def detect(self, observation, gripper, region=None):
        print("noise on standard output")
        n = len(observation.cloud)
        self.act(n)
        self.timings = {"look": 1.0, "think": 2.0}
        count = n // 100
        return Grasps.create(np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3)), np.full(count, 0.05), score=0.5)

def good():
    return Fake()

def dies():
    return Fake(lambda n: os.kill(os.getpid(), 9))

def leaves():
    return Fake(lambda n: os._exit(0))

def hangs():
    return Fake(lambda n: time.sleep(60))

def raises():
    raise RuntimeError("no weights")

def chokes():
    return Fake(lambda n: 1 / 0 if n > 300 else None)
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "latency_fakes.py").write_text(PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    scene = Scene().add("box", (0.05, 0.05, 0.05), (0.5, 0.0, 0.025))
    eye = latency_scenes.TABLE_EYE

    def few(points, data=None):
        for count in points:
            yield latency_scenes._case("box", "points", scene, 1, eye, latency_scenes.TABLE_REGION, count)
        yield latency_scenes._case("box", "objects", scene, 1, eye, latency_scenes.TABLE_REGION, 400)

    monkeypatch.setattr(latency, "cases", few)
    monkeypatch.setattr(latency, "COLD_STARTS", 1)
    return "latency_fakes"


def run(out, *options):
    code = latency.main(["--out", str(out), "--runs", "2", *options])
    return code, json.loads((out / "latency.json").read_text())


def test_one_detector_is_measured_from_cold_start_to_memory(plugin, tmp_path, capsys):
    code, result = run(tmp_path, "--points", "200,800", "--detector", f"{plugin}:good")
    assert code == 0
    (found,) = result["detectors"]
    assert list(found["cold_start_ms"]) == ["interpreter", "import", "make", "first detect"]
    memory = list(found["memory_mb"].values())
    assert memory[:-1] == sorted(memory[:-1]), "a peak never falls"
    assert memory[-1] > 0.9 * memory[-2], "of another process, which did more"
    assert 3 < memory[0] < 30, "of the interpreter alone, without numpy"
    assert memory[1] > memory[0] + 10
    assert [(r["points"], r["grasps"]) for r in found["cases"]] == [(200, 2), (800, 8), (400, 4)]
    assert found["cases"][0]["stages_ms"]["think"] == {"min": 2.0, "median": 2.0, "p95": 2.0}
    assert found["growth"]["points"]["n"] == 2
    assert found["growth"]["grasps"] is None, "one cloud makes no slope"
    text = capsys.readouterr().out
    assert "noise" not in text
    assert "grows with points" in text
    page = (tmp_path / "latency.html").read_text()
    assert page.count("<polyline") == 2
    assert f"{plugin}:good" in page


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("dies", "its process was ended by SIGKILL"),
        ("leaves", "ended with exit code 0 before it was done"),
        ("hangs", "no end after 6 s"),
        ("raises", "RuntimeError: no weights"),
    ],
)
def test_a_detector_that_fails_is_named_and_the_others_go_on(name, told, plugin, tmp_path, capsys):
    detectors = f"{plugin}:{name},{plugin}:good"
    code, result = run(tmp_path, "--points", "200", "--detector", detectors, "--timeout", "6")
    assert code == 1
    bad, good = result["detectors"]
    assert told in bad["error"]
    assert not good["error"]
    assert len(good["cases"]) == 2
    assert f"{plugin}:{name}" in (tmp_path / "latency.html").read_text()
    assert f"FAILED: {bad['error']}" in capsys.readouterr().out


def test_what_was_measured_before_a_failure_is_kept(plugin, tmp_path):
    monkey = latency.Job(f"{plugin}:chokes", None, "robotiq_2f85", 1, 30.0)
    clouds = list(latency.cases([200, 500]))[:2] + list(latency.cases([100]))[:1]
    (found,) = latency.measure_all([monkey], clouds)
    assert [row["points"] for row in found["cases"]] == [200, 500, 100]
    assert [bool(row["error"]) for row in found["cases"]] == [False, True, False]
    assert "box, 500 points: DETECTOR_FAILED" in found["error"]
    assert "division by zero" in found["error"]


@given(
    exponent=st.floats(-2, 3),
    factor=st.floats(0.01, 100),
    sizes=st.lists(st.integers(10, 10**6), min_size=2, max_size=6, unique=True),
)
def test_the_exponent_of_a_power_law_is_found(exponent, factor, sizes):
    rows = [{"series": "points", "error": "", "points": n, "total_ms": {"median": factor * n**exponent}} for n in sizes]
    other = [{"series": "objects", "error": "", "points": 7, "total_ms": {"median": 1e9}}]
    failed = [{"series": "points", "error": "no", "points": 9}]
    fit = latency.growth(rows + other + failed, "points", "points")
    assert fit["n"] == len(sizes)
    if max(sizes) > 1.1 * min(sizes):
        assert fit["exponent"] == pytest.approx(exponent, abs=2e-3)


def test_summary_is_of_the_values():
    assert latency.summary([1.0, 2.0, 3.0, 4.0, 100.0]) == {"min": 1.0, "median": 3.0, "p95": pytest.approx(80.8)}


def test_clouds_have_as_many_points_as_asked_for_and_stay_the_same():
    first = next(latency_scenes.cases([3000]))
    assert first.points.shape == (3000, 3)
    assert first.objects == 35
    scene, T = Scene().add("box", (0.05, 0.05, 0.05), (0.5, 0.0, 0.025)), first.T_base_cam
    a, b = (latency_scenes.seen_points(scene, T, 50_000) for _ in range(2))
    assert len(a) == 50_000, "in finer voxels"
    assert np.array_equal(a, b)
    with pytest.raises(InputError, match="--points 900000"):
        latency_scenes.seen_points(scene, T, 900_000)


def test_memory_of_this_process_is_believable():
    assert 20 < peak_memory_mb() < 20_000


def test_a_chart_of_one_point_and_of_none():
    assert latency_page.chart([]) is None
    row = {"series": "points", "error": "", "points": 100, "total_ms": {"median": 5.0, "p95": 6.0}}
    drawn = latency_page.chart([{"detector": "a", "python": None, "cases": [row]}])
    assert drawn["lines"][0]["median"][0][1] > drawn["lines"][0]["p95"][0][1], "slower is higher up"


@pytest.mark.parametrize("option", [["--points", "0"], ["--points", "many"], ["--runs", "0"]])
def test_bad_options_are_told(option, capsys):
    with pytest.raises(SystemExit):
        latency.main(option)
    assert "expected" in capsys.readouterr().err


def test_an_unknown_gripper_is_told(tmp_path, capsys):
    assert latency.main(["--gripper", "nosuch", "--out", str(tmp_path)]) == 1
    assert "nosuch" in capsys.readouterr().err
