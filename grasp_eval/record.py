"""`seegrasp record`: write topics of the running system into a rosbag2 bag (MCAP)."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from grasp_eval.bag_types import UnknownTypeError
from grasp_eval.bag_writer import BagError, BagWriter
from grasp_eval.recorder import CLOCK, DEFAULT_TOPICS, Recorder, Selection


def parser() -> argparse.ArgumentParser:
    """Options of `seegrasp record`."""
    p = argparse.ArgumentParser(prog="seegrasp record", description=__doc__)
    p.add_argument("-o", "--output", type=Path, help="bag folder to create (default: bags/<date and time>)")
    p.add_argument("--topics", nargs="+", metavar="REGEX", help="whole topic names or regular expressions")
    p.add_argument("--all", action="store_true", help="every topic that is not hidden")
    p.add_argument("--exclude", nargs="+", default=[], metavar="REGEX", help="topics to leave out")
    p.add_argument(
        "--max-rate", nargs="+", default=[], metavar="TOPIC=HZ", help="thin a topic to at most HZ messages/s"
    )
    p.add_argument("--duration", type=float, default=0.0, help="stop after this many seconds (default: on Ctrl-C)")
    p.add_argument(
        "--time", choices=("auto", "ros", "system"), default="auto", help="log times (auto: /clock if published)"
    )
    return p


def parse_rates(texts: list[str]) -> dict[str, float]:
    """{topic: Hz} from "topic=hz" texts. Raises ValueError naming the bad one."""
    rates = {}
    for text in texts:
        topic, equals, value = text.rpartition("=")
        try:
            rates[topic] = float(value)
        except ValueError as error:
            raise ValueError(f"--max-rate {text!r}: expected TOPIC=HZ, for example /camera/image_raw=1.0") from error
        if not equals or not topic or not rates[topic] > 0:
            raise ValueError(f"--max-rate {text!r}: expected TOPIC=HZ with HZ > 0")
    return rates


def _has_clock(node: rclpy.node.Node, timeout_s: float = 1.5) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if node.count_publishers(CLOCK):
            return True
        time.sleep(0.1)
    return False


def record(args: argparse.Namespace) -> int:
    """Record until a signal, the duration or an error. Returns the exit code."""
    rates = parse_rates(args.max_rate)
    folder = args.output or Path("bags") / time.strftime("%Y-%m-%d_%H-%M-%S")
    selection = Selection(tuple(args.topics or DEFAULT_TOPICS), args.all, tuple(args.exclude))
    stopping: list[int] = []
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stopping.append(received))
    node = rclpy.create_node("seegrasp_record")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        sim_time = args.time == "ros" or (args.time == "auto" and _has_clock(node))
        writer = BagWriter(folder)
        recorder = Recorder(node, writer, selection, max_rate=rates, sim_time=sim_time)
        print(f"recording to {folder} ({'ROS' if sim_time else 'system'} time); Ctrl-C to stop", flush=True)
        _spin(executor, recorder, stopping, args.duration)
        recorder.stop()
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return _summary(recorder, folder)


def _spin(executor: SingleThreadedExecutor, recorder: Recorder, stopping: list[int], duration: float) -> None:
    end = time.monotonic() + duration if duration > 0 else float("inf")
    try:
        while not stopping and not recorder.error and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.2)
    except ExternalShutdownException:
        return


def _summary(recorder: Recorder, folder: Path) -> int:
    counts = recorder.writer.counts
    for name in sorted(counts):
        print(f"  {counts[name]:7d}  {name}")
    print(f"{sum(counts.values())} messages, {recorder.writer.size / 1e6:.1f} MB in {folder}")
    if recorder.error:
        print(f"error: {recorder.error}", file=sys.stderr)
        return 1
    if not sum(counts.values()):
        print("warning: nothing was recorded: no publisher of the chosen topics was seen", file=sys.stderr)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = parser().parse_args(argv)
    try:
        return record(args)
    except (BagError, UnknownTypeError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
