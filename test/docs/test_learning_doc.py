"""docs/LEARNING.md says what the code says: options of `seegrasp learn`, arrays of a file."""

from __future__ import annotations

import importlib

import pytest

from grasp_learning.cli import COMMANDS
from grasp_learning.label_files import ABOUT, ARRAYS
from grasp_learning.scenes import arrangement, looks, scene_files
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


def test_scene_arrays() -> None:
    cells = rows(section(DOC, "Scene files"), "array")
    assert {name.strip(" `") for row in cells for name in row[0].split(",")} == {
        scene_files.ABOUT,
        *scene_files.ARRAYS,
    }


def test_kinds_of_scenes() -> None:
    told = {code(kind): (share, objects) for kind, share, objects in rows(section(DOC, "Scenes"), "kind")}
    assert told == {
        kind: (f"{100 * share:.0f} %", "{} to {}".format(*arrangement.COUNTS[kind]))
        for kind, share in arrangement.KINDS.items()
    }


def test_noise_of_scenes() -> None:
    told = {code(mode): (share, cameras) for mode, share, cameras in rows(section(DOC, "Scenes"), "noise")}
    assert told == {
        mode: (f"{100 * share:.0f} %", ", ".join(f"`{name}`" for name in looks.CAMERAS[mode]))
        for mode, share in looks.NOISE.items()
    }
