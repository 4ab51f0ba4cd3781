"""docs/BENCHMARK.md says what the code says: options of `seegrasp bench`, keys and names of protocols, reasons."""

from __future__ import annotations

import importlib

import pytest

from grasp_core.config import config_dir
from grasp_eval.bench import records
from grasp_eval.bench.cli import COMMANDS
from grasp_eval.bench.protocol import Protocol
from test.docs.doc_tables import DOCS, code, keys, options, rows, section

DOC = DOCS / "BENCHMARK.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_options(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, function = COMMANDS[name][0].split(":")
    wanted = options(lambda: getattr(importlib.import_module(module), function)([]), monkeypatch)
    told = {code(cells[1]).split()[0] for cells in rows(section(DOC, "Options"), "of") if cells[0] == name}
    assert told == wanted, f"docs/BENCHMARK.md, options of `seegrasp bench {name}`"


def test_protocols() -> None:
    told = {code(cells[0]) for cells in rows(section(DOC, "Protocols"), "protocol")}
    assert told == {path.stem for path in (config_dir() / "protocols").glob("*.yaml")}


def test_keys_of_a_protocol() -> None:
    told = [code(cells[0]) for cells in rows(section(DOC, "Keys of a protocol"), "key")]
    assert told == list(keys(Protocol))


def test_reasons() -> None:
    told = {name.strip(" `") for cells in rows(section(DOC, "Physics"), "reason") for name in cells[0].split(",")}
    assert told == set(records.REASONS)
