"""Detectors in a process of their own, and hostile ones on both sides of the border."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from grasp_core.camera import Camera
from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.errors import ConfigError, DetectorError, ErrorCode, InputError
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_perception.detectors import Detector, make_detector, wire
from grasp_perception.detectors.checked import Checked
from grasp_perception.detectors.child import environment
from grasp_perception.detectors.remote import RemoteDetector
from test.grasp_perception import hostile_detectors
from test.grasp_perception.processes import wait_until

PLUGIN = "test.grasp_perception.hostile_detectors:factory"
SURROUNDINGS = "test.grasp_perception.hostile_detectors:surroundings"
GRIPPER = Gripper.load("robotiq_2f85")
RNG = np.random.default_rng(0)
POINTS = RNG.uniform(0.0, 0.3, (40, 3)).astype(np.float32)
SEEN = Observation(Cloud(POINTS))
IN_PROCESS, REMOTE = None, sys.executable


@pytest.fixture
def make() -> Iterator[Callable[..., Checked]]:
    """make_detector of the hostile plugin; what it made is closed at the end."""
    made = []

    def one(mode: str, python: str | None = REMOTE, timeout: float | None = 20.0, **params: object) -> Checked:
        made.append(make_detector(PLUGIN, python, timeout, mode=mode, **params))
        return made[-1]

    yield one
    for detector in made:
        detector.close()


@pytest.fixture(scope="module")
def remote() -> Iterator[Callable[..., Checked]]:
    """The hostile plugin, each time made anew in one and the same process."""
    detector = make_detector(PLUGIN, REMOTE, 20.0)
    pid = detector.inner.pid

    def again(mode: str, **params: object) -> Checked:
        detector.inner._ask(wire.Message({"kind": "make", "params": {"mode": mode, **params}}, {}), 20.0)
        return detector

    yield again
    assert detector.inner.pid == pid  # it survived everything
    detector.close()


# What goes over the border.


def test_everything_arrives_and_comes_back(make, remote) -> None:
    camera = Camera(np.array([[600.0, 0, 31.5], [0, 600.0, 23.5], [0, 0, 1]]), 64, 48, frame="eye")
    depth = RNG.uniform(0.3, 1.0, (48, 64)).astype(np.float32)
    color = RNG.integers(0, 255, (48, 64, 3), dtype=np.uint8)
    cloud = Cloud(POINTS, RNG.integers(0, 255, POINTS.shape, dtype=np.uint8), "table", 7)
    T = np.eye(4)
    T[0, 3] = 0.25
    seen = Observation(cloud, depth, color, camera, T, 12)
    region = Box([0, 0, 0], [1, 2, 3])
    results = []
    for detector in (make("echo", IN_PROCESS), remote("echo")):
        assert isinstance(detector, Detector)
        results.append((detector.detect(seen, GRIPPER, region), detector.timings))
    (here, near), (there, far) = results
    assert far.pop("transfer") > 0.0
    assert near.pop("pid") == os.getpid() != far.pop("pid")
    assert near == far
    assert here.to_dict() == there.to_dict()
    assert there.detector == "table"
    assert (far["volume"], far["stamps"], far["view"]) == (6.0, 5.0, 0.25)


def test_a_bare_cloud_is_enough_and_may_be_empty(remote) -> None:
    detector = remote("good")
    assert len(detector.detect(SEEN, GRIPPER)) == len(POINTS)
    assert len(detector.detect(Observation(Cloud(np.zeros((0, 3)))), GRIPPER)) == 0


# Results that are wrong, here and there.

_WRONG = {
    "exit": "SystemExit",
    "raise": "IndexError",
    "shapes": "IndexError",
    "constructor": "malformed grasps: grasps: t has shape",
    "exchanged": "R has shape",
    "objects": "detector",
    "nan": "t has NaN",
    "infinite": "depth has NaN or infinite",
    "reflections": "not a rotation",
    "sheared": "not a rotation",
    "wide": "width must be in",
    "negative": "width must be in",
    "score": "score must be in",
    "nothing": "returned NoneType",
    "list": "returned list",
    "lots": "300000 grasps, at most 200000",
}


@pytest.mark.parametrize("mode", _WRONG)
def test_what_is_wrong_is_a_detector_error_in_this_process(mode: str, make) -> None:
    detector = make(mode, IN_PROCESS)
    with pytest.raises(DetectorError, match=_WRONG[mode]) as error:
        detector.detect(SEEN, GRIPPER)
    assert PLUGIN in str(error.value)
    assert error.value.code == ErrorCode.DETECTOR_FAILED


@pytest.mark.parametrize("mode", _WRONG)
def test_what_is_wrong_is_the_same_error_from_another_process(mode: str, remote) -> None:
    with pytest.raises(DetectorError, match=_WRONG[mode]) as error:
        remote(mode).detect(SEEN, GRIPPER)
    assert PLUGIN in str(error.value)


def test_unsorted_grasps_are_sorted_and_no_grasps_are_a_result(make, remote) -> None:
    for detector in (make("unsorted", IN_PROCESS), remote("unsorted")):
        assert np.all(np.diff(detector.detect(SEEN, GRIPPER).score) <= 0)
    for detector in (make("empty", IN_PROCESS), remote("empty")):
        assert len(detector.detect(SEEN, GRIPPER)) == 0


@pytest.mark.parametrize("timings", [[1, 2], {"a": "b"}, {"a": float("nan")}])
def test_timings_that_are_none(timings, make) -> None:
    with pytest.raises(DetectorError, match="timings must be a dict"):
        make("good", IN_PROCESS, timings=timings).detect(SEEN, GRIPPER)


def test_errors_of_the_stack_keep_class_and_code(remote) -> None:
    with pytest.raises(InputError, match="too few points") as error:
        remote("empty_cloud").detect(SEEN, GRIPPER)
    assert error.value.code == ErrorCode.EMPTY_CLOUD


def test_what_it_prints_disturbs_nothing(remote, capfd) -> None:
    assert len(remote("prints").detect(SEEN, GRIPPER)) == len(POINTS)
    said = []

    def heard() -> bool:
        said.append(capfd.readouterr())
        return all(words in "".join(s.err for s in said) for words in ("to stdout", "descriptor 1", "from a child"))

    wait_until(heard)
    assert not any(s.out for s in said)


def test_reset_reaches_it_also_after_a_restart(make) -> None:
    detector = make("seed")
    detector.reset(7)
    assert detector.detect(SEEN, GRIPPER).track_id[0] == 7
    os.kill(detector.inner.pid, signal.SIGKILL)
    with pytest.raises(DetectorError):
        detector.detect(SEEN, GRIPPER)
    assert detector.detect(SEEN, GRIPPER).track_id[0] == 7


def test_reset_that_raises_or_is_not_there(make, remote) -> None:
    for detector in (make("reset", IN_PROCESS), remote("reset")):
        with pytest.raises(DetectorError, match=r"reset\(5\).*ValueError: no seed"):
            detector.reset(5)
    for detector in (make("echo", IN_PROCESS), remote("echo")):
        detector.reset(5)


# Starting.


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("no.such.module:factory", {}, "cannot be loaded: ModuleNotFoundError"),
        (PLUGIN, {"where": "factory", "mode": "raise"}, "factory of detector .* IndexError"),
        (PLUGIN, {"where": "factory", "mode": "leave"}, "exit code 3"),
        (PLUGIN, {"where": "factory", "mode": "nothing"}, "NoneType without a detect"),
        (PLUGIN, {"speed": 3}, "cannot be made with parameters"),
    ],
)
def test_what_cannot_start_says_why(name: str, params: dict, words: str) -> None:
    with pytest.raises(DetectorError, match=words) as error:
        make_detector(name, REMOTE, **params)
    assert name in str(error.value)


def test_a_module_that_cannot_be_imported_shows_where(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "lacks_something.py").write_text("import numpy\nimport no_such_network\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DetectorError, match=r"cannot be loaded.*no_such_network(?s:.*)lacks_something.py\", line 2"):
        make_detector("lacks_something:factory", REMOTE)


@pytest.mark.parametrize("mode", ["raise", "exit"])
def test_a_factory_that_raises_in_this_process(mode: str, make) -> None:
    with pytest.raises(DetectorError, match="factory of detector"):
        make(mode, IN_PROCESS, where="factory")


@pytest.mark.parametrize(
    ("python", "words"),
    [
        ("/no/such/python", "no executable /no/such/python"),
        ("no-such-python", "no executable no-such-python"),
        ("/usr/bin", "is a folder: give the interpreter in it"),
        ("/bin/false", "exit code 1(?s:.*)needs numpy"),
    ],
)
def test_interpreters_that_are_none(python: str, words: str) -> None:
    with pytest.raises(DetectorError, match=words) as error:
        make_detector(PLUGIN, python)
    assert PLUGIN in str(error.value)


def test_an_interpreter_that_talks(tmp_path: Path) -> None:
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\necho "Activating the environment"\nexec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    with pytest.raises(DetectorError, match=r"something else was written there.*Activating"):
        make_detector(PLUGIN, str(wrapper))


def test_slow_and_endless_starts() -> None:
    slow = RemoteDetector(PLUGIN, REMOTE, {"sleep": 0.5}, timeout=0.4)  # a start has a limit of its own
    assert len(slow.detect(SEEN, GRIPPER)) == len(POINTS)
    slow.close()
    with pytest.raises(DetectorError, match="did not answer within 1 s"):
        RemoteDetector(PLUGIN, REMOTE, {"sleep": 1000.0}, start_timeout=1.0)


def test_params_cross_the_border_and_neither_torch_nor_ros_is_loaded_there() -> None:
    params = {"a": np.array([1.5, 2.0]), "b": np.float32(0.5), "c": (1, "x"), "d": None}
    with pytest.raises(
        DetectorError, match=r"loaded=\[\] params=\{'a': \[1.5, 2.0\], 'b': 0.5, 'c': \[1, 'x'\], 'd': None"
    ):
        make_detector(SURROUNDINGS, REMOTE, **params)


def test_params_that_cannot_cross_the_border_are_refused() -> None:
    with pytest.raises(ConfigError, match="numbers, texts, lists"):
        make_detector(PLUGIN, REMOTE, path=Path("/"))


# The surroundings.


def test_what_ros_leaves_behind_is_not_handed_on() -> None:
    wheels = [f"{sys.prefix}/lib", f"{sys.prefix}/lib/python3.11/site-packages/ros_rclpy.libs"]
    kept = {"AMENT_PREFIX_PATH": "/opt/ros/jazzy", "HOME": "/home/me"}
    ours = kept | {
        "LD_LIBRARY_PATH": os.pathsep.join([wheels[0], "/opt/cuda/lib", "/opt/ros/jazzy/lib", wheels[1]]),
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
        "PYTHONPATH": "/opt/ros/jazzy/lib/python3.12/site-packages",
        "PYTHONHOME": "/usr",
    }
    root = str(Path(__file__).resolve().parents[2])
    wanted = kept | {"PYTHONPATH": os.pathsep.join([root, os.getcwd()]), "PYTHONUNBUFFERED": "1"}
    assert environment(ours) == wanted | {"LD_LIBRARY_PATH": "/opt/cuda/lib"}
    del ours["LD_LIBRARY_PATH"]
    assert environment(ours) == wanted


def test_plugins_are_found_in_the_current_directory(tmp_path: Path, monkeypatch) -> None:
    text = f"import sys\nsys.path.insert(0, {str(Path.cwd())!r})\nfrom {PLUGIN.partition(':')[0]} import factory\n"
    (tmp_path / "my_own_detector.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    detector = make_detector("my_own_detector:factory", REMOTE)
    assert len(detector.detect(SEEN, GRIPPER)) == len(POINTS)
    detector.close()


def test_the_hostile_plugin_is_the_one_that_is_tested() -> None:
    assert set(_WRONG) == set(hostile_detectors.ACTS)
