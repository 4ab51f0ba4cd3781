"""Worker processes: the same results for any number of them, and what hostile detectors do to them."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from grasp_eval.bench import scheduler
from grasp_eval.bench.records import RoundResult, RunConfig, untimed
from grasp_eval.bench.scheduler import EngineError, Job, LocalEngine, Patience, cut_short
from test.grasp_eval.bench import fake_rounds

FAKE = "test.grasp_eval.bench.fake_rounds"


def job(timeout: float = 60.0, detector: str = "fake", **params: object) -> Job:
    config = RunConfig(detector=detector, detector_params=params, detector_timeout=timeout)
    return Job(config, f"{FAKE}:make", fake_rounds.play)


def collect(job: Job, workers: int, rounds: int) -> dict[int, RoundResult]:
    with LocalEngine(job, workers) as engine:
        return {r.round.round: r for r in engine.rounds(range(rounds))}


def compared(result: RoundResult) -> tuple:
    return untimed(result.round), [untimed(a) for a in result.attempts], result.pictures


def ends(pid: int) -> bool:
    """Whether a process ends within 10 s, if it has not yet; a zombie has."""
    stat = Path(f"/proc/{pid}/stat")
    end = time.monotonic() + 10
    while stat.exists() and stat.read_text().rsplit(") ")[-1][0] != "Z":
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_results_do_not_depend_on_the_number_of_workers() -> None:
    one, three = collect(job(), 1, 6), collect(job(), 3, 6)
    assert list(one) == list(range(6))
    assert [compared(one[i]) for i in range(6)] == [compared(three[i]) for i in range(6)]
    assert {r.round.first["threads"] for r in one.values()} == {"1"}


def test_hostile_detectors_cost_their_round_alone() -> None:
    hostile = {"hang": [0], "abort": [1], "raise": [2], "leave": [4]}
    found = collect(job(1.0, **hostile), 2, 6)
    endings = {i: (r.round.ended, r.round.error) for i, r in found.items()}
    assert endings[0] == ("detector_timeout", "no answer within 1 s")
    assert endings[1] == ("worker_died", "was killed by SIGABRT")
    assert endings[2][0] == "worker_died"
    assert "raised ValueError: round 2 is not to my liking (fake_rounds.py, line" in endings[2][1]
    assert endings[4] == ("worker_died", "left with exit code 3")
    assert {endings[i][0] for i in (3, 5)} <= {"cleared", "attempts"}
    for i in (0, 1, 2, 4):  # what the round had come to is kept, without pictures, which were lost
        assert found[i].round.objects == fake_rounds.OBJECTS
        assert [a.index for a in found[i].attempts] == [0]
        assert found[i].attempts[0].picture == ""


@pytest.mark.parametrize(
    ("detector", "words"), [("refuses", "unknown detector 'refuses'"), ("aborts", "was killed by SIGABRT")]
)
def test_a_detector_that_cannot_be_made_stops_the_run(detector: str, words: str) -> None:
    with pytest.raises(EngineError, match=f"detector '{detector}' cannot be made: .*{words}"):
        collect(job(detector=detector), 1, 3)


def test_a_function_that_is_not_there_is_named() -> None:
    engine = LocalEngine(Job(RunConfig(), f"{FAKE}:nothing"), 1)
    with pytest.raises(EngineError, match="has no attribute 'nothing'"):
        engine.__enter__()


@pytest.mark.parametrize(("endings", "most"), [(["worker_died"], 5), (["detector_error", "detector_timeout"], 10)])
def test_rounds_broken_off_in_a_row_stop_the_run(endings: list[str], most: int) -> None:
    patience = Patience()
    broken = [cut_short(i, None, endings[i % len(endings)], f"trouble {i}") for i in range(2 * most)]
    for result in broken[: most - 1]:
        patience.judge(result)
    patience.judge(cut_short(99, None, "cleared", ""))
    for result in broken[: most - 1]:
        patience.judge(result)
    with pytest.raises(EngineError, match=rf"{most} rounds in a row .* trouble {most - 1}"):
        patience.judge(broken[most - 1])


def test_the_run_stops_after_deaths_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "MAX_DEATHS", 2)
    found = []
    with LocalEngine(job(leave=[0, 2, 3]), 1) as engine:
        results = (found.append(r.round.round) for r in engine.rounds(range(9)))
        with pytest.raises(EngineError, match="2 rounds in a row"):
            list(results)
    assert found == [0, 1, 2, 3]


def test_stopping_leaves_no_process_behind(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with LocalEngine(job(orphan=[1], pids=str(pids)), 1) as engine:
        (worker,) = engine._crew
        found = [r.round.round for r in engine.rounds(range(3), stop=pids.exists)]
    assert found == [0]
    assert ends(worker.process.pid)
    assert ends(int(pids.read_text()))


def test_workers_end_when_their_engine_is_killed() -> None:
    code = f"""
import os, signal
from grasp_eval.bench.records import RunConfig
from grasp_eval.bench.scheduler import Job, LocalEngine
if __name__ == "__main__":
    job = Job(RunConfig(detector_params={{"hang": [0]}}), "{FAKE}:make", "{FAKE}:play")
    with LocalEngine(job, 1) as engine:
        print(engine._crew[0].process.pid, flush=True)
        list(engine.rounds([0], stop=lambda: engine._crew[0].deadline and os.kill(os.getpid(), signal.SIGKILL)))
"""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=root)
    assert done.returncode == -9, done.stderr
    assert ends(int(done.stdout))
