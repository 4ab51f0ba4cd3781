"""docs/LEARNING.md says what the code says: options of `seegrasp learn`, arrays of a file."""

from __future__ import annotations

import importlib

import pytest

from grasp_learning.cli import COMMANDS
from grasp_learning.label_files import ABOUT, ARRAYS
from test.docs.doc_tables import DOCS, code, options, rows, section

DOC = DOCS / "LEARNING.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_options(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, function = COMMANDS[name][0].split(":")
    wanted = options(lambda: getattr(importlib.import_module(module), function)([]), monkeypatch)
    told = {code(cells[1]).split()[0] for cells in rows(section(DOC, "Options"), "of") if cells[0] == name}
    assert told == wanted, f"docs/LEARNING.md, options of `seegrasp learn {name}`"


def test_arrays() -> None:
    told = {name.strip(" `") for cells in rows(section(DOC, "Files"), "array") for name in cells[0].split(",")}
    assert told == {ABOUT, *ARRAYS}
