"""`seegrasp demo`: the simulated robot clears a bin; at the end there are a report, picks.csv and a bag."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from grasp_core.errors import ConfigError
from grasp_eval.demo_client import DemoError
from grasp_eval.demo_run import Demo
from grasp_eval.progress import Progress
from seegrasp.bringup import Bringup

FIRST_DISCOVERY_PORT = 7410  # RTPS: 7400 + 250 * domain + 10 is the first participant's own port


def parser() -> argparse.ArgumentParser:
    """Options of `seegrasp demo`."""
    p = argparse.ArgumentParser(prog="seegrasp demo", description=__doc__)
    p.add_argument("--objects", type=int, default=10, help="objects in the scene (default 10)")
    p.add_argument("--seed", type=int, default=0, help="seed of the scene (default 0)")
    p.add_argument("--seeds", help="several rounds one after another: comma-separated seeds, for example 0,1,2,3,4")
    p.add_argument("--scene", choices=("bin", "pile", "packed", "single"), default="bin")
    p.add_argument(
        "--out", type=Path, default=Path("out/demo"), help="results go to OUT/<date and time> (default out/demo)"
    )
    p.add_argument("--cell", default="bin_picking", help="cell profile: name or YAML file")
    p.add_argument(
        "--set", action="append", default=[], metavar="KEY:=VALUE", help="argument or node.parameter of the bringup"
    )
    p.add_argument("--no-noise", action="store_true", help="ideal depth images instead of the stereo noise model")
    p.add_argument("--no-bag", action="store_true", help="do not record a bag")
    p.add_argument("--max-attempts", type=int, default=0, help="attempts in a round (default: the pick node's)")
    p.add_argument(
        "--timeout", type=float, default=1800.0, help="longest a round may take, wall clock s (default 1800)"
    )
    p.add_argument("--keep", action="store_true", help="leave the nodes running after the last round, until Ctrl-C")
    return p


def seeds_of(args: argparse.Namespace) -> list[int]:
    """The seeds to run. Raises ValueError naming what is not a seed."""
    if not args.seeds:
        return [args.seed]
    try:
        seeds = [int(text) for text in args.seeds.split(",")]
    except ValueError as error:
        raise ValueError(f"--seeds {args.seeds!r}: expected whole numbers with commas, such as 0,1,2") from error
    if any(s < 0 for s in seeds) or len(set(seeds)) != len(seeds):
        raise ValueError(f"--seeds {args.seeds!r}: seeds must be different and not negative")
    return seeds


def free_domain() -> int:
    """A ROS domain that no participant on this machine uses."""
    start = os.getpid() % 100
    for domain in ((start + k) % 100 + 1 for k in range(100)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", FIRST_DISCOVERY_PORT + 250 * domain))
            except OSError:
                continue
            return domain
    raise DemoError("no free ROS domain between 1 and 100: set ROS_DOMAIN_ID")


def simulated_cell(args: argparse.Namespace, folder: Path) -> Bringup:
    """The processes of config/bringup/sim.yaml, not yet started; logs go to `folder`. Raises ConfigError."""
    settings = [
        f"cell:={args.cell}",
        f"scene:={args.scene}",
        f"objects:={args.objects}",
        f"seed:={args.seed_list[0]}",
        f"noise:={'false' if args.no_noise else 'true'}",
        *args.set,
    ]
    return Bringup.load("sim", folder, settings)


def run(args: argparse.Namespace, make_system: Callable[[argparse.Namespace, Path], Bringup] = simulated_cell) -> int:
    """Set up and run; exit code 0 when all went well, 1 otherwise."""
    args.seed_list = seeds_of(args)
    if args.objects < 1:
        raise ValueError(f"--objects {args.objects}: expected at least 1")
    if not os.environ.get("ROS_DOMAIN_ID"):
        os.environ["ROS_DOMAIN_ID"] = str(free_domain())
    folder = args.out / time.strftime("%Y-%m-%d_%H-%M-%S")
    (folder / "logs").mkdir(parents=True)
    demo = Demo(args, folder, make_system(args, folder / "logs"), Progress())

    def interrupt(*_: object) -> None:
        demo.interrupts += 1

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return 0 if demo.run() else 1
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = parser().parse_args(argv)
    try:
        return run(args)
    except (ValueError, DemoError, ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
