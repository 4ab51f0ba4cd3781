"""Detectors by name: what comes with the package, and which of them is taken where none is named."""

import re
from pathlib import Path

import pytest
import yaml

from grasp_eval.bench import cell_bench, latency
from grasp_eval.bench.records import RunConfig
from grasp_perception.detectors import DEFAULT, make_detector, module_of, names

ROOT = Path(__file__).resolve().parents[2]


def test_the_default_is_one_of_them() -> None:
    assert DEFAULT in names()


def test_bringups_take_the_default() -> None:
    files = sorted((ROOT / "config" / "bringup").glob("*.yaml"))
    spec = {path.name: yaml.safe_load(path.read_text(encoding="utf-8"))["arguments"] for path in files}
    detectors = {name: arguments["detector"] for name, arguments in spec.items() if "detector" in arguments}
    assert len(detectors) >= 3
    assert {name: d["default"] for name, d in detectors.items()} == dict.fromkeys(detectors, DEFAULT)
    assert all(name in d["description"] for d in detectors.values() for name in names())


def test_commands_take_the_default() -> None:
    assert RunConfig().detector == DEFAULT
    assert latency.parser().get_default("detector") == DEFAULT
    assert cell_bench.parser().get_default("detector") == DEFAULT


@pytest.mark.parametrize("doc", ["NODES.md", "BENCHMARK.md"])
def test_documents_name_the_default(doc: str) -> None:
    rows = [r for r in (ROOT / "docs" / doc).read_text(encoding="utf-8").splitlines() if "`--detector NAME` |" in r]
    told = [name for row in rows for name in re.findall(r"\(`(\w+)`\)", row)]
    assert told
    assert set(told) == {DEFAULT}


def test_modules_are_known_before_a_detector_is_made() -> None:
    assert module_of("dense") == "grasp_perception.dense.detector"
    assert module_of("my.module:make") == "my.module"
    assert module_of("unknown") == ""
    detector = make_detector("analytic")
    assert type(detector.inner).__module__ == module_of("analytic")
