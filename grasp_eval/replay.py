"""`seegrasp replay`: play a bag to the running nodes, or (--offline) find grasps in all its frames without any node.

Offline, frames.csv, summary.json and report.html tell for every frame, beside points, grasps and times:
  stable_all, stable_top  share of the best 10 grasps of the frame before that are found again within 1 cm and 15 deg
                          (fingers may be swapped) in the base frame: among all grasps, among the best 10
  displacement_mm         median distance of those found again among all
  camera_moved_mm, camera_turned_deg
                          since the frame before; the report also tells of the frames before which it stood still
  covered                 share of the object points (inside the region, 1 cm above what they stand on) with a grasp
                          within 2 cm
  ap                      average precision as in GraspNet-1Billion (friction 0.2 to 1.2), with --objects

--objects names a YAML file with the objects that are known:
  objects:
    - {mesh: mug.obj, scale: 1.0, frame: mug}                          # pose from the bag's transforms
    - {mesh: box.stl, scale: 0.001, pose: [0.5, 0.1, 0.0, 0, 0, 1.57]}  # x, y, z, roll, pitch, yaw in the base frame

Reads ROS 2 bags (MCAP, sqlite3) and ROS 1 .bag files, damaged ones as far as they go.
Exit codes: 0 all good, 1 an error or no frame that could be used, 3 done, but the bag is damaged.
"""

from __future__ import annotations

import argparse
import math
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
import rclpy
from rclpy.signals import SignalHandlerOptions

from grasp_core import se3
from grasp_core.errors import SeegraspError
from grasp_eval.bag_reader import BagReader
from grasp_eval.bag_types import UnknownTypeError
from grasp_eval.bag_writer import BagError
from grasp_eval.offline import OfflineRun, time_range
from grasp_eval.player import Options, Player
from grasp_eval.results import SaveError
from grasp_perception.detectors import DEFAULT

DAMAGED = 3


def pose_argument(text: str) -> np.ndarray:
    """4x4 pose from "x,y,z,roll,pitch,yaw" (m, rad, fixed axes)."""
    values = numbers(text, 6, "x,y,z,roll,pitch,yaw")
    return se3.make(se3.rpy_matrix(*values[3:]), values[:3])


def region_argument(text: str) -> list[float]:
    """Six numbers: lower and upper corner."""
    return numbers(text, 6, "xmin,ymin,zmin,xmax,ymax,zmax")


def numbers(text: str, count: int, what: str) -> list[float]:
    """Finite numbers with commas between them."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {what}") from error
    if len(values) != count or not all(math.isfinite(v) for v in values):
        raise argparse.ArgumentTypeError(f"{text!r}: expected {what} ({count} finite numbers)")
    return values


def positive(text: str) -> float:
    """A number above zero."""
    (value,) = numbers(text, 1, "a number")
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0")
    return value


def count(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 on")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """Options of `seegrasp replay`."""
    p = argparse.ArgumentParser(
        prog="seegrasp replay", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("bag", type=Path, help="bag folder, .mcap, .db3 or .bag file")
    p.add_argument("--start", type=float, default=0.0, help="skip this many seconds")
    p.add_argument("--duration", type=float, default=0.0, help="play this many seconds (default: to the end)")
    live = p.add_argument_group("playing to nodes")
    live.add_argument("--rate", type=positive, default=1.0, help="times real time")
    live.add_argument("--clock", type=float, default=50.0, help="rate of /clock, Hz; 0 for none (default 50)")
    live.add_argument("--loop", action="store_true", help="start again at the end (time jumps back)")
    live.add_argument("--topics", nargs="+", metavar="REGEX", help="only these")
    live.add_argument("--exclude", nargs="+", default=[], metavar="REGEX", help="not these")
    live.add_argument("--remap", nargs="+", default=[], metavar="OLD:=NEW", help="publish under other names")
    live.add_argument("--wait", type=float, default=1.0, help="time for subscribers to connect first, s")
    off = p.add_argument_group("without nodes")
    off.add_argument("--offline", action="store_true", help="find grasps in every frame, as fast as it goes")
    off.add_argument("--out", type=Path, help="folder of the results (default out/replay/<date and time>)")
    off.add_argument("--detector", default=DEFAULT, help="name or package.module:factory")
    off.add_argument("--detector-python", metavar="PYTHON", help="run the detector in a process of this Python")
    off.add_argument("--gripper", default="robotiq_2f85", help="name or YAML file")
    off.add_argument("--depth-topic", default="", help="default: the aligned depth image that the bag has")
    off.add_argument("--info-topic", default="", help="default: camera_info beside the depth image")
    off.add_argument("--color-topic", default="", help="default: color/image_raw of the same camera")
    off.add_argument("--base-frame", default="", help="frame of the results (default: base_link or the root)")
    off.add_argument(
        "--camera-pose",
        type=pose_argument,
        metavar="x,y,z,r,p,y",
        help="of the optical frame in the base frame (default: the bag's transforms, else the table's plane)",
    )
    off.add_argument(
        "--region", type=region_argument, metavar="x,y,z,X,Y,Z", help="where grasps may lie (default: above the table)"
    )
    off.add_argument("--objects", type=Path, metavar="FILE", help="meshes and poses of known objects (see above): AP")
    off.add_argument("--every", type=count, default=1, help="only every n-th frame")
    off.add_argument("--pictures", type=count, default=12, help="frames in the report at most (default 12)")
    return p


def parse_remaps(texts: list[str]) -> dict[str, str]:
    """{old: new}. Raises ValueError naming the bad one."""
    found = dict(text.split(":=", 1) for text in texts if ":=" in text)
    if len(found) != len(texts):
        bad = next(t for t in texts if ":=" not in t) if any(":=" not in t for t in texts) else "a topic twice"
        raise ValueError(f"--remap {bad!r}: expected OLD:=NEW, for example /camera/depth:=/camera/camera/depth")
    return found


def chosen_topics(bag: BagReader, wanted: list[str] | None, exclude: list[str]) -> set[str]:
    """Topics to play; says which are left out because their type is unknown. Raises BagError when none is left."""
    names = set()
    for info in bag.topics.values():
        if wanted and not any(re.fullmatch(p, info.name) for p in wanted):
            continue
        if any(re.fullmatch(p, info.name) for p in exclude):
            continue
        if info.problem:
            print(f"warning: {info.name} is left out: {info.problem}", file=sys.stderr)
            continue
        names.add(info.name)
    if not names or not sum(bag.topics[n].count for n in names):
        have = "\n".join(f"  {t.name} [{t.msgtype}] {t.count}" for t in bag.topics.values()) or "  (none)"
        raise BagError(f"{bag.path}: no message to play. Topics of the bag:\n{have}")
    return names


def play(args: argparse.Namespace, bag: BagReader) -> int:
    """Publish to running nodes; returns the exit code."""
    topics = chosen_topics(bag, args.topics, args.exclude)
    remap = parse_remaps(args.remap)
    start, stop = time_range(bag, args.start, args.duration)
    if start is not None and start >= bag.end_ns:
        raise BagError(f"{bag.path}: --start {args.start} s is after its end ({bag.duration_s:.1f} s)")
    stopping: list[int] = []
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stopping.append(received))
    node = rclpy.create_node("seegrasp_replay")
    try:
        options = Options(args.rate, args.clock, start, stop, args.loop, remap)
        player = Player(node, bag, topics, options, lambda: bool(stopping))
        print(f"playing {len(topics)} topics of {bag.path} ({bag.duration_s:.1f} s) at {args.rate:g} x", flush=True)
        time.sleep(max(0.0, args.wait))
        player.play()
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    print(f"{player.published} messages published, at most {1e3 * player.late_s:.0f} ms late")
    if player.failed:
        print(f"error: {player.failed} messages could not be published", file=sys.stderr)
    return 1 if player.failed else 0


def offline(args: argparse.Namespace, bag: BagReader) -> int:
    """Evaluate without nodes; returns the exit code."""
    out = args.out or Path("out/replay") / time.strftime("%Y-%m-%d_%H-%M-%S")
    if (out / "frames.csv").exists():
        raise BagError(f"{out} has results already; choose another --out")
    run = OfflineRun(args, bag, out)
    out.mkdir(parents=True, exist_ok=True)
    good = run.run()
    for problem in run.problems:
        print(f"problem: {problem}", file=sys.stderr)
    print(f"{sum(not f.error for f in run.frames)} of {len(run.frames)} frames used; results: {out}/report.html")
    return 0 if good else 1


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = parser().parse_args(argv)
    try:
        with BagReader(args.bag) as bag:
            code = offline(args, bag) if args.offline else play(args, bag)
            if bag.damage:
                print(f"warning: {bag.path} is damaged: {bag.damage}", file=sys.stderr)
                print(f"{bag.message_count} messages could be read", file=sys.stderr)
                return DAMAGED
            return code
    except (BagError, SaveError, SeegraspError, UnknownTypeError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
