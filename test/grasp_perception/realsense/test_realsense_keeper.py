"""Lost frames, resets, unplugging: the keeper says what is wrong and brings the camera back."""

import threading
from contextlib import contextmanager

import pytest

from grasp_core.errors import ConfigError
from grasp_perception.realsense import Keeper, RealSense, Settings, SourceError
from grasp_perception.realsense import camera as camera_module
from grasp_perception.realsense import keeper as keeper_module
from grasp_perception.realsense.keeper import Timing
from test.grasp_perception.realsense.soft_camera import SoftCamera, SoftDevices
from test.grasp_ros.kit import wait_until

FAST = Timing(first=1.0, loss=0.3, retry=0.05, longest=0.1)


class Kept:
    """A keeper over software cameras, and what it handed out."""

    def __init__(self, devices: SoftDevices, timing: Timing = FAST, **settings) -> None:
        self.frames, self.said = [], []
        self.source = RealSense(Settings(**settings), "cam", 0.2, 3.0, devices)
        self.keeper = Keeper(self.source, self.frames.append, lambda t: self.said.append(t.message), timing)

    def streams(self) -> None:
        seen = len(self.frames)
        wait_until(lambda: len(self.frames) > seen + 3 and self.keeper.trouble is None, what="frames")

    def tells(self, words: str):
        return wait_until(lambda: any(words in m for m in self.said) and self.keeper.trouble, what=repr(words))


@contextmanager
def kept(camera: SoftCamera, **settings):
    devices = SoftDevices(camera)
    made = Kept(devices, **settings)
    made.devices = devices
    with camera.running():
        yield made
        assert made.keeper.close()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(camera_module, "_POLL_S", 0.02)


def test_lost_frames_reset_the_camera_and_come_back(camera):
    with kept(camera) as made:
        made.streams()
        camera.alive = False
        made.tells("no frames from Intel RealSense D435 (serial 1234) for 0.")
        made.streams()
        assert (camera.resets, made.source.resets, made.keeper.losses) == (1, 1, 1)
        assert made.keeper.facts["starts"] == 2


def test_colour_alone_lost(camera):
    with kept(camera) as made:
        made.streams()
        camera.color_alive = False
        wait_until(lambda: made.said, what="trouble")
        made.streams()
        assert camera.resets == 1


def test_what_is_missing_is_named(camera, started):
    source = started(camera)
    for _ in range(4):
        camera.send(1e6 + 33.3 * camera.number)
        source.read(0.05)
    assert source._streams.missing(10.0) == "frames that belong together"
    source._streams._seen.pop(source._streams._kinds[1])
    assert source.silent(10.0) == "no colour frames from Intel RealSense D435 (serial 1234)"


def test_unplugged_and_plugged_in_again(camera):
    with kept(camera) as made:
        made.streams()
        camera.plugged = False
        made.tells("is unplugged")
        made.tells("no RealSense found")
        camera.plugged = True
        made.streams()
        assert camera.resets == 0


def test_without_reset(camera):
    with kept(camera, reset=False) as made:
        made.streams()
        camera.alive = False
        made.tells("no frames")
        wait_until(lambda: made.keeper.losses > 1, what="further attempts")
        assert camera.resets == 0
        camera.alive = True
        made.streams()


def test_a_reset_that_does_not_help_is_tried_again(camera):
    with kept(camera) as made:
        made.devices.reset_heals = False
        made.streams()
        camera.alive = False
        wait_until(lambda: camera.resets >= 2, what="a second reset")
        assert made.keeper.trouble is not None
        made.devices.reset_heals = True
        made.streams()


def test_plugged_in_later(camera):
    camera.plugged = False
    with kept(camera) as made:
        made.tells("no RealSense found")
        camera.plugged = True
        made.streams()


def test_a_wrong_setting_is_told_and_does_not_end_it(camera):
    with kept(camera, preset="Best") as made:
        made.tells("no preset 'Best'")
        assert made.said == [made.keeper.trouble.message]


class Scripted:
    """A source that does as it is told."""

    name, facts, concerns = "camera", {}, ()

    def __init__(self, read) -> None:
        self._read, self.stopped = read, 0

    def start(self) -> None:
        pass

    def read(self, timeout_s):
        return self._read()

    def silent(self, for_s) -> str:
        return "silence"

    def stop(self) -> None:
        self.stopped += 1

    def recover(self) -> None:
        raise SourceError("no reset")


def test_a_library_that_hangs_is_told(monkeypatch):
    monkeypatch.setattr(keeper_module, "_HANGS_S", 0.1)
    monkeypatch.setattr(keeper_module, "_JOIN_S", 0.2)
    go_on = threading.Event()
    keeper = Keeper(Scripted(go_on.wait), lambda frame: None)
    trouble = wait_until(lambda: keeper.trouble, what="trouble")
    assert "librealsense does not return from read of camera" in trouble.message
    assert not keeper.close()
    go_on.set()


def test_errors_while_streaming_and_of_recovery_are_told():
    def fail():
        raise SourceError("the cable broke")

    said = []
    keeper = Keeper(Scripted(fail), lambda frame: None, lambda t: said.append(t.message), FAST)
    wait_until(lambda: len(said) >= 2, what="messages")
    assert said[:2] == ["the cable broke", "no reset"]
    assert keeper.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_is_told():
    def defect():
        raise ZeroDivisionError("oops")

    keeper = Keeper(Scripted(defect), lambda frame: None, timing=FAST)
    trouble = wait_until(lambda: keeper.trouble, what="trouble")
    assert not trouble.ended
    assert "ZeroDivisionError" in trouble.message
    assert keeper.close()


def test_configuration_errors_while_streaming_do_not_end_it():
    def fail():
        raise ConfigError("no colour")

    keeper = Keeper(Scripted(fail), lambda frame: None, timing=FAST)
    wait_until(lambda: keeper.starts > 2, what="attempts")
    assert keeper.close()
