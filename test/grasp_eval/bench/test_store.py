"""Run folders: whole rounds or none, continued or refused, the same files in whatever order the rounds came."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from grasp_core.errors import InputError
from grasp_eval.bench.records import RunConfig, untimed
from grasp_eval.bench.store import RunStore, StoredRun, load_run
from grasp_eval.results import SaveError
from test.grasp_eval.bench.fake_rounds import fake_result
from test.grasp_eval.limits import largest_file

CONFIG = RunConfig(detector="fake", rounds=6, pictures=3)
ABOUT = {"protocol": {"name": "seegrasp"}, "versions": {"seegrasp": "abc"}}


def write(folder: Path, order: list[int], config: RunConfig = CONFIG) -> StoredRun:
    with RunStore(folder, config, ABOUT) as store:
        for index in order:
            store.add(fake_result(index, config))
        return store.finish()


def content(run: StoredRun) -> tuple:
    pictures = {p.name: p.read_bytes() for p in (run.folder / "pictures").iterdir()}
    return [untimed(r) for r in run.rounds], [untimed(a) for a in run.attempts], pictures


def test_round_trip(tmp_path: Path) -> None:
    run = write(tmp_path / "run", [0, 1, 2, 3, 4, 5])
    assert run.config == CONFIG
    assert run.problems == []
    assert [r.round for r in run.rounds] == list(range(6))
    assert len(run.attempts) == 18
    assert run.about["protocol"] == {"name": "seegrasp"}
    assert run.about["rounds_done"] == 6
    assert run.about["wall_s"] >= 0


def test_order_of_rounds_does_not_matter(tmp_path: Path) -> None:
    straight, mixed = write(tmp_path / "a", [0, 1, 2, 3, 4, 5]), write(tmp_path / "b", [4, 2, 5, 0, 3, 1])
    assert content(straight) == content(mixed)
    pictures = content(straight)[2]
    assert len(pictures) == 3  # the first of the run, as many as were asked for
    assert sorted(a.picture for a in straight.attempts if a.picture) == sorted(pictures)


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with RunStore(folder, CONFIG, ABOUT) as store:
        store.add(fake_result(3, CONFIG))
    with (folder / "attempts.jsonl").open("a") as file:  # killed between the attempts of a round and its line, ...
        file.write((folder / "attempts.jsonl").read_text().replace('"round": 3', '"round": 1'))
    with (folder / "rounds.jsonl").open("a") as file:  # ... and within a line
        file.write('{"round": 1, "scene_se')
    (folder / "pictures" / "r0001_a0.jpg").write_bytes(b"of the lost round")

    run = load_run(folder)
    assert [r.round for r in run.rounds] == [3]
    assert {a.round for a in run.attempts} == {3}
    assert "rounds.jsonl: the last line is cut off and was left out" in run.problems
    assert "3 attempts of rounds that did not finish are left out" in run.problems

    with RunStore(folder, CONFIG, {**ABOUT, "versions": {"seegrasp": "def"}}) as store:
        assert store.resumed
        assert store.todo == [0, 1, 2, 4, 5]
        for index in store.todo:
            store.add(fake_result(index, CONFIG))
        continued = store.finish()
    assert continued.problems == []
    assert continued.about["wall_s"] >= run.about["wall_s"]
    assert continued.about["started"] == run.about["started"]
    assert any("with seegrasp def; those are of abc" in note for note in continued.about["notes"])
    assert content(continued) == content(write(tmp_path / "at_once", [0, 1, 2, 3, 4, 5]))


def test_more_rounds_and_fewer(tmp_path: Path) -> None:
    write(tmp_path / "run", [0, 1, 2, 3, 4, 5])
    with RunStore(tmp_path / "run", replace(CONFIG, rounds=8, detector_timeout=1.0), ABOUT) as store:
        assert store.todo == [6, 7]
    with RunStore(tmp_path / "run", replace(CONFIG, rounds=2), ABOUT) as store:
        assert store.todo == []
        assert store.config.rounds == 6
        assert len(store.finish().rounds) == 6


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "run", [0])
    other = replace(CONFIG, seed=7, objects="/meshes")
    words = r"objects was 'procedural' and is '/meshes'; seed was 0 and is 7"
    with pytest.raises(InputError, match=words):
        RunStore(tmp_path / "run", other, ABOUT)
    with pytest.raises(InputError, match="rules of protocol 'seegrasp' have changed"):
        RunStore(tmp_path / "run", CONFIG, {**ABOUT, "protocol": {"name": "seegrasp", "skips": 1}})
    assert load_run(tmp_path / "run").config == CONFIG


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run", CONFIG, ABOUT), pytest.raises(InputError, match="is being written by another run"):
        RunStore(tmp_path / "run", CONFIG, ABOUT)
    with RunStore(tmp_path / "run", CONFIG, ABOUT):
        pass


def test_folders_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"holds 'thesis.tex' but no run.json"):
        RunStore(tmp_path, CONFIG, ABOUT)
    with pytest.raises(SaveError, match=re.escape(str(tmp_path / "thesis.tex"))):
        RunStore(tmp_path / "thesis.tex", CONFIG, ABOUT)
    with pytest.raises(InputError, match="expected the folder of a benchmark run"):
        load_run(tmp_path)


def test_a_round_twice_is_refused(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run", CONFIG, ABOUT) as store:
        store.add(fake_result(1, CONFIG))
        with pytest.raises(InputError, match="round 1 is in"):
            store.add(fake_result(1, CONFIG))


def test_numbers_that_json_has_not_leave_no_trace(tmp_path: Path) -> None:
    bad = fake_result(1, CONFIG)
    bad.attempts[2].score = float("nan")
    with RunStore(tmp_path / "run", CONFIG, ABOUT) as store:
        with pytest.raises(InputError, match="NaN"):
            store.add(bad)
        store.add(fake_result(0, CONFIG))
        assert [r.round for r in store.finish().rounds] == [0]


@pytest.mark.parametrize("name", ["attempts.jsonl", "rounds.jsonl"])
def test_full_disk_keeps_the_rounds_before(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "run"
    config = replace(CONFIG, pictures=0)
    with RunStore(folder, config, ABOUT) as store:
        for index in range(3):
            store.add(fake_result(index, config))
        big = fake_result(3, config)
        if name == "rounds.jsonl":
            big.round.error, big.attempts = "x" * 20_000, []
        limit = (folder / "attempts.jsonl").stat().st_size + 50
        with largest_file(limit), pytest.raises(SaveError, match=f"{name}: File too large .*before is kept"):
            store.add(big)
        assert store.done == {0, 1, 2}
    run = load_run(folder)
    assert [r.round for r in run.rounds] == [0, 1, 2]
    assert len(run.attempts) == 9
    assert run.problems == []


def test_lines_that_no_run_wrote(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", [0, 1]).folder
    lines = (folder / "attempts.jsonl").read_text().splitlines()
    lines[1] = lines[1].replace('"score"', '"store"')
    (folder / "attempts.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"attempts.jsonl, line 2: not a Attempt: .*'store'"):
        load_run(folder)
    (folder / "run.json").write_text(json.dumps({"config": {"rounds": 1, "colour": "red"}}))
    with pytest.raises(InputError, match="colour"):
        load_run(folder)
    (folder / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run.json: not JSON"):
        load_run(folder)


def test_discard_removes_only_what_has_no_results(tmp_path: Path) -> None:
    with RunStore(tmp_path / "new", CONFIG, ABOUT) as store:
        store.discard()
    assert not (tmp_path / "new").exists()
    write(tmp_path / "run", [0])
    with RunStore(tmp_path / "run", CONFIG, ABOUT) as store:
        store.discard()
    assert len(load_run(tmp_path / "run").rounds) == 1
