"""Helpers for tests with real nodes over DDS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import rclpy
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node


@contextmanager
def rclpy_with(args: Sequence[str] = ()) -> Iterator[None]:
    """Initialise rclpy with ROS arguments (`-p name:=value ...`), shut it down at the end."""
    rclpy.init(args=["test", "--ros-args", *args] if args else ["test"])
    try:
        yield
    finally:
        rclpy.try_shutdown()


@contextmanager
def spinning(*nodes: Node, threads: int = 1) -> Iterator[None]:
    """Spin every node in an executor and thread of its own (the first with `threads`), destroy them at the end."""
    executors = [
        MultiThreadedExecutor(num_threads=threads) if i == 0 and threads > 1 else SingleThreadedExecutor()
        for i in range(len(nodes))
    ]
    runners = []
    for node, executor in zip(nodes, executors, strict=True):
        executor.add_node(node)
        runners.append(threading.Thread(target=executor.spin, daemon=True))
        runners[-1].start()
    try:
        yield
    finally:
        for node in nodes:
            getattr(node, "close", lambda: None)()
        for executor in executors:
            executor.shutdown(timeout_sec=5.0)
        for runner in runners:
            runner.join(timeout=5.0)
        for node in nodes:
            node.destroy_node()


def wait_until(condition: Callable[[], object], timeout_s: float = 15.0, what: str = "condition") -> object:
    """The first truthy value of `condition`; an AssertionError after the timeout."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what} did not become true within {timeout_s} s")
