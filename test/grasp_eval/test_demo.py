"""The demo against a fake stack over DDS: good runs, Ctrl-C, a node that dies, a scene that fails."""

import argparse
import csv
import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from grasp_core.cell import Cell
from grasp_eval import demo, demo_run
from grasp_eval.bag_reader import BagReader
from grasp_eval.demo_client import split_by_tray
from grasp_eval.results import SaveError
from seegrasp.bringup import Bringup
from seegrasp.bringup_config import NodePlan


def fake(args: argparse.Namespace, folder: Path) -> Bringup:
    return Bringup([NodePlan("fake_stack", "test.grasp_eval.fake_stack", "fake_stack", {}, {})], folder)


@pytest.fixture
def run_demo(ros_domain, tmp_path, monkeypatch):
    def run(mode: str, *options: str) -> tuple[int, Path]:
        monkeypatch.setenv("SEEGRASP_FAKE", mode)
        code = demo.run(demo.parser().parse_args(["--out", str(tmp_path), *options]), fake)
        (folder,) = tmp_path.iterdir()
        return code, folder

    return run


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "picks.csv").open() as file:
        return list(csv.DictReader(file))


def test_two_rounds_give_report_table_and_bag(run_demo, capsys):
    code, folder = run_demo("", "--seeds", "3,4")
    assert code == 0, capsys.readouterr()
    table = rows(folder)
    assert [(r["seed"], r["index"], r["success"]) for r in table] == [
        (s, str(i), "0" if i == 1 else "1") for s in "34" for i in range(4)
    ]
    assert table[1]["error"] == "GRIPPER_EMPTY"
    assert float(table[0]["plan_ms"]) == 12.5
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["totals"]["objects"]["count"] == 6
    assert summary["totals"]["attempts"]["of"] == 8
    assert "Objects in the tray: 6/6 = 100.0% [" in (folder / "results.md").read_text()
    page = (folder / "report.html").read_text()
    assert 1 <= page.count("data:image/jpeg;base64,") <= 8, "images are best effort: an attempt may have none"
    assert "&lt;nothing&gt; &amp; opened" in page
    assert "<nothing>" not in page
    with BagReader(folder / "bag") as bag:
        assert not bag.damage
        assert bag.topics["/tf_static"].count == 1
        assert bag.topics["/joint_states"].count > bag.topics["/camera/camera/color/image_raw"].count > 2
        assert bag.start_ns < 100e9, "log times are ROS time"
    assert "fake_stack.log" in [p.name for p in (folder / "logs").iterdir()]
    assert "objects in the tray   6 of 6" in capsys.readouterr().out


def test_a_node_that_dies_is_named_and_results_are_kept(run_demo, capsys):
    code, folder = run_demo("die")
    assert code == 1
    assert len(rows(folder)) == 1
    page = (folder / "report.html").read_text()
    assert "node fake_stack ended with exit code 3" in page
    assert "about to die" in page
    assert (folder / "bag" / "metadata.yaml").exists()


def test_ctrl_c_stops_the_robot_and_reports(run_demo, capsys):
    def interrupt() -> None:
        end = time.monotonic() + 20
        while not (seen := capsys.readouterr().out) or "attempt 0: picked" not in seen:
            if time.monotonic() > end:
                break
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    code, folder = run_demo("hang")
    thread.join()
    assert code == 1
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["problems"] == ["interrupted by Ctrl-C"]
    assert summary["rounds"][0]["error_code"] == 2
    assert len(rows(folder)) == 1
    assert (folder / "report.html").exists()


def test_a_round_that_never_ends_is_ended(run_demo):
    code, folder = run_demo("hang", "--timeout", "2", "--no-bag")
    assert code == 1
    problems = json.loads((folder / "summary.json").read_text())["problems"]
    assert "did not end within 2 s" in problems[0]
    assert not (folder / "bag").exists()


def test_a_scene_that_cannot_be_reset_is_an_error(run_demo):
    code, folder = run_demo("no_scene", "--no-bag")
    assert code == 1
    assert "no such scene" in (folder / "report.html").read_text()


def test_full_disk_while_writing_the_table_is_told_and_the_run_goes_on(run_demo, monkeypatch):
    def full(path, row, columns=()):
        raise SaveError(f"{path}: No space left on device")

    monkeypatch.setattr(demo_run, "append_csv", full)
    code, folder = run_demo("", "--no-bag")
    assert code == 1
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["totals"]["attempts"]["of"] == 4
    assert "No space left" in summary["problems"][0]


@pytest.mark.parametrize("text", ["1,x", "1,1", "-1", ""])
def test_bad_seeds_are_named(text):
    args = demo.parser().parse_args([f"--seeds={text}"])
    if text:
        with pytest.raises(ValueError, match="--seeds"):
            demo.seeds_of(args)
    else:
        assert demo.seeds_of(args) == [0]


def test_objects_are_counted_by_where_they_are():
    cell = Cell.load("bin_picking")
    centres = {"in": (0.3, 0.5, 0.03), "rim": (0.3, 0.66, 0.03), "bin": (0.5, 0.0, 0.03), "lost": (0.3, 0.5, -0.5)}
    inside, outside = split_by_tray({k: np.array(v) for k, v in centres.items()}, cell)
    assert inside == ["in"]
    assert outside == ["bin", "lost", "rim"]


def test_a_free_domain_is_in_range():
    assert 1 <= demo.free_domain() <= 100
