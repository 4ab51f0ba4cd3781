"""`seegrasp bench <command> ...`: measures detectors; the commands are imported only when they are called."""

from __future__ import annotations

from collections.abc import Sequence

from grasp_eval.subcommands import dispatch

# name -> (module:function, what it is for)
COMMANDS = {
    "clutter": ("grasp_eval.bench.clutter:main", "a detector clears scenes under a named protocol; a run folder"),
    "compare": ("grasp_eval.bench.compare:main", "two or more runs on the same scenes, in pairs"),
    "report": ("grasp_eval.bench.run_report:main", "write the report of a run folder again"),
    "latency": ("grasp_eval.bench.latency:main", "time and memory of detectors, by stage and by size"),
    "graspnet": ("grasp_eval.bench.graspnet:main", "the GraspNet-1Billion metric of a dump, with its data set"),
    "stream": (
        "grasp_eval.bench.stream:main",
        "how evenly poses reach a UR arm, how soon a broken link shows",
    ),
    "cell": ("grasp_eval.bench.cell_bench:main", "picking with the whole arm in the simulated cell: picks per hour"),
}


def main(argv: Sequence[str]) -> int:
    """Run a command; returns its exit code. 2: no such command."""
    return dispatch("seegrasp bench", COMMANDS, argv)
