"""Processes of detectors that die, hang, or are left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from grasp_core.cloud import Cloud
from grasp_core.errors import DetectorError, DetectorTimeout
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_perception.detectors import make_detector
from grasp_perception.detectors.checked import Checked
from test.grasp_perception.processes import ended, wait_until

PLUGIN = "test.grasp_perception.hostile_detectors:factory"
GRIPPER = Gripper.load("robotiq_2f85")
POINTS = np.random.default_rng(0).uniform(0.0, 0.3, (40, 3)).astype(np.float32)
SEEN = Observation(Cloud(POINTS))


@pytest.fixture
def make() -> Iterator[Callable[..., Checked]]:
    """make_detector of the hostile plugin; what it made is closed at the end."""
    made = []

    def one(mode: str, timeout: float | None = 20.0, **params: object) -> Checked:
        made.append(make_detector(PLUGIN, sys.executable, timeout, mode=mode, **params))
        return made[-1]

    yield one
    for detector in made:
        detector.close()


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
    detector = make_detector(PLUGIN, sys.executable)
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
