"""The numbers of a run: hand-counted cases, broken rounds, degenerate input, and intervals that cover."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.errors import InputError
from grasp_eval.bench import physics_check, records
from grasp_eval.bench.intervals import means, ratio_intervals, resampled_sums, shares, sign_test
from grasp_eval.bench.metrics import FINE_OCCLUSION_BINS, summarise
from grasp_eval.bench.metrics_text import summary_lines
from grasp_eval.bench.records import RunConfig
from grasp_eval.bench.run_report import error_lines
from test.grasp_eval.bench.made_up import attempt, random_run, run, scene


def test_counts_by_hand():
    summary = summarise(*run("++-+-", "--", "++++"))
    assert (summary["gsr"]["count"], summary["gsr"]["of"]) == (7, 11)
    assert summary["gsr"]["rate"] == pytest.approx(7 / 11)
    assert (summary["dr"]["count"], summary["dr"]["of"]) == (7, 12)
    assert summary["reasons"] == {"held": 7, "closed_on_nothing": 4}
    assert summary["rounds"]["endings"] == {"failures": 3}
    assert summary["looks"] == 11
    assert not summary["targets"]
    low, high = summary["gsr"]["interval"]
    assert 0.0 <= low <= 7 / 11 <= high <= 1.0


def test_families_are_those_of_the_expected_object():
    config, rounds, attempts = run("+-", "-+")
    attempts.append(attempt(1, 2, False, expected="table"))
    families = summarise(config, rounds, attempts)["families"]
    assert {n: (f["count"], f["of"]) for n, f in families.items()} == {"box": (1, 2), "mug": (1, 2), "unknown": (0, 1)}
    assert families["box"]["objects"]["count"] == 2
    assert families["box"]["objects"]["of"] == 4


def test_unphysical_attempts_fail_and_are_watched():
    config, rounds, attempts = run(*["++++"] * 50)
    assert summarise(config, rounds, attempts)["unphysical"]["within"] is True
    for a in attempts[:3]:
        a.success, a.reason, a.unphysical = False, records.UNPHYSICAL, "penetration"
    found = summarise(config, rounds, attempts)
    assert found["unphysical"]["rate"] == pytest.approx(3 / 200)
    assert found["unphysical"]["within"] is False
    assert found["unphysical"]["kinds"] == {"penetration": 3}
    assert found["gsr"]["count"] == 197


def test_exactly_one_percent_is_within():
    config, rounds, attempts = run(*["++++"] * 25)
    attempts[0].unphysical = "ejection"
    assert summarise(config, rounds, attempts)["unphysical"]["within"] is True


@pytest.mark.parametrize("ending", [records.DETECTOR_ERROR, records.DETECTOR_TIMEOUT, records.WORKER_DIED])
def test_objects_of_broken_rounds_count_as_not_cleared(ending):
    config, rounds, attempts = run("++++", "++++")
    broken, tried = scene(2, "+", ended=ending, error="it said no")
    summary = summarise(config, [*rounds, broken], attempts + tried)
    assert (summary["dr"]["count"], summary["dr"]["of"]) == (9, 12)
    assert (summary["gsr"]["count"], summary["gsr"]["of"]) == (9, 9)
    assert summary["rounds"]["broken"] == {ending: 1}


def test_a_worker_that_died_before_it_named_its_objects_does_not_help():
    config, rounds, attempts = run("++++")
    died, _ = scene(1, "", ended=records.WORKER_DIED, objects=[], families=[])
    assert summarise(config, [*rounds, died], attempts)["dr"]["of"] == 8
    assert summarise(RunConfig(count=6), [died], [])["dr"]["of"] == 6


def test_scene_errors_are_left_out_of_all_but_their_count():
    config, rounds, attempts = run("++--", "+--")
    broken, tried = scene(2, "----", ended=records.SCENE_ERROR)
    with_it, without = summarise(config, [*rounds, broken], attempts + tried), summarise(config, rounds, attempts)
    assert with_it["rounds"] == {
        **{"done": 3, "counted": 2, "endings": {"failures": 2, "scene_error": 1}, "broken": {"scene_error": 1}}
    }
    assert {k: v for k, v in with_it.items() if k != "rounds"} == {k: v for k, v in without.items() if k != "rounds"}


def targets(*cases: tuple[float, bool]) -> tuple:
    scenes = [
        scene(i, "-+", target="o0", occlusion=hidden, cleared=["o0"] if picked else ["o1"])
        for i, (hidden, picked) in enumerate(cases)
    ]
    return RunConfig(scene="occluded"), [r for r, _ in scenes], [a for _, tried in scenes for a in tried]


def test_targets_are_counted_by_occlusion():
    summary = summarise(*targets((0.0, True), (0.29, False), (0.3, True), (0.95, False), (1.0, True)))
    assert summary["targets"]
    assert (summary["dr"]["count"], summary["dr"]["of"]) == (3, 5)
    bins = [(b["low"], b["high"], b["count"], b["of"]) for b in summary["occlusion"]]
    assert bins == [(0.0, 0.3, 1, 2), (0.3, 0.6, 1, 1), (0.6, 0.9, 0, 0), (0.9, 1.0, 1, 2)]
    assert len(summary["occlusion_fine"]) == len(FINE_OCCLUSION_BINS) - 1
    assert sum(b["of"] for b in summary["occlusion_fine"]) == 5
    assert summary["occlusion"][2]["rate"] is None


def test_a_broken_target_round_counts_as_one_target():
    config, rounds, attempts = targets((0.2, True), (0.5, True))
    died, _ = scene(2, "", ended=records.WORKER_DIED, objects=[], families=[])
    assert summarise(config, [*rounds, died], attempts)["dr"]["of"] == 3


def test_first_looks_are_averaged_whether_read_back_or_not():
    config, rounds, attempts = run("+", "+", "+")
    rounds[0].first = {"ap": 0.2, "ap_mu": {0.4: 0.1}, "grasps": 10, "covered_objects": None}
    rounds[1].first = {"ap": 0.4, "ap_mu": {"0.4": 0.3}, "grasps": 0, "considered": 8, "colliding": 2, "empty": 0}
    first = summarise(config, rounds, attempts)["first"]
    assert first["ap"]["mean"] == pytest.approx(0.3)
    assert first["ap"]["n"] == 2
    assert first["grasps"]["mean"] == 5.0
    assert first["covered_objects"] == {"mean": None, "n": 0, "interval": None}
    assert first["ap_mu"]["0.4"]["mean"] == pytest.approx(0.2)
    assert (first["colliding"]["rate"], first["empty"]["rate"]) == (0.25, 0.0)


def test_rounds_that_the_detector_broke_off_offer_nothing_in_their_first_look():
    config, rounds, attempts = run("++", "--", "")
    rounds[0].first = {"ap": 0.2, "ap_mu": {"0.4": 0.1}, "grasps": 10}
    rounds[1].first = {"ap": 0.4, "ap_mu": {"0.4": 0.3}, "grasps": 20}
    rounds[2].first, rounds[2].ended = {}, records.DETECTOR_ERROR
    first = summarise(config, rounds, attempts)["first"]
    assert first["ap"]["mean"] == pytest.approx(0.2)
    assert first["ap_mu"]["0.4"]["mean"] == pytest.approx(0.4 / 3)
    assert first["grasps"]["mean"] == pytest.approx(10.0)
    assert first["points"]["n"] == 0


def test_times_and_throughput_by_hand():
    summary = summarise(*run("++", "--"))
    rows = {row["stage"]: row for row in summary["timings"]}
    assert rows["detect"]["n"] == 4
    assert rows["physics"]["p50"] == 200.0
    # two rounds of 2 s with four attempts of 100 ms of the detector's and 200 ms of physics each
    assert summary["attempts_per_minute"]["without_detector"] == pytest.approx(4 * 60_000 / 3600)
    assert summary["attempts_per_minute"]["physics"] == pytest.approx(4 * 60_000 / 800)


DEGENERATE = {
    "no rounds": run(),
    "no attempts": run("", ""),
    "one round": run("+-"),
    "one attempt": run("+"),
    "all held": run("++++", "++++", "++"),
    "all failed": run("--", "--"),
    "scene error only": (RunConfig(), [scene(0, "", ended=records.SCENE_ERROR)[0]], []),
    "bare": (RunConfig(), [scene(0, "", objects=[], families=[], timings_ms={})[0]], []),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_runs_give_sane_json(name):
    summary = summarise(*DEGENERATE[name])
    json.dumps(summary, allow_nan=False)
    for key in ("gsr", "dr", "unphysical", "touched", "moved"):
        found = summary[key]
        assert (found["rate"] is None) == (found["of"] == 0)
        assert (found["wilson"] is None) == (found["of"] == 0)
        if found["interval"]:
            assert 0.0 <= found["interval"][0] <= found["rate"] <= found["interval"][1] <= 1.0
    assert "\n".join(summary_lines(summary, {}))


def test_one_round_has_no_bootstrap_interval_but_a_wilson_one():
    gsr = summarise(*run("++-"))["gsr"]
    assert gsr["interval"] is None
    assert gsr["wilson"][0] < 2 / 3 < gsr["wilson"][1]


def test_all_held_keeps_a_width_by_wilson():
    gsr = summarise(*run("++++", "++++"))["gsr"]
    assert gsr["interval"] == [1.0, 1.0]
    assert gsr["wilson"][0] < 0.7


def test_contradicting_records_are_refused():
    config, rounds, attempts = run("+", "-")
    with pytest.raises(InputError, match="round 1 is there 2 times"):
        summarise(config, [*rounds, rounds[1]], attempts)
    with pytest.raises(InputError, match="attempts of round 1 without its round"):
        summarise(config, rounds[:1], attempts)


def test_the_same_records_give_the_same_numbers():
    assert summarise(*random_run(20, 0.6)) == summarise(*random_run(20, 0.6))


def test_rounds_that_differ_widen_the_interval_over_rounds():
    """All or nothing by round: the attempts are worth one each, and only resampling of rounds knows."""
    clustered = summarise(*run(*(["++++"] * 20 + ["----"] * 20)))["gsr"]
    mixed = summarise(*run(*["++--"] * 40))["gsr"]
    assert mixed["interval"] == [0.5, 0.5]
    assert clustered["interval"][1] - clustered["interval"][0] > 1.7 * (clustered["wilson"][1] - clustered["wilson"][0])


def test_the_interval_agrees_with_the_theory_for_equal_rounds():
    """50 rounds with one attempt each and 25 successes: the bootstrap is a binomial, quantiles 18 and 32 of 50."""
    low, high = ratio_intervals(np.r_[np.ones((25, 1)), np.zeros((25, 1))], np.ones((50, 1)))[0]
    assert (low, high) == (0.36, 0.64)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_shares_contain_their_rate(pairs):
    parts, others = np.array(pairs).T
    found = shares({"x": (parts, parts + others)})["x"]
    assert found["of"] == int((parts + others).sum())
    if found["rate"] is not None:
        assert found["wilson"][0] <= found["rate"] <= found["wilson"][1]


def test_resampling_in_chunks_draws_whole_sets(monkeypatch):
    monkeypatch.setattr("grasp_eval.bench.intervals._CHUNK", 21)
    sums = resampled_sums(np.ones((7, 2)), resamples=100)
    assert sums.shape == (100, 2)
    assert np.all(sums == 7)


def test_means_leave_out_what_is_missing():
    found = means({"a": [1.0, None, 3.0], "b": [None, None, 0.0]})
    assert found["a"]["mean"] == 2.0
    assert found["b"] == {"mean": 0.0, "n": 1, "interval": None}


@pytest.mark.parametrize(("better", "worse", "p"), [(0, 0, 1.0), (5, 0, 2 / 32), (8, 2, 112 / 1024), (3, 3, 1.0)])
def test_sign_test_by_hand(better, worse, p):
    assert sign_test(better, worse) == pytest.approx(p)
    assert sign_test(worse, better) == pytest.approx(p)


def test_the_oracle_must_hold():
    mine = summarise(*random_run(30, 0.5))
    good, poor = summarise(*run(*["++++"] * 30)), summarise(*random_run(30, 0.8))
    random = summarise(*random_run(30, 0.2))
    assert physics_check.trusted(physics_check.checks(mine, {"oracle": good, "top_down": random})) is True
    assert physics_check.trusted(physics_check.checks(mine, {})) is None
    few, many = (summarise(*run(*["++++"] * n)) for n in (5, 100))
    oracle_texts = [physics_check.checks(mine, {"oracle": found})[0]["text"] for found in (few, many)]
    assert [physics_check.FEW in text for text in oracle_texts] == [True, False]
    bad = physics_check.checks(mine, {"oracle": poor, "top_down": random})
    assert physics_check.trusted(bad) is False
    assert "Do not trust this bed" in bad[0]["text"]
    easy = physics_check.checks(mine, {"oracle": good, "top_down": good})
    assert [c["state"] for c in easy][:2] == ["good", "bad"]


def test_a_miss_in_few_attempts_is_unclear_and_in_many_it_is_bad():
    mine, random = summarise(*random_run(30, 0.5)), summarise(*random_run(30, 0.2))
    for scenes, state in ((["+++-"] + ["++++"] * 5, "unclear"), (["+++-", "++++", "++++"] * 20, "bad")):
        _, played, attempts = run(*scenes)
        for a in attempts:
            a.unphysical = "" if a.success else "ejection"
        oracle = summarise(RunConfig(detector="oracle"), played, attempts)
        found = physics_check.checks(mine, {"oracle": oracle, "top_down": random})
        assert (found[0]["state"], found[3]["state"]) == (state, state)
        assert physics_check.trusted(found) is (None if state == "unclear" else False)


def test_a_run_of_the_oracle_is_its_own_reference():
    _, rounds, attempts = run(*["++++"] * 5)
    mine = summarise(RunConfig(detector="oracle"), rounds, attempts)
    states = [c["state"] for c in physics_check.checks(mine, {})]
    assert states == ["good", "not run", "good"]


def test_terminal_lines_say_what_was_broken_off_and_what_not_to_trust():
    config, rounds, attempts = random_run(30, 0.5)
    died, _ = scene(30, "", ended=records.WORKER_DIED)
    poor = summarise(*random_run(30, 0.8))
    text = "\n".join(summary_lines(summarise(config, [*rounds, died], attempts), {"oracle": poor}))
    for part in (
        "BROKEN OFF",
        "1 worker_died of 31 rounds",
        "Do not trust this bed",
        "not run",
        "ECE",
        "attempts a minute",
    ):
        assert part in text


def test_the_terminal_names_each_different_error_once():
    texts = ["it said no\nwith a traceback", "it said no", "", "b", "c", "d", "e"]
    rounds = [scene(i, "", ended=records.DETECTOR_ERROR, error=text)[0] for i, text in enumerate(texts)]
    lines = error_lines(rounds)
    assert lines == [
        "detector_error, first in round 0: it said no",
        "detector_error, first in round 3: b",
        "detector_error, first in round 4: c",
        "and 2 other errors",
    ]
    assert error_lines([]) == []
