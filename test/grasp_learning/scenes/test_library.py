from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from grasp_core.errors import InputError
from grasp_learning.label_files import LabelsError, label_path, load_labels
from grasp_learning.object_labels import NO_GRASP
from grasp_learning.scenes.library import Library
from grasp_sim.object_sets import load_object_set
from test.grasp_learning.scenes.small_library import NAMES, OBJECTS, SPACING, folder, library
from test.grasp_learning.things import GRIPPER


def test_only_what_is_free_is_kept() -> None:
    name = NAMES[0]
    labels, kept = load_labels(label_path(folder(), name)), library().labelled(name)
    codes = np.full(labels.friction_code.shape, NO_GRASP, dtype=np.uint8)
    widths = np.zeros_like(codes)
    point = np.repeat(np.arange(len(labels)), np.diff(kept.start))
    codes[point, kept.candidate] = kept.friction_code
    widths[point, kept.candidate] = kept.width_code
    free = ~labels.collision().reshape(len(labels), -1) & (labels.friction_code != NO_GRASP)
    assert free.any()
    assert np.array_equal(codes, np.where(free, labels.friction_code, NO_GRASP))
    assert np.array_equal(widths, np.where(free, labels.width_code, 0))


def test_others_are_left_out(tmp_path: Path) -> None:
    shutil.copy(label_path(folder(), NAMES[0]), label_path(tmp_path, NAMES[0]))
    shutil.copy(label_path(folder(), NAMES[0]), label_path(tmp_path, NAMES[1]))  # of another object
    objects = load_object_set(OBJECTS)
    assert Library.open(tmp_path, objects, GRIPPER, SPACING).names == [NAMES[0]]
    with pytest.raises(InputError, match=r"no labels of procedural-train .* points 0.005 m apart; `seegrasp learn"):
        Library.open(tmp_path, objects, GRIPPER, 0.005)
    label_path(tmp_path, NAMES[1]).write_bytes(b"nothing")
    with pytest.raises(LabelsError, match=NAMES[1]):
        Library.open(tmp_path, objects, GRIPPER, SPACING)
