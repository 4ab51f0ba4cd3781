"""`seegrasp bench <command> ...`: measures detectors; the commands are imported only when they are called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

# name -> (module:function, what it is for)
COMMANDS = {
    "clutter": ("grasp_eval.bench.clutter:main", "a detector clears scenes under a named protocol; a run folder"),
    "compare": ("grasp_eval.bench.compare:main", "two or more runs on the same scenes, in pairs"),
    "report": ("grasp_eval.bench.run_report:main", "write the report of a run folder again"),
    "latency": ("grasp_eval.bench.latency:main", "time and memory of detectors, by stage and by size"),
    "graspnet": ("grasp_eval.bench.graspnet:main", "the GraspNet-1Billion metric of a dump, with its data set"),
    "cell": ("grasp_eval.bench.cell_bench:main", "picking with the whole arm in the simulated cell: picks per hour"),
}


def usage() -> str:
    """The text of `seegrasp bench --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    end = "seegrasp bench <command> --help says more."
    return "\n".join(["usage: seegrasp bench <command> [options]", "", *lines, "", end])


def main(argv: Sequence[str]) -> int:
    """Run a command; returns its exit code. 2: no such command."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if argv else 2
    name, *rest = argv
    if name not in COMMANDS:
        print(f"seegrasp bench: no command {name!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    module, function = COMMANDS[name][0].split(":")
    try:
        command = getattr(importlib.import_module(module), function)
    except ImportError as error:
        print(f"seegrasp bench {name}: cannot import it: {error}; `seegrasp doctor` says more", file=sys.stderr)
        return 1
    return command(rest)
