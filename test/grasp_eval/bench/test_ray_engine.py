"""Rounds as Ray tasks: the same as on one machine, whatever dies. Skipped where Ray is not installed."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grasp_eval.bench.ray_engine import RayEngine, check_place, cluster
from grasp_eval.bench.records import RoundResult, RunConfig, untimed
from grasp_eval.bench.scheduler import EngineError, Job, LocalEngine

FAKE = "test.grasp_eval.bench.fake_rounds"


@pytest.fixture(scope="module")
def ray() -> Iterator[object]:
    """A one-node Ray of this module's own."""
    module = pytest.importorskip("ray")
    with cluster("auto", 2) as where:
        assert where == "Ray on this machine alone, 2 CPUs"
        yield module


def job(timeout: float = 60.0, detector: str = "fake", **params: object) -> Job:
    config = RunConfig(detector=detector, detector_params=params, detector_timeout=timeout)
    return Job(config, f"{FAKE}:make", f"{FAKE}:play")


def compared(result: RoundResult) -> tuple:
    return untimed(result.round), [untimed(a) for a in result.attempts], result.pictures


def collect(engine: LocalEngine | RayEngine, rounds: int) -> list[tuple]:
    with engine:
        return [compared(r) for r in sorted(engine.rounds(range(rounds)), key=lambda r: r.round.round)]


def test_without_ray_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineError, match="pip install -r requirements-cluster"), cluster("auto", 1):
        pass


def test_an_address_where_nobody_listens_is_named() -> None:
    pytest.importorskip("ray")
    with pytest.raises(EngineError, match=r"no Ray cluster at 127\.0\.0\.1:9: .*refused"), cluster("127.0.0.1:9", 1):
        pass


@pytest.mark.usefixtures("ray")
def test_results_are_those_of_one_machine_also_of_hostile_detectors() -> None:
    hostile = job(1.0, hang=[0], abort=[1], leave=[4])
    found = collect(RayEngine(hostile), 6)
    assert found == collect(LocalEngine(hostile, 2), 6)
    assert [r[0]["ended"] for r in found if r[0]["round"] in (0, 1, 4)] == [
        "detector_timeout",
        "worker_died",
        "worker_died",
    ]


@pytest.mark.usefixtures("ray")
def test_a_round_is_repeated_when_its_ray_worker_dies(tmp_path: Path) -> None:
    kills = job(kills_ray=str(tmp_path / "marker"))
    found = collect(RayEngine(kills, workers=1), 2)
    assert (tmp_path / "marker").exists()
    assert found == collect(LocalEngine(kills, 1), 2)


@pytest.mark.usefixtures("ray")
def test_a_detector_that_cannot_be_made_stops_the_run() -> None:
    with pytest.raises(EngineError, match=r"detector 'refuses' cannot be made: .*unknown detector 'refuses'"):
        RayEngine(job(detector="refuses")).__enter__()


def test_nodes_with_another_commit_are_refused() -> None:
    check_place(("a", "1f2e3d"), ("b", "1f2e3d"))
    check_place(("a", "1f2e3d"), ("a", "1f2e3d-dirty"))  # the same files, changed meanwhile
    with pytest.raises(EngineError, match="node b has seegrasp abc, this one 1f2e3d: bring them to the same commit"):
        check_place(("a", "1f2e3d"), ("b", "abc"))


@pytest.mark.usefixtures("ray")
def test_stopping_leaves_no_process_behind(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    engine = RayEngine(job(hang=[1], pid=str(pids)), workers=1)
    begin = time.monotonic()
    with engine:
        found = [r.round.round for r in engine.rounds(range(3), stop=pids.exists)]
    assert found == [0]
    assert time.monotonic() - begin < 30
    end = time.monotonic() + 10
    while _alive(int(pids.read_text())) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _alive(int(pids.read_text()))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0]
