import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_core import se3
from grasp_core.errors import FrameError, InputError
from grasp_core.tf_buffer import TransformBuffer
from test.grasp_core.strategies import transforms


@given(transforms, transforms, transforms)
def test_lookup_composes_over_branches(T_base_arm, T_arm_cam, T_base_object):
    tf = TransformBuffer()
    tf.set("base", "arm", T_base_arm, 0)
    tf.set("arm", "cam", T_arm_cam, 0, static=True)
    tf.set("base", "object", T_base_object, 0)
    expected = se3.inverse(T_arm_cam) @ se3.inverse(T_base_arm) @ T_base_object
    np.testing.assert_allclose(tf.lookup("cam", "object"), expected, atol=1e-10)
    np.testing.assert_allclose(tf.lookup("object", "cam", 0), se3.inverse(expected), atol=1e-10)


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=8, unique=True), st.floats(0, 1))
def test_interpolates_between_the_neighbouring_stamps_whatever_the_order_of_arrival(stamps, s):
    tf = TransformBuffer()
    for stamp in stamps:
        tf.set("a", "b", se3.make(np.eye(3), [stamp / 1e9, 0, 0]), stamp)
    stamp = int(min(stamps) + s * (max(stamps) - min(stamps)))
    np.testing.assert_allclose(tf.lookup("a", "b", stamp)[0, 3], stamp / 1e9, atol=1e-9)


def test_no_extrapolation():
    tf = TransformBuffer()
    tf.set("a", "b", np.eye(4), 1_000_000_000)
    tf.set("a", "b", np.eye(4), 2_000_000_000)
    with pytest.raises(FrameError, match="500 ms newer"):
        tf.lookup("a", "b", 2_500_000_000)
    with pytest.raises(FrameError, match="older than the oldest"):
        tf.lookup("a", "b", 1)


def test_missing_disconnected_and_looping_trees_are_named():
    tf = TransformBuffer()
    tf.set("a", "b", np.eye(4), 0)
    with pytest.raises(FrameError, match=r"from cam to a.*known frames: a, b"):
        tf.lookup("a", "cam")
    tf.set("b", "c", np.eye(4), 0)
    tf.set("c", "a", np.eye(4), 0)
    with pytest.raises(FrameError, match=r"loop: .*->"):
        tf.lookup("a", "c")
    with pytest.raises(FrameError, match="own parent"):
        tf.set("a", "/a", np.eye(4), 0)
    with pytest.raises(InputError, match="a -> b"):
        tf.set("a", "b", np.full((4, 4), np.nan), 0)


def test_forgets_what_is_old_and_clears_only_what_moves():
    tf = TransformBuffer(keep_s=1.0)
    tf.set("a", "s", np.eye(4), 0, static=True)
    for second in range(5):
        tf.set("a", "b", np.eye(4), second * 1_000_000_000)
    with pytest.raises(FrameError, match="older"):
        tf.lookup("a", "b", 1_000_000_000)
    tf.clear()
    with pytest.raises(FrameError):
        tf.lookup("a", "b")
    np.testing.assert_array_equal(tf.lookup("a", "s", 7_000_000_000), np.eye(4))


def test_a_frame_that_changes_its_parent_starts_anew():
    tf = TransformBuffer()
    tf.set("a", "b", np.eye(4), 0)
    tf.set("c", "b", se3.make(np.eye(3), [1, 0, 0]), 5)
    assert tf.lookup("c", "b")[0, 3] == 1
    assert tf.newest("b") == 5
    assert tf.newest("nothing") is None
