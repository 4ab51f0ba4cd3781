"""Whole rounds: rules of the protocol, what is written down, and that nothing but seed and detector decides."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from grasp_core.errors import ConfigError, DetectorError, DetectorTimeout, InputError
from grasp_core.grasps import Grasps
from grasp_eval.bench import records
from grasp_eval.bench import round as round_of
from grasp_eval.bench.contestants import make_contestant
from grasp_eval.bench.outcome import reason_of
from grasp_eval.bench.records import RunConfig
from grasp_eval.bench.round import run_round
from grasp_sim.hand_attempt import Trace

DOWN = np.diag([1.0, -1.0, -1.0])


class Scripted:
    """Gives what it was made with, call by call, and remembers what it was asked."""

    def __init__(self, *answers) -> None:
        self.answers, self.asked, self.seeds = list(answers), [], []

    def reset(self, seed: int) -> None:
        self.seeds.append(seed)

    def detect(self, observation, gripper, region=None) -> Grasps:
        self.asked.append((observation, region))
        answer = self.answers.pop(0) if self.answers else Grasps.empty()
        if isinstance(answer, Exception):
            raise answer
        return answer


def in_the_air(count: int = 1) -> Grasps:
    t = np.tile([0.0, 0.0, 0.25], (count, 1)) + np.arange(count)[:, None] * [0.03, 0.0, 0.0]
    return Grasps.create(np.tile(DOWN, (count, 1, 1)), t, np.full(count, 0.08), 0.02, np.linspace(0.9, 0.5, count))


def played(config: RunConfig, detector=None, index: int = 0, beats: list | None = None) -> records.RoundResult:
    beats = [] if beats is None else beats
    return run_round(config, index, detector or make_contestant(config), lambda state, *_: beats.append(state))


GIGA = RunConfig(protocol="giga", scene="packed", detector="oracle")


def test_the_oracle_clears_the_table_and_all_of_it_is_written_down():
    beats: list[str] = []
    result = played(GIGA, beats=beats)
    record = result.round
    assert record.ended == records.CLEARED
    assert sorted(record.cleared) == sorted(record.objects)
    assert all(a.success and a.reason == records.HELD and a.held for a in result.attempts)
    assert beats == ["detect", "idle"] * record.looks
    assert record.first["grasps"] > 0
    assert 0 <= record.first["ap"] <= 1
    assert len(record.timings_ms["detect"]) == record.looks
    for line in (records.to_line(record), *map(records.to_line, result.attempts)):
        json.loads(line)


def test_a_round_depends_on_its_number_and_seed_alone():
    detector = make_contestant(GIGA)
    first = run_round(GIGA, 3, detector, lambda *_: None)
    run_round(GIGA, 4, detector, lambda *_: None)
    again = run_round(GIGA, 3, make_contestant(GIGA), lambda *_: None)
    other = run_round(GIGA, 5, detector, lambda *_: None)
    assert records.untimed(first.round) == records.untimed(again.round)
    assert [records.untimed(a) for a in first.attempts] == [records.untimed(a) for a in again.attempts]
    assert other.round.objects != first.round.objects


def test_every_detector_meets_the_same_scene_and_the_same_picture_of_it():
    one, two = Scripted(), Scripted(in_the_air())
    first, second = played(GIGA, one, 2), played(GIGA, two, 2)
    assert first.round.scene_seed == second.round.scene_seed
    assert np.array_equal(one.asked[0][0].depth, two.asked[0][0].depth)
    assert np.array_equal(one.asked[0][0].cloud.points, two.asked[0][0].cloud.points)
    assert one.seeds == two.seeds


def test_finding_nothing_ends_the_round_after_the_views_that_the_protocol_grants():
    giga = played(GIGA, Scripted())
    assert (giga.round.ended, giga.round.looks, giga.attempts) == (records.NO_GRASP, 1, [])
    edge = played(RunConfig(protocol="edge", scene="packed"), detector := Scripted())
    assert (edge.round.ended, edge.round.looks) == (records.NO_GRASP, 4)
    poses = [observation.T_base_cam for observation, _ in detector.asked]
    assert not np.allclose(poses[0], poses[1])


def test_failures_in_a_row_end_the_round_and_the_first_has_a_picture():
    result = played(GIGA, Scripted(in_the_air(), in_the_air(), in_the_air()))
    assert result.round.ended == records.FAILURES
    assert [a.reason for a in result.attempts] == [records.CLOSED_ON_NOTHING] * 2
    assert [bool(a.picture) for a in result.attempts] == [True, False]
    picture = Image.open(io.BytesIO(result.pictures[result.attempts[0].picture]))
    assert np.asarray(picture).std() > 10


def test_a_protocol_without_repeats_does_not_try_a_place_again():
    config = RunConfig(protocol="seegrasp", scene="packed")
    result = played(config, Scripted(*[in_the_air(2)] * 9))
    places = [tuple(np.round(a.position, 3)) for a in result.attempts]
    assert len(places) == len(set(places)) == 2
    assert result.round.ended == records.NO_GRASP


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (DetectorError("detector 'x' returned int, expected Grasps"), records.DETECTOR_ERROR),
        (DetectorTimeout("detector 'x' did not answer"), records.DETECTOR_TIMEOUT),
    ],
)
def test_a_detector_that_fails_ends_the_round_with_its_message(error: DetectorError, ended: str):
    result = played(GIGA, Scripted(error))
    assert (result.round.ended, result.round.error) == (ended, str(error))
    assert result.attempts == []


class Unresettable(Scripted):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def reset(self, seed: int) -> None:
        raise self.error


@pytest.mark.parametrize("error", [DetectorError("no memory left"), InputError("no memory left")])
def test_a_detector_that_cannot_be_reset_ends_the_round_with_its_message(error: Exception):
    result = played(GIGA, Unresettable(error))
    assert (result.round.ended, result.round.error) == (records.DETECTOR_ERROR, "no memory left")
    assert len(result.round.objects) > 0  # they count as not cleared


def test_a_reset_that_hangs_is_watched_where_the_detector_has_no_watch_of_its_own():
    beats: list[str] = []
    played(GIGA, Unresettable(DetectorError("no memory left")), beats=beats)
    assert beats == ["detect", "idle"]
    beats.clear()
    played(replace(GIGA, detector_python="python3"), Unresettable(DetectorError("no memory left")), beats=beats)
    assert beats == []


@pytest.mark.parametrize("place", [1e6, 1e18, 3e38])
def test_a_grasp_anywhere_is_an_attempt_that_closes_on_nothing(place: float):
    far = Grasps.create(DOWN[None], np.full((1, 3), place), np.array([0.08]), 0.02, 0.5)
    result = played(GIGA, Scripted(far))
    assert [a.reason for a in result.attempts] == [records.CLOSED_ON_NOTHING]
    assert result.attempts[0].unphysical == ""
    assert result.attempts[0].picture in result.pictures
    records.to_line(result.attempts[0])


def test_a_scene_without_a_target_in_sight_is_a_scene_error(monkeypatch: pytest.MonkeyPatch):
    def nothing_visible(*_):
        raise InputError("no object is visible")

    monkeypatch.setattr(round_of, "choose_target", nothing_visible)
    result = played(RunConfig(protocol="seegrasp", scene="occluded", count=3), detector := Scripted())
    assert (result.round.ended, result.round.error) == (records.SCENE_ERROR, "no object is visible")
    assert detector.asked == []


def test_an_occluded_target_is_asked_for_by_a_region_and_only_it_counts():
    config = RunConfig(protocol="seegrasp", scene="occluded", detector="oracle", count=5)
    result = played(config, index=1)
    record = result.round
    assert record.target in record.objects
    assert 0.0 <= record.occlusion <= 1.0
    for a in result.attempts:
        assert a.target == record.target
        assert a.success == (record.target in a.held)
    watcher = Scripted()
    played(config, watcher, index=1)
    region = watcher.asked[0][1]
    assert np.all(region.max - region.min < 0.4)


def test_wrong_settings_are_named():
    with pytest.raises(ConfigError, match="no scene 'bin'"):
        played(RunConfig(protocol="giga", scene="bin"), Scripted())
    with pytest.raises(ConfigError, match="no_such"):
        played(RunConfig(protocol="no_such"), Scripted())


@pytest.mark.parametrize(
    ("trace", "target", "reason"),
    [
        (Trace(gripped=["a"], lifted=["a"], held=["a"]), "", records.HELD),
        (Trace(gripped=["a"], lifted=["a"], held=["a"]), "a", records.HELD),
        (Trace(gripped=["a"], lifted=["a"], held=["a"]), "b", records.WRONG_OBJECT),
        (Trace(gripped=["a"], lifted=["a"]), "", records.DROPPED_IN_SHAKE),
        (Trace(gripped=["a"]), "", records.DROPPED_IN_LIFT),
        (Trace(), "", records.CLOSED_ON_NOTHING),
        (Trace(blocked="x"), "", records.BLOCKED),
        (Trace(forbidden=True, blocked="x"), "", records.TOUCHED),
        (Trace(gripped=["a"], lifted=["a"], held=["a"], unphysical="x"), "", records.UNPHYSICAL),
    ],
)
def test_reasons(trace: Trace, target: str, reason: str):
    assert reason_of(trace, target) == reason


@pytest.mark.parametrize(
    ("slip", "limit", "reason"),
    [(0.03, 0.02, records.SLIPPED), (0.01, 0.02, records.HELD), (0.03, None, records.HELD), (None, 0.02, records.HELD)],
)
def test_slip(slip: float | None, limit: float | None, reason: str):
    assert reason_of(Trace(gripped=["a"], lifted=["a"], held=["a"], slip=slip), "", limit) == reason
    assert reason_of(Trace(gripped=["a"], lifted=["a"], slip=slip), "", limit) == records.DROPPED_IN_SHAKE
