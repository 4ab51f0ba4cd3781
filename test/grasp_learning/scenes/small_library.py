"""A library of two procedural objects with coarse labels, made once for all tests of a process."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from grasp_learning.engine import label_object
from grasp_learning.label_files import label_path, save_labels
from grasp_learning.scenes.library import Library
from grasp_sim.object_sets import load_object_set
from test.grasp_learning.things import GRIPPER

SPACING = 0.03
OBJECTS = "procedural-train"
NAMES = ("box-train-005", "cylinder-train-013")
_KEPT: list[tempfile.TemporaryDirectory] = []


@cache
def folder() -> Path:
    """Where the labels lie; it goes when the process ends."""
    _KEPT.append(tempfile.TemporaryDirectory())
    path = Path(_KEPT[-1].name)
    objects = load_object_set(OBJECTS)
    for name in NAMES:
        save_labels(label_path(path, name), label_object(objects.find(name), GRIPPER, SPACING))
    return path


def library() -> Library:
    return Library.open(folder(), load_object_set(OBJECTS), GRIPPER, SPACING)
