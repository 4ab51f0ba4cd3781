"""Recordings, made by the library's own recorder from a software camera, played back."""

import time

import numpy as np
import pyrealsense2 as rs
import pytest

from grasp_core.errors import ConfigError
from grasp_perception.realsense import EndOfRecording, Recording, Settings
from test.grasp_perception.realsense.soft_camera import SoftCamera

FRAMES = 8


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Eight frames, 33.3 ms apart, whose depth tells their number."""
    path = tmp_path_factory.mktemp("recording") / "table.db3"
    camera = SoftCamera()
    recorder = rs.recorder(str(path), camera.device)
    sensors, syncer = recorder.query_sensors(), rs.syncer(8)
    for sensor in sensors:
        sensor.open(sensor.get_stream_profiles())
        sensor.start(syncer)
    for i in range(FRAMES):
        camera.depth[:] = 600 + i
        camera.send(1e6 + 33.3 * i)
        time.sleep(0.01)
    for sensor in sensors:
        sensor.stop()
        sensor.close()
    recorder.pause()
    return path


def play(path, **options):
    return Recording(path, Settings(), "camera_color_optical_frame", 0.2, 3.0, **options)


def read_slowly(source: Recording, frames: list) -> None:
    while True:
        time.sleep(0.02)  # a slow reader loses nothing
        if (frame := source.read(0.2)) is not None:
            frames.append(frame)


def numbers(frames) -> list[int]:
    return [int(frame.depth.max()) - 600 for frame in frames]


def test_every_frame_as_fast_as_it_is_read(recorded):
    now = iter(range(10**9, 10**12, 10**6))
    source = play(recorded, real_time=False, loop=False, now=lambda: next(now))
    source.start()
    frames = []
    with pytest.raises(EndOfRecording, match=r"table\.db3 has ended"):
        read_slowly(source, frames)
    source.stop()
    assert numbers(frames) == list(range(FRAMES))[-len(frames) :]
    assert len(frames) >= FRAMES - 1  # the syncer gives the first one away in parts
    stamps = [frame.stamp for frame in frames]
    assert stamps == sorted(stamps)
    assert stamps[-1] < 2 * 10**9  # when they were read
    assert source.facts["serial"] == "1234"
    assert (frames[0].color == (10, 20, 30)).all()
    np.testing.assert_allclose(frames[0].camera.K[0, 0], 600.0)
    assert frames[0].camera.depth_scale == 0.001


def test_in_real_time_again_and_again(recorded):
    source = play(recorded)
    source.start()
    frames = []
    while source.laps < 2:
        if (frame := source.read(0.2)) is not None:
            frames.append(frame)
            assert abs(frame.stamp - time.time_ns()) < 5e9
    source.stop()
    assert len(frames) > FRAMES
    steps = np.diff([frame.stamp for frame in frames])
    assert (steps > 0).all()


def test_files_that_are_no_recording(tmp_path):
    with pytest.raises(ConfigError, match="no recording"):
        play(tmp_path / "none.bag")
    for name in ("text.bag", "text.db3"):
        (tmp_path / name).write_text("this is no bag")
        with pytest.raises(ConfigError, match=r"cannot be read as a RealSense recording.*seegrasp replay"):
            play(tmp_path / name)
    (tmp_path / "ros.mcap").write_text("x")
    with pytest.raises(ConfigError, match=r"no RealSense recording.*seegrasp replay"):
        play(tmp_path / "ros.mcap")
