"""How long a bringup takes from nothing to ready: `python -m grasp_eval.bench_bringup sim --runs 5`.

Ready: every node of the bringup tells on /diagnostics that nothing is wrong (a warning, such as `not armed`, is not
wrong), and clouds and joint states arrive. Every run starts all processes anew; the first one also reads all libraries
from the disk, which the others find in the system's cache.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from grasp_eval.bench_stop import spread
from grasp_eval.demo import free_domain
from grasp_ros import qos
from seegrasp.bringup import Bringup

TARGET_S = 10.0
PATIENCE_S = 120.0
FINE = (DiagnosticStatus.OK, DiagnosticStatus.WARN)


def waiting_for(nodes: Sequence[str], statuses: dict[str, DiagnosticStatus]) -> dict[str, str]:
    """Node -> what is wrong with it, or that it was not heard of, for those that are not ready."""
    wrong = {}
    for node in nodes:
        told = [s for name, s in statuses.items() if name.startswith(f"{node}: ")]
        bad = [s.message for s in told if s.level not in FINE]
        if bad or not told:
            wrong[node] = "; ".join(bad) or "silent"
    return wrong


def measure(name: str, settings: Sequence[str], log_dir: Path) -> float:
    """Seconds from the start of the processes to ready; SystemExit names what never was."""
    bringup = Bringup.load(name, log_dir, settings)
    statuses: dict[str, DiagnosticStatus] = {}
    changed = threading.Event()

    def on_diagnostics(msg: DiagnosticArray) -> None:
        statuses.update({status.name: status for status in msg.status})
        changed.set()

    rclpy.init()
    node, executor = Node("bench_bringup"), SingleThreadedExecutor()
    node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, qos.RELIABLE)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    began = time.monotonic()
    try:
        with bringup:
            while wrong := waiting_for(bringup.names, dict(statuses)):
                dead = bringup.dead()
                if dead or time.monotonic() - began > PATIENCE_S:
                    raise SystemExit(f"bench_bringup: {dead[0] if dead else f'not ready: {wrong}'}")
                changed.wait(0.1)
                changed.clear()
            return time.monotonic() - began
    finally:
        executor.shutdown(timeout_sec=2.0)
        thread.join(2.0)
        node.destroy_node()
        rclpy.try_shutdown()


def main() -> int:
    """0 when every run was ready within the target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bringup", nargs="?", default="sim")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY:=VALUE", dest="settings")
    args = parser.parse_args()
    os.environ.setdefault("ROS_DOMAIN_ID", str(free_domain()))
    took = []
    for run in range(args.runs):
        with tempfile.TemporaryDirectory() as folder:
            took.append(measure(args.bringup, args.settings, Path(folder)))
        print(f"run {run}: ready after {took[-1]:.1f} s", flush=True)
    times = spread(took)
    met = times["max"] <= TARGET_S
    print(f"{args.bringup}: median {times['median']:.1f} s, at most {times['max']:.1f} s of {args.runs}", end="; ")
    print(f"target {TARGET_S:.0f} s: {'met' if met else 'not met'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
