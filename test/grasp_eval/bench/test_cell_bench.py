"""Picking with the whole arm without ROS: one object to the tray, times, options."""

import json

import numpy as np
import pytest

from grasp_core.arm import ArmProfile
from grasp_core.cell import Box, Cell
from grasp_core.errors import DetectorError
from grasp_core.gripper import Gripper
from grasp_eval.bench import cell_bench
from grasp_eval.bench.cell_drivers import TimedPlanner, branch
from grasp_eval.bench.cell_run import Attempt, StageTimes, over
from grasp_sim.work_cell import WorkCell


@pytest.mark.parametrize("kind", ["bin", "single"])
def test_one_object_goes_to_the_tray_and_is_written_down(kind, tmp_path, capsys):
    out = tmp_path / "attempts.json"
    options = ["--seeds", "3:4", "--objects", "1", "--max-attempts", "3", "--scene", kind, "--json", str(out)]
    assert cell_bench.main(options) == 0
    found = json.loads(out.read_text())
    last = found["attempts"][-1]
    assert last["success"]
    assert last["objects"]
    assert last["placed"], last["carry_error"]
    summary = found["summary"]
    assert summary["objects_taken_out"]["count"] == 1
    assert summary["placed_in_tray"]["count"] == 1
    for stage in ("wait", "approach", "close", "lift", "place", "return"):
        assert 0.1 < last["motion_s"][stage] < 20.0
    assert set(last["computing_s"]) == {"cloud", "detect", "plan"}
    rates = summary["picks_per_hour"]
    motion, computing = sum(summary["motion_s"].values()), sum(summary["computing_s"].values())
    assert rates["motion"] == pytest.approx(3600 / motion)
    assert rates["motion_and_computing"] == pytest.approx(3600 / (motion + computing))
    text = capsys.readouterr().out
    assert "objects taken out:      1 of 1" in text
    assert "picks per hour" in text


@pytest.fixture(scope="module")
def world():
    cell = Cell.load("bin_picking")
    return WorkCell(cell, ArmProfile.load(cell.arm), Gripper.load(cell.gripper))


def test_what_happens_in_a_branch_stays_there(world):
    world.run(0.1)
    q, at = world.q.copy(), world.time
    copied = branch(world)
    assert np.array_equal(copied.q, q)
    copied.place_arm(q + 0.3)
    copied.gripper.move(0.0)
    copied.run(0.2)
    assert copied.width < world.width - 0.01
    assert np.array_equal(world.q, q)
    assert world.time == at
    assert world.gripper.command.width > 0


def test_a_branch_goes_on_as_the_world_would_have(world):
    copied = branch(world)
    for one in (world, copied):
        one.gripper.move(0.02)
        one.run(0.3)
    assert np.array_equal(world.data.qpos, copied.data.qpos)


def test_stage_times_add_up_simulated_seconds(world):
    times = StageTimes(world)
    for stage, seconds in (("lift", 0.1), ("place", 0.2), ("lift", 0.3)):
        times(stage)
        world.run(seconds)
    times("")
    world.run(0.1)
    assert times.seconds == {"lift": pytest.approx(0.4), "place": pytest.approx(0.2)}


def test_a_timed_planner_counts_also_what_fails():
    class Planner:
        seed = 7

        def plan(self, x):
            return 1 / x

    timed = TimedPlanner(Planner())
    assert timed.plan(2) == 0.5
    after = timed.seconds
    assert after > 0
    with pytest.raises(ZeroDivisionError):
        timed.plan(0)
    assert timed.seconds > after
    assert timed.seed == 7


def attempt(success, placed=False, carry_error="", **motion):
    error = "" if success else "GRIPPER_EMPTY"
    return Attempt(1, 0, success, 0.5, "verify", error, ["a"], placed, carry_error, motion, {"plan": 1.0})


def test_summary_counts_only_what_lies_in_the_tray():
    attempts = [
        attempt(True, True, lift=3.0, place=6.0),
        attempt(True, False, "lost", lift=3.0, place=2.0),
        attempt(False, lift=3.0),
    ]
    summary = cell_bench.summarise(attempts, 10, 8)
    assert summary["attempts"]["count"] == 2
    assert (summary["objects_taken_out"]["count"], summary["objects_taken_out"]["rate"]) == (2, 0.2)
    assert summary["placed_in_tray"]["rate"] == 0.5
    assert summary["motion_s"] == {"lift": 9.0, "place": 8.0}
    assert summary["failures"] == {"verify GRIPPER_EMPTY": 1}
    assert summary["carry_failures"] == {"lost": 1}
    assert summary["picks_per_hour"] == {
        "motion": pytest.approx(3600 / 17),
        "motion_and_computing": pytest.approx(3600 / 20),
    }


def test_nothing_tried_is_told_without_rates():
    summary = cell_bench.summarise([], 10, 10)
    assert summary["picks_per_hour"] == {"motion": None, "motion_and_computing": None}
    assert "attempts that held:     none" in cell_bench.told(summary)


def test_grasps_may_lie_around_a_scene_without_a_bin_but_not_on_the_table():
    region = over(Box([0.3, -0.1, 0.0], [0.6, 0.1, 0.25]))
    assert region.contains([0.27, -0.12, 0.02])
    assert not region.contains([0.4, 0.0, 0.001])


@pytest.mark.parametrize("seeds", ["3", "4:4", "5:2", "a:b", "-1:3"])
def test_bad_seeds_are_told(seeds, capsys):
    with pytest.raises(SystemExit):
        cell_bench.main([f"--seeds={seeds}"])
    assert "FIRST:END" in capsys.readouterr().err


def test_an_unknown_detector_is_told(capsys):
    assert cell_bench.main(["--seeds", "3:4", "--objects", "1", "--detector", "nosuch"]) == 1
    assert "unknown detector 'nosuch'" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (DetectorError("it broke"), 1)])
def test_what_was_finished_is_kept_when_it_is_stopped(error, code, tmp_path, capsys, monkeypatch):
    class Stopped:
        def __init__(self, cell, detector, objects, seed, min_score, kind) -> None:
            if seed == 5:
                raise error
            self.left = {"box_00"}

        def run(self, max_attempts: int) -> list[Attempt]:
            return [Attempt(3, 0, True, 0.5, "verify_lift", "", ["can_01"])]

    monkeypatch.setattr(cell_bench, "Bench", Stopped)
    out = tmp_path / "attempts.json"
    assert cell_bench.main(["--seeds", "3:6", "--objects", "2", "--json", str(out)]) == code
    summary = json.loads(out.read_text())["summary"]
    assert (summary["objects_taken_out"]["count"], summary["objects_taken_out"]["of"]) == (2, 4)
    assert "2 of 3 scenes were finished" in capsys.readouterr().err
