import numpy as np
import pytest

from grasp_perception.realsense import RealSense, Settings
from test.grasp_perception.realsense.soft_camera import SoftCamera, SoftDevices


@pytest.fixture
def camera() -> SoftCamera:
    return SoftCamera()


@pytest.fixture
def started():
    """A factory of started sources over software cameras; they are stopped at the end."""
    sources = []

    def make(*cameras: SoftCamera, **settings) -> RealSense:
        source = RealSense(Settings(**settings), "camera_color_optical_frame", 0.2, 3.0, SoftDevices(*cameras))
        sources.append(source)
        source.start()
        return source

    yield make
    for source in sources:
        source.stop()


@pytest.fixture
def frame_of(started):
    """The first frame that a camera gives with some settings."""

    def make(camera: SoftCamera, **settings):
        source = started(camera, **settings)
        for _ in range(20):
            camera.send(1e6 + 33.3 * camera.number)
            frame = source.read(0.05)
            if frame is not None:
                return frame
        raise AssertionError("no frame")

    return make


@pytest.fixture
def checkers() -> np.ndarray:
    """A colour picture in which every place looks different from its neighbourhood."""
    v, u = np.mgrid[:480, :640]
    return np.stack([u * 255 // 639, v * 255 // 479, (u // 40 + v // 40) % 2 * 255], axis=-1).astype(np.uint8)
