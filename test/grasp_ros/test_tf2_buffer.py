"""The adapter to tf2's buffer, against a stand-in for tf2_py (which comes with ROS installations only)."""

import importlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from grasp_core import se3
from grasp_core.errors import FrameError

try:
    import tf2_py

    FAKE = False
except ImportError:
    tf2_py, FAKE = None, True


class FakeCore:
    """Direct transforms only, at the times they were given for."""

    def __init__(self, cache_time) -> None:
        self.cache_time, self.static, self.moving = cache_time, {}, {}

    def set_transform_static(self, item, authority) -> None:
        self.static[item.header.frame_id, item.child_frame_id] = item

    def set_transform(self, item, authority) -> None:
        self.moving[item.header.frame_id, item.child_frame_id] = item

    def lookup_transform_core(self, target, source, time):
        found = self.static.get((target, source)) or self.moving.get((target, source))
        if found is None:
            raise LookupError(f'"{source}" does not exist')
        return found

    def clear(self) -> None:
        self.static.clear()
        self.moving.clear()


@pytest.fixture
def buffer(monkeypatch):
    if FAKE:
        stand_in = SimpleNamespace(BufferCore=FakeCore, TransformException=LookupError)
        monkeypatch.setitem(sys.modules, "tf2_py", stand_in)
        monkeypatch.delitem(sys.modules, "grasp_ros.tf2_buffer", raising=False)
    yield importlib.import_module("grasp_ros.tf2_buffer").Tf2Buffer(5.0)
    if FAKE:
        sys.modules.pop("grasp_ros.tf2_buffer", None)


def test_set_lookup_clear(buffer):
    moving, static = se3.make(se3.rpy_matrix(0.1, 0.2, 0.3), [1, 2, 3]), se3.make(np.eye(3), [0, 0, 1])
    buffer.set("base", "tool", moving, 10**9)
    buffer.set("tool", "camera", static, 0, static=True)
    np.testing.assert_allclose(buffer.lookup("base", "tool", 10**9), moving, atol=1e-9)
    np.testing.assert_allclose(buffer.lookup("/tool", "camera"), static, atol=1e-9)
    buffer.clear()
    np.testing.assert_allclose(buffer.lookup("tool", "camera"), static, atol=1e-9)
    with pytest.raises(FrameError, match="from tool to base"):
        buffer.lookup("base", "tool", 10**9)
    with pytest.raises(FrameError, match="own parent"):
        buffer.set("a", "a", static, 0)
