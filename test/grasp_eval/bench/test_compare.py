"""Comparing runs: pairs by round, refusal of other scenes, files, and intervals that know the difference."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from grasp_core.errors import InputError
from grasp_eval.bench import records
from grasp_eval.bench.compare import compare, differing_keys, main, table_lines
from grasp_eval.bench.records import RunConfig, to_line
from grasp_eval.bench.store import StoredRun
from test.grasp_eval.bench.made_up import random_run, run, scene


def stored(made, name: str = "a", about: dict | None = None, **config) -> StoredRun:
    before, rounds, attempts = made
    return StoredRun(replace(before, **config), about or {}, rounds, attempts, [], Path(name))


def write_run(folder: Path, made, **config) -> Path:
    before, rounds, attempts = made
    (folder / "pictures").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"config": asdict(replace(before, **config))}))
    (folder / "rounds.jsonl").write_text("".join(to_line(r) + "\n" for r in rounds))
    (folder / "attempts.jsonl").write_text("".join(to_line(a) + "\n" for a in attempts))
    return folder


def test_differences_by_hand():
    found = compare(stored(run("+-", "--", "++", "+-")), stored(run("++", "+-", "+-", "++"), detector="dense"))
    gsr = found["metrics"]["grasp success rate"]
    assert found["rounds"] == 4
    assert (gsr["first"], gsr["second"]) == (0.5, 0.75)
    assert gsr["difference"] == pytest.approx(0.25)
    assert (gsr["better"], gsr["worse"], gsr["same"]) == (3, 1, 0)
    assert gsr["p"] == pytest.approx(2 * 5 / 16)
    dr = found["metrics"]["declutter rate"]
    assert dr["difference"] == pytest.approx(2 / 16)
    assert found["metrics"]["AP of the first look"]["difference"] is None
    json.dumps(found, allow_nan=False)


def test_a_run_against_itself_differs_in_nothing():
    made = random_run(30, 0.5)
    gsr = compare(stored(made), stored(made))["metrics"]["grasp success rate"]
    assert (gsr["difference"], gsr["interval"], gsr["p"], gsr["same"]) == (0.0, [0.0, 0.0], 1.0, 30)


def test_pairs_see_what_unpaired_rounds_hide():
    """Scenes are easy or hopeless; in half of the hopeless ones the second holds once."""
    first = run(*(["++++"] * 20 + ["----"] * 20))
    second = run(*(["++++"] * 20 + ["+---"] * 10 + ["----"] * 10))
    paired = compare(stored(first), stored(second))["metrics"]["grasp success rate"]
    alone = compare(stored(first), stored(second), unpaired=True)["metrics"]["grasp success rate"]
    assert paired["difference"] == alone["difference"]
    assert paired["interval"][0] > 0.0
    assert alone["interval"][0] < 0.0
    assert "p" not in alone


def test_only_common_rounds_count_and_scene_errors_do_not():
    config, rounds, attempts = run("++++", "++++", "----")
    broken, _ = scene(3, "", ended=records.SCENE_ERROR)
    first = stored((config, [*rounds, broken], attempts))
    second = stored(run("++++", "++++"))
    found = compare(first, second)
    assert found["rounds"] == 2
    assert found["metrics"]["grasp success rate"]["difference"] == 0.0
    assert "only one of the two has them: 1" in found["warnings"][0]


def test_broken_rounds_count_against_the_detector():
    config, rounds, attempts = run("++++", "++++")
    died, _ = scene(1, "", ended=records.DETECTOR_ERROR)
    found = compare(stored((config, rounds, attempts)), stored((config, [rounds[0], died], attempts[:4])))
    dr = found["metrics"]["declutter rate"]
    assert (dr["second"], dr["worse"]) == (0.5, 1)


def test_ap_is_compared():
    runs = [run("+", "+", "+"), run("+", "+", "+")]
    for made, values in zip(runs, [(0.1, 0.2, 0.3), (0.2, 0.3, None)], strict=True):
        for r, value in zip(made[1], values, strict=True):
            r.first = {} if value is None else {"ap": value}
    ap = compare(*map(stored, runs))["metrics"]["AP of the first look"]
    assert (ap["first"], ap["second"]) == (pytest.approx(0.15), pytest.approx(0.25))  # of the rounds that both have
    assert (ap["better"], ap["worse"], ap["same"]) == (2, 0, 0)
    alone = compare(*map(stored, runs), unpaired=True)["metrics"]["AP of the first look"]
    assert (alone["first"], alone["second"]) == (pytest.approx(0.2), pytest.approx(0.25))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "seed (0, 1)"),
        ({"noise": "none", "objects": "mine"}, "objects ('procedural', 'mine'), noise (None, 'none')"),
        ({"gripper": "other"}, "gripper"),
    ],
)
def test_other_scenes_are_refused_by_key(changes, named):
    first, second = stored(random_run(4, 0.5)), stored(random_run(4, 0.5), **changes)
    with pytest.raises(InputError, match="did not meet the same scenes") as caught:
        compare(first, second)
    assert named in str(caught.value)
    assert "--unpaired" in str(caught.value)
    assert named in compare(first, second, unpaired=True)["warnings"][0]


def test_what_belongs_to_the_detector_may_differ():
    other = RunConfig(detector="dense", detector_params={"a": 1}, detector_python="/py", rounds=7, pictures=0)
    assert differing_keys(RunConfig(), other) == []


def test_changed_rules_and_other_objects_are_refused():
    made = random_run(3, 0.5)
    with pytest.raises(InputError, match="rules of protocol"):
        compare(stored(made, about={"protocol": {"skips": 0}}), stored(made, about={"protocol": {"skips": 1}}))
    other = random_run(3, 0.5)
    other[1][2].scene_seed = 77
    with pytest.raises(InputError, match="objects of round 2"):
        compare(stored(made), stored(other))


def test_other_commits_are_a_warning():
    made = random_run(3, 0.5)
    builds = [stored(made, about={"versions": {"seegrasp": commit}}) for commit in ("aaa", "bbb")]
    assert compare(*builds)["warnings"] == ["the runs are of different commits: aaa and bbb"]
    assert compare(builds[0], builds[0])["warnings"] == []


def test_no_common_round_is_an_error():
    config, rounds, attempts = run("+", "-")
    first, second = (config, rounds[:1], attempts[:1]), (config, rounds[1:], attempts[1:])
    with pytest.raises(InputError, match="no common round"):
        compare(stored(first), stored(second))


def test_the_command_compares_all_with_the_first_and_writes_both_files(tmp_path, capsys):
    runs = [
        write_run(tmp_path / name, random_run(12, rate, 1), detector=name) for name, rate in (("x", 0.3), ("y", 0.9))
    ]
    third = write_run(tmp_path / "z", random_run(10, 0.5, 2), detector="<b>z</b>")
    assert main([*map(str, runs), str(third), "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert text.count("common rounds") == 2
    assert "has them: 2 rounds" in text
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "<b>z" not in page
    assert "&lt;b&gt;z" in page
    assert page.count("data:image/svg+xml") == 1
    data = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert [c["second"].split(" ")[0] for c in data["comparisons"]] == ["y", "<b>z</b>"]


def test_the_command_says_why_it_cannot(tmp_path, capsys):
    good = write_run(tmp_path / "x", random_run(3, 0.5))
    other = write_run(tmp_path / "y", random_run(3, 0.5), seed=5)
    assert main([str(good), str(tmp_path / "none")]) == 1
    assert "run.json" in capsys.readouterr().err
    assert main([str(good), str(other)]) == 1
    assert "seed (0, 5)" in capsys.readouterr().err
    assert main([str(good), str(other), "--unpaired"]) == 0
    assert "warning: not paired" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([str(good)])


def test_lines_without_values():
    lines = table_lines(compare(stored(run("", "")), stored(run("", ""))))
    assert any(line.strip().startswith("grasp success rate") and line.endswith("–") for line in lines)
