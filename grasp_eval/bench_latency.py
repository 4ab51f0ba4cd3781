"""Latency and drops of a running system: depth image -> cloud -> grasps.

    python -m grasp_eval.bench_latency --seconds 30 [--sim-time] [--json out.json]

`stamp` is the time from a depth image's stamp to the arrival here of what was made of it, by ROS time (as coarse as
/clock with --sim-time); `arrival` the time from the arrival of that image's camera_info, by the steady clock.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from seegrasp_msgs.msg import GraspArray
from sensor_msgs.msg import CameraInfo, PointCloud2

from grasp_core.cell import Cell
from grasp_ros import qos
from grasp_ros.conversions import stamp_to_ns


@dataclass
class Stream:
    """What arrived on one topic: stamp -> (ROS time, steady time) of the first arrival, ns."""

    topic: str
    arrivals: dict[int, tuple[int, int]] = field(default_factory=dict)

    def rate(self, seconds: float) -> float:
        """Messages of different stamps per second."""
        return len(self.arrivals) / seconds


class Bench(Node):
    """Collects stamps and arrival times."""

    def __init__(self, cell: Cell, camera: str, cloud: str, grasps: str, sim_time: bool) -> None:
        """Subscribe to the depth camera_info of the cell's camera, the cloud and the grasps."""
        super().__init__("bench_latency", parameter_overrides=[Parameter("use_sim_time", value=sim_time)])
        mounted = next(c for c in cell.cameras if c.namespace == camera)
        self.streams = {
            "depth": self._listen(CameraInfo, mounted.topic("depth_info")),
            "cloud": self._listen(PointCloud2, cloud),
            "grasps": self._listen(GraspArray, grasps),
        }

    def _listen(self, kind: type, topic: str) -> Stream:
        stream = Stream(topic)

        def arrived(msg) -> None:
            now = (self.get_clock().now().nanoseconds, time.monotonic_ns())
            stream.arrivals.setdefault(stamp_to_ns(msg.header.stamp), now)

        self.create_subscription(kind, topic, arrived, qos.SENSOR)
        return stream


def latencies(depth: Stream, out: Stream) -> dict[str, list[float]]:
    """ms from stamp and from the arrival of the depth camera_info, of every output."""
    from_stamp = [(ros - stamp) / 1e6 for stamp, (ros, _) in out.arrivals.items()]
    both = [(steady, depth.arrivals[s][1]) for s, (_, steady) in out.arrivals.items() if s in depth.arrivals]
    return {"stamp": from_stamp, "arrival": [(b - a) / 1e6 for b, a in both]}


def dropped(depth: Stream, cloud: Stream) -> tuple[int, int]:
    """Depth images between the first and the last cloud that gave no cloud; and how many there were."""
    if not cloud.arrivals:
        return len(depth.arrivals), len(depth.arrivals)
    first, last = min(cloud.arrivals), max(cloud.arrivals)
    seen = [s for s in depth.arrivals if first <= s <= last]
    return sum(s not in cloud.arrivals for s in seen), len(seen)


def summarise(streams: dict[str, Stream], seconds: float) -> dict:
    """Rates (Hz), drops and p50, p95, max latencies (ms)."""
    result: dict = {"seconds": seconds, "rate_hz": {n: s.rate(seconds) for n, s in streams.items()}}
    result["clouds_dropped"], result["depth_images"] = dropped(streams["depth"], streams["cloud"])
    for name in ("cloud", "grasps"):
        for kind, values in latencies(streams["depth"], streams[name]).items():
            p50, p95 = np.percentile(values, [50, 95]) if values else (float("nan"),) * 2
            result[f"{name}_from_{kind}_ms"] = {
                "n": len(values),
                "p50": float(p50),
                "p95": float(p95),
                "max": max(values, default=float("nan")),
            }
    return result


def table(result: dict) -> str:
    """The summary for people."""
    lines = [f"{'latency':24}{'n':>6}{'p50 ms':>10}{'p95 ms':>10}{'max ms':>10}"]
    for name, row in result.items():
        if isinstance(row, dict) and "p95" in row:
            lines.append(f"{name[:-3]:24}{row['n']:>6}{row['p50']:>10.1f}{row['p95']:>10.1f}{row['max']:>10.1f}")
    rates = ", ".join(f"{name} {rate:.1f}" for name, rate in result["rate_hz"].items())
    lines.append(f"rates (Hz): {rates}; dropped: {result['clouds_dropped']} of {result['depth_images']} depth images")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; 1 when nothing arrived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--cell", default="bin_picking")
    parser.add_argument("--camera", default="camera", help="namespace of the camera in the cell profile")
    parser.add_argument("--cloud", default="/camera_node/cloud")
    parser.add_argument("--grasps", default="/detector_node/grasps")
    parser.add_argument("--sim-time", action="store_true", help="stamps are of /clock")
    parser.add_argument("--json", metavar="FILE", help="write the summary there too")
    args = parser.parse_args(argv)
    rclpy.init(args=[])
    node = Bench(Cell.load(args.cell), args.camera, args.cloud, args.grasps, args.sim_time)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    begin = time.monotonic()
    try:
        while time.monotonic() - begin < args.seconds:
            executor.spin_once(timeout_sec=0.1)
    except (KeyboardInterrupt, ExternalShutdownException):
        print("stopped early", file=sys.stderr)
    result = summarise(node.streams, time.monotonic() - begin)
    rclpy.try_shutdown()
    print(table(result))
    print(json.dumps(result))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)
    return 0 if result["rate_hz"]["cloud"] > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
