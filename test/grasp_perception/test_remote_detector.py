"""Detectors in a process of their own, and hostile ones on both sides of the border."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from grasp_core.camera import Camera
from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.errors import ConfigError, DetectorError, DetectorTimeout, ErrorCode, InputError
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_perception.detectors import Detector, make_detector, wire
from grasp_perception.detectors.checked import Checked
from grasp_perception.detectors.child import environment
from grasp_perception.detectors.remote import RemoteDetector
from test.grasp_perception import hostile_detectors

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


def ended(pid: int) -> bool:
    """No such process any more, or a dead one that nobody has asked about."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)


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


# Processes that die or hang.


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("abort", "SIGABRT.*(?s:.*)hostile_detectors"),  # faulthandler says where
        ("kill", "out of memory"),
        ("orphan", "exit code 4"),
        ("close_all", "ended with exit code|closed its pipe"),
        ("garbage", "something else was written there.*look at me"),
    ],
)
def test_a_crash_is_one_error_and_the_next_call_works(mode: str, words: str, make, tmp_path: Path) -> None:
    detector = make(mode, once=str(tmp_path / "once"))
    first = detector.inner.pid
    with pytest.raises(DetectorError, match=words) as error:
        detector.detect(SEEN, GRIPPER)
    assert PLUGIN in str(error.value)
    assert "next call starts it again" in str(error.value)
    assert ended(first)
    assert len(detector.detect(SEEN, GRIPPER)) == len(POINTS)
    assert detector.inner.pid != first


@pytest.mark.parametrize("mode", ["hang", "hang_in_c"])
def test_a_process_that_hangs_is_ended(mode: str, make, tmp_path: Path) -> None:
    detector = make(mode, timeout=0.5, once=str(tmp_path / "once"))
    first = detector.inner.pid
    with pytest.raises(DetectorTimeout, match=r"did not answer within 0.5 s(?s:.*)hostile_detectors.py"):
        detector.detect(SEEN, GRIPPER)
    assert ended(first)
    assert len(detector.detect(SEEN, GRIPPER)) == len(POINTS)


def test_a_process_killed_between_two_calls(make) -> None:
    detector = make("good")
    os.kill(detector.inner.pid, signal.SIGKILL)
    with pytest.raises(DetectorError, match="SIGKILL"):
        detector.detect(SEEN, GRIPPER)
    assert len(detector.detect(SEEN, GRIPPER)) == len(POINTS)


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
        ("no.such.module:factory", {}, "cannot be loaded: ModuleNotFoundError(?s:.*)Traceback"),
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


def test_what_the_ros_wheels_leave_behind_is_not_handed_on(monkeypatch) -> None:
    ours = {
        "LD_LIBRARY_PATH": f"{sys.prefix}/lib:/opt/cuda/lib:{sys.prefix}/lib/python3.11/site-packages/ros_rclpy.libs",
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
        "PYTHONPATH": "/opt/ros/jazzy/lib/python3.12/site-packages",
        "PYTHONHOME": "/usr",
        "HOME": "/home/me",
    }
    root = str(Path(__file__).resolve().parents[2])
    wanted = {"LD_LIBRARY_PATH": "/opt/cuda/lib", "HOME": "/home/me", "PYTHONUNBUFFERED": "1"}
    assert environment(ours) == wanted | {"PYTHONPATH": os.pathsep.join([root, os.getcwd()])}
    del ours["LD_LIBRARY_PATH"]
    assert "LD_LIBRARY_PATH" not in environment(ours)


def test_plugins_are_found_in_the_current_directory(tmp_path: Path, monkeypatch) -> None:
    text = f"import sys\nsys.path.insert(0, {str(Path.cwd())!r})\nfrom {PLUGIN.partition(':')[0]} import factory\n"
    (tmp_path / "my_own_detector.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    detector = make_detector("my_own_detector:factory", REMOTE)
    assert len(detector.detect(SEEN, GRIPPER)) == len(POINTS)
    detector.close()


# Leaving.


def test_closing_ends_the_process_and_later_calls_are_errors(make) -> None:
    detector = make("good")
    pid = detector.inner.pid
    detector.close()
    assert ended(pid)
    with pytest.raises(DetectorError, match="was closed"):
        detector.detect(SEEN, GRIPPER)
    detector.close()


def test_closing_cuts_a_call_short(make) -> None:
    detector = make("hang", timeout=None)
    raised: list[DetectorError] = []

    def call() -> None:
        try:
            detector.detect(SEEN, GRIPPER)
        except DetectorError as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    wait_until(detector.inner._lock.locked)
    detector.close()
    thread.join(20.0)
    assert "closed during a call" in str(raised[0])


def test_a_forgotten_detector_takes_its_process_with_it(make) -> None:
    detector = make_detector(PLUGIN, REMOTE)
    pid = detector.inner.pid
    del detector
    assert ended(pid)


@pytest.mark.parametrize(
    ("mode", "how"), [("good", "exit"), ("good", "kill"), ("hang", "exit"), ("hang_in_c", "kill"), ("thread", "kill")]
)
def test_no_process_is_left_behind(mode: str, how: str) -> None:
    """Whether ours leaves in order or is killed, and whether the detector is idle, busy or stuck."""
    code = f"""
        import sys, threading, time
        import numpy as np
        from grasp_core.cloud import Cloud
        from grasp_core.gripper import Gripper
        from grasp_core.observation import Observation
        from grasp_perception.detectors import make_detector
        detector = make_detector({PLUGIN!r}, sys.executable, mode={mode!r})
        call = lambda: detector.detect(Observation(Cloud(np.zeros((3, 3)))), Gripper.load("robotiq_2f85"))
        if {mode in ("good", "thread")}:
            call()
        else:
            threading.Thread(target=call, daemon=True).start()
            time.sleep(0.3)
        print(detector.inner.pid, flush=True)
        sys.stdin.read()
    """
    ours = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    pid = int(ours.stdout.readline())
    assert not ended(pid)
    if how == "kill":
        ours.kill()
    ours.communicate(timeout=20.0)
    wait_until(lambda: ended(pid))


def test_the_hostile_plugin_is_the_one_that_is_tested() -> None:
    assert set(_WRONG) == set(hostile_detectors.ACTS)
