"""`ur_controller`: a UR controller on the network, without a robot; lines on its standard input make things go wrong.

ur_controller --address 127.0.0.2 --model ur5e
> protective_stop
> unlock
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence

from grasp_core.errors import ConfigError
from grasp_core.ur_modes import SafetyMode
from grasp_sim.ur_controller.controller import Controller, ControllerThread
from grasp_sim.ur_controller.models import MODELS, Version, find_model
from grasp_sim.ur_controller.process import READY

_PRIORITY = 70
COMMANDS: dict[str, tuple[str, Callable[[Controller], object]]] = {
    "protective_stop": ("the arm brakes, the program ends", lambda c: c.protective_stop()),
    "unlock": ("end a protective stop", lambda c: c.safety.unlock()),
    "emergency_stop": ("press the red button: power goes", lambda c: c.emergency_stop()),
    "release": ("pull it out again, or close the safeguard", lambda c: c.safety.release()),
    "safeguard_stop": ("open the safeguard", lambda c: c.safeguard_stop()),
    "power_off": ("take the power away", lambda c: c.power_off()),
    "power_on": ("power, and brakes released", lambda c: c.safety.release_brakes()),
    "local": ("local control: nothing from the network runs", lambda c: c.set_remote(False)),
    "remote": ("remote control", lambda c: c.set_remote(True)),
    "stop_program": ("end the program", lambda c: c.program.stop("stopped on the pendant")),
    "gripper_power": ("the gripper loses its power, and gets it again", lambda c: c.gripper.lose_power()),
    "drop": ("end every connection", lambda c: c.drop_links()),
    "refuse": ("end every connection and take no new ones", lambda c: (c.refuse_links(True), c.drop_links())),
    "accept": ("take connections again", lambda c: c.refuse_links(False)),
    "pull_cable": ("RTDE goes silent", lambda c: c.pull_cable(True)),
    "plug_cable": ("and speaks again", lambda c: c.pull_cable(False)),
}


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="ur_controller",
        description=__doc__.splitlines()[0],
        epilog="commands on standard input: " + "; ".join(f"{name}: {what}" for name, (what, _) in COMMANDS.items()),
    )
    parser.add_argument("--address", default="127.0.0.2", help="own address; the ports are fixed (127.0.0.2)")
    parser.add_argument("--model", default="ur5e", choices=MODELS, help="ur5e, or ur5 for a CB3")
    parser.add_argument("--version", default="", metavar="A.B.C.D", help="PolyScope's (the model's usual one)")
    parser.add_argument("--local", action="store_true", help="start in local control")
    parser.add_argument("--realtime", action="store_true", help="real-time priority: never late, whatever else runs")
    return parser.parse_args(argv)


def parse_version(text: str) -> Version | None:
    """Four numbers with dots, "" as None; ConfigError."""
    if not text:
        return None
    parts = text.split(".")
    if len(parts) != 4 or not all(part.isdigit() for part in parts):
        raise ConfigError(f"--version {text!r}: expected four numbers such as 5.11.1.108318")
    major, minor, bugfix, build = (int(part) for part in parts)
    return major, minor, bugfix, build


def obey(controller: Controller, line: str) -> str:
    """Carry out one line of the standard input; the answer."""
    words = line.split()
    if not words:
        return ""
    if words[0] == "block_gripper" and len(words) == 2:  # an object at this share of the stroke
        controller.gripper.fingers.blocked_at = float(words[1])
        return "ok"
    if words[0] == "slider" and len(words) == 2:
        controller.registers.slider = float(words[1])
        return "ok"
    if words[0] == "safety_stop" and len(words) == 2:  # by its number, also one that nobody knows yet
        controller.stop(SafetyMode(int(words[1])), "asked for")
        return "ok"
    if words[0] == "state":
        c, q = controller, controller.arm.measured.q.round(4).tolist()
        return f"{c.safety.robot_mode.name} {c.safety.safety_mode.name} still={c.arm.still} time={c.time:.3f} q={q}"
    if words[0] not in COMMANDS:
        return (
            f"unknown command {words[0]!r}; there are: state, slider SHARE, block_gripper SHARE, safety_stop MODE, "
            f"{', '.join(COMMANDS)}"
        )
    COMMANDS[words[0]][1](controller)
    return "ok"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; ends with the standard input, or with Ctrl-C."""
    args = parse(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if args.realtime:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
        controller = Controller(find_model(args.model), args.address, version=parse_version(args.version))
    except (ConfigError, OSError) as error:
        print(f"ur_controller: {args.address}: {error}", file=sys.stderr)
        return 1
    controller.safety.remote = not args.local
    running = ControllerThread(controller)
    print(READY, flush=True)
    try:
        for line in sys.stdin:
            print(obey(controller, line), flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        running.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
