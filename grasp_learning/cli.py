"""`seegrasp learn <command> ...`: makes what detectors learn from; commands are imported only when they are called."""

from __future__ import annotations

from collections.abc import Sequence

from grasp_eval.subcommands import dispatch

# name -> (module:function, what it is for)
COMMANDS = {
    "labels": ("grasp_learning.labels_command:main", "dense grasp labels of objects, one file for each"),
    "scenes": ("grasp_learning.scenes_command:main", "scenes to learn from, one file for each"),
    "train": ("grasp_learning.training.command:main", "train the dense network on scenes"),
    "calibrate": ("grasp_learning.calibrate_command:main", "what the scores of a trained network mean"),
    "export": ("grasp_learning.export_command:main", "weights and model card of a run, for the detector dense"),
    "check": ("grasp_learning.check_command:main", "how often labels and the physics of the free hand agree"),
}


def main(argv: Sequence[str]) -> int:
    """Run a command; returns its exit code. 2: no such command."""
    return dispatch("seegrasp learn", COMMANDS, argv)
