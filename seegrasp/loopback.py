"""Does a large best-effort message get from one process to another? Used by `seegrasp doctor`.

Run as `python -m seegrasp.loopback <topic>` this is the publishing process: 1 MB at 20 Hz until standard input ends.
"""

from __future__ import annotations

import array
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass

SIZE = 1_000_000  # bytes; more than the 512 kB of Fast DDS's default shared memory
PERIOD_S = 0.05
WANTED = 10


@dataclass(frozen=True)
class Loopback:
    """Messages received, of which size, and how long after publishing (median, ms)."""

    received: int
    latency_ms: float
    first_s: float


def measure(timeout_s: float = 6.0) -> Loopback:
    """Start the publisher, receive WANTED messages or as many as come in time."""
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image

    topic = f"/seegrasp_doctor_{os.getpid()}"
    latencies: list[float] = []
    context = Context()
    context.init()
    node = Node("seegrasp_doctor_loopback", context=context, enable_rosout=False, start_parameter_services=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def on_image(message: Image) -> None:
        if len(message.data) == SIZE:
            sent = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
            latencies.append(time.time() - sent)

    node.create_subscription(Image, topic, on_image, QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT))
    start = time.monotonic()
    first = 0.0
    publisher = subprocess.Popen([sys.executable, "-m", "seegrasp.loopback", topic], stdin=subprocess.PIPE)
    try:
        while len(latencies) < WANTED and time.monotonic() < start + timeout_s and publisher.poll() is None:
            executor.spin_once(timeout_sec=0.1)
            if latencies and not first:
                first = time.monotonic() - start
    finally:
        publisher.stdin.close()
        try:
            publisher.wait(2.0)
        except subprocess.TimeoutExpired:
            publisher.kill()
            publisher.wait()
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
    median = sorted(latencies)[len(latencies) // 2] if latencies else float("nan")
    return Loopback(len(latencies), 1e3 * median, first)


def main() -> int:
    """Publish until standard input ends."""
    import rclpy
    from rclpy.node import Node
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image

    rclpy.init()
    node = Node("seegrasp_doctor_publisher", enable_rosout=False, start_parameter_services=False)
    quality = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = node.create_publisher(Image, sys.argv[1], quality)
    message = Image(encoding="mono8", width=SIZE, height=1, step=SIZE, data=array.array("B", bytes(SIZE)))
    while not select.select([sys.stdin], [], [], PERIOD_S)[0]:
        now = time.time_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 1_000_000_000)
        publisher.publish(message)
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
