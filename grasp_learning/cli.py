"""`seegrasp learn <command> ...`: makes what detectors learn from; commands are imported only when they are called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

# name -> (module:function, what it is for)
COMMANDS = {
    "labels": ("grasp_learning.labels_command:main", "dense grasp labels of objects, one file for each"),
    "check": ("grasp_learning.check_command:main", "how often labels and the physics of the free hand agree"),
}


def usage() -> str:
    """The text of `seegrasp learn --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    end = "seegrasp learn <command> --help says more."
    return "\n".join(["usage: seegrasp learn <command> [options]", "", *lines, "", end])


def main(argv: Sequence[str]) -> int:
    """Run a command; returns its exit code. 2: no such command."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if argv else 2
    name, *rest = argv
    if name not in COMMANDS:
        print(f"seegrasp learn: no command {name!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    module, function = COMMANDS[name][0].split(":")
    try:
        command = getattr(importlib.import_module(module), function)
    except ImportError as error:
        print(f"seegrasp learn {name}: cannot import it: {error}; `seegrasp doctor` says more", file=sys.stderr)
        return 1
    return command(rest)
