"""docs/LEARNING.md says of training what the code says: terms of the loss, measures, files of a run."""

from __future__ import annotations

from pathlib import Path

from grasp_learning.training.checkpoint import RunFolder
from grasp_learning.training.recipe import LossWeights
from grasp_learning.training.validation import MEASURES
from test.docs.doc_tables import DOCS, code, rows, section

TEXT = section(DOCS / "LEARNING.md", "Training")


def test_terms() -> None:
    assert [code(cells[0]) for cells in rows(TEXT, "term")] == list(LossWeights.model_fields)


def test_measures() -> None:
    assert {code(cells[0]): cells[1] for cells in rows(TEXT, "measure")} == MEASURES


def test_files() -> None:
    run = RunFolder(Path())
    files = {
        path.name
        for path in (run.recipe, run.scenes, run.checkpoint, run.weights, run.ranking, run.metrics, run.curves)
    }
    assert {code(cells[0]) for cells in rows(TEXT, "file of a run")} == files
