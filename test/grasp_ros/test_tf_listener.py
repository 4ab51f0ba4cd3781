"""TF over DDS: interpolation, waiting, loops, bad transforms, time jumping back."""

import threading
import time

import numpy as np
import pytest
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from grasp_core import se3
from grasp_core.errors import FrameError
from grasp_ros import qos
from grasp_ros.conversions import transforms_to_tf
from grasp_ros.tf_listener import TfListener
from test.grasp_ros.kit import rclpy_with, spinning, wait_until

S = 1_000_000_000


@pytest.fixture
def tf(ros_domain):
    with rclpy_with():
        listener_node, publisher_node = Node("listener"), Node("publisher")
        listener = TfListener(listener_node)
        moving = publisher_node.create_publisher(TFMessage, "/tf", qos.TF)
        static = publisher_node.create_publisher(TFMessage, "/tf_static", qos.LATCHED)
        with spinning(listener_node, publisher_node):
            wait_until(lambda: moving.get_subscription_count() and static.get_subscription_count())
            yield listener, moving, static


def at(x):
    return se3.make(np.eye(3), [x, 0.0, 0.0])


def test_interpolates_and_composes_with_static(tf):
    listener, moving, static = tf
    static.publish(transforms_to_tf([("tool", "camera", at(0.5))], 0))
    moving.publish(transforms_to_tf([("base", "tool", at(1.0))], 10 * S))
    moving.publish(transforms_to_tf([("base", "tool", at(2.0))], 11 * S))
    T = listener.lookup("base", "camera", 10 * S + S // 4, timeout_s=10.0)
    np.testing.assert_allclose(T[:3, 3], [1.75, 0, 0], atol=1e-9)
    assert listener.age_s < 10.0


def test_waits_for_a_transform_that_comes_later(tf):
    listener, moving, _ = tf
    moving.publish(transforms_to_tf([("base", "tool", at(1.0))], 10 * S))
    threading.Timer(0.3, lambda: moving.publish(transforms_to_tf([("base", "tool", at(3.0))], 12 * S))).start()
    T = listener.lookup("base", "tool", 11 * S, timeout_s=10.0)
    np.testing.assert_allclose(T[:3, 3], [2, 0, 0])


def test_missing_looping_and_nan_transforms_say_so(tf):
    listener, moving, _ = tf
    with pytest.raises(FrameError, match=r"camera.*base"):
        listener.lookup("base", "camera", timeout_s=0.05)
    moving.publish(transforms_to_tf([("a", "b", at(1.0)), ("b", "a", at(1.0))], S))
    wait_until(lambda: listener.age_s is not None)
    time.sleep(0.1)
    with pytest.raises(FrameError, match="loop"):
        listener.lookup("a", "b")
    bad = transforms_to_tf([("base", "camera", at(1.0))], S)
    bad.transforms[0].transform.translation.x = float("nan")
    moving.publish(bad)
    wait_until(lambda: listener.problem)
    with pytest.raises(FrameError, match="rejected transform: /tf: transform base -> camera"):
        listener.lookup("base", "camera")


def test_clear_forgets_what_moves(tf):
    listener, moving, static = tf
    static.publish(transforms_to_tf([("tool", "camera", at(0.5))], 0))
    moving.publish(transforms_to_tf([("base", "tool", at(1.0))], 10 * S))
    listener.lookup("base", "camera", timeout_s=10.0)
    listener.clear()
    with pytest.raises(FrameError):
        listener.lookup("base", "camera")
    listener.lookup("tool", "camera")
