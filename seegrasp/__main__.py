"""`seegrasp <command> ...`: finds the command and hands the other arguments to it.

A command is a function `(argv: list[str]) -> int`, imported only when it is called, so that `seegrasp doctor` works
where something that `seegrasp demo` needs does not.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """Where a command lives and what it is for."""

    target: str  # module:function
    help: str


COMMANDS = {
    "demo": Command("grasp_eval.demo:main", "the simulated robot clears a bin; writes a report, a table and a bag"),
    "up": Command(
        "seegrasp.bringup:main",
        "start the nodes for a simulated or real arm, or for a bag",
    ),
    "arm": Command("seegrasp.operate:arm", "allow goals to move the arm"),
    "pause": Command("seegrasp.operate:pause", "stop the arm; what it was doing waits"),
    "resume": Command("seegrasp.operate:resume", "go on after a pause"),
    "stop": Command("seegrasp.operate:stop", "stop the arm and end what it was doing"),
    "recover": Command("seegrasp.operate:recover", "after a stop of the robot: have our own driver take it up again"),
    "pick": Command("seegrasp.pick:main", "ask the running nodes to pick; shows the progress"),
    "detect": Command("grasp_eval.detect:main", "grasps from an RGB-D pair or a cloud file"),
    "replay": Command("grasp_eval.replay:main", "feed a bag to the nodes, or evaluate it offline"),
    "record": Command("grasp_eval.record:main", "record the stack's topics into a bag"),
    "bench": Command("grasp_eval.bench.cli:main", "measure detectors: clutter clearing, latency, AP; compare runs"),
    "learn": Command("grasp_learning.cli:main", "make grasp labels of objects, and check them by physics"),
    "calibrate": Command("hand_eye.nodes.calibrate:main", "find where a camera is on the arm or beside it; check it"),
    "doctor": Command("seegrasp.doctor:main", "check this machine, the installation and the running nodes"),
}


def usage() -> str:
    """The text of `seegrasp --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: seegrasp <command> [options]", "", *lines, "", "seegrasp <command> --help says more."])


def load(name: str):
    """The function of a command. ImportError names what cannot be imported."""
    module, function = COMMANDS[name].target.split(":")
    return getattr(importlib.import_module(module), function)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code. 2: no such command."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if args else 2
    name, *rest = args
    if name not in COMMANDS:
        print(f"seegrasp: no command {name!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        function = load(name)
    except ImportError as error:
        print(f"seegrasp {name}: cannot import it: {error}; `seegrasp doctor` says what is missing", file=sys.stderr)
        return 1
    try:
        return int(function(rest) or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `seegrasp ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())
