"""The detector in docs/PLUGINS.md works as it stands there, and the messages that it quotes are those of the code."""

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_perception.detectors import make_detector
from grasp_perception.detectors.checked import MAX_GRASPS

ROOT = Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "PLUGINS.md"
SOURCES = [ROOT / "grasp_core" / "grasps.py", *(ROOT / "grasp_perception" / "detectors").glob("*.py")]
NAME = "my_detector:Highest"
GRIPPER = Gripper.load("robotiq_2f85")
SEEN = Observation(Cloud(np.random.default_rng(0).uniform(0.0, 0.3, (1000, 3))))
REGION = Box([0.0, 0.0, 0.0], [0.1, 0.1, 0.2])


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory that holds the document's file and nothing else."""
    (example,) = re.findall(r"```python\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "my_detector.py").write_text(example, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "my_detector.py"
    sys.modules.pop("my_detector", None)
    importlib.invalidate_caches()


@pytest.mark.parametrize("python", [None, sys.executable])
def test_the_example_runs_in_this_process_and_in_its_own(plugin: Path, python: str | None) -> None:
    detector = make_detector(NAME, python, count=7)
    for region in (None, REGION):
        grasps = detector.detect(SEEN, GRIPPER, region)
        points = SEEN.cloud.points if region is None else SEEN.cloud.points[region.contains(SEEN.cloud.points)]
        highest = points[np.argsort(-points[:, 2])[:7]]
        np.testing.assert_allclose(grasps.t, highest - np.float32([0.0, 0.0, 0.02]), atol=1e-6)
        np.testing.assert_array_equal(grasps.R[:, :, 2], np.tile([0.0, 0.0, -1.0], (7, 1)))
    assert len(detector.detect(Observation(Cloud(np.zeros((0, 3)))), GRIPPER)) == 0
    detector.close()


def test_the_example_runs_under_the_command_line(plugin: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "cloud.npy", SEEN.cloud.points)
    command = [sys.executable, "-m", "grasp_eval.detect", "--cloud", "cloud.npy", "--cloud-frame", "base"]
    options = ["--detector", NAME, "--detector-python", sys.executable, "--out", "out"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "50 grasps" in done.stdout


def test_quoted_messages_are_messages_of_the_code() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    text = re.sub(r'"\s*\n\s*f?"', "", text)  # strings that go over several lines
    rows = DOC.read_text(encoding="utf-8").split("## What the checks say")[1].split("##")[0].splitlines()
    quoted = [q for row in rows if row.startswith("| `") for q in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert len(quoted) > 12
    missing = [q for q in quoted for piece in q.split("…") if piece.strip(" ]m") and piece.strip() not in text]
    assert not missing


def test_the_limit_is_that_of_the_code() -> None:
    assert f"At most {MAX_GRASPS} grasps" in DOC.read_text(encoding="utf-8").replace("\n", " ")


def test_the_gripper_of_the_document_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "grippers").mkdir()
    (tmp_path / "grippers" / "long_pads.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("SEEGRASP_CONFIG", str(tmp_path))
    mine = Gripper.load("long_pads")
    assert (mine.finger.length, mine.finger.width) == (0.08, GRIPPER.finger.width)
