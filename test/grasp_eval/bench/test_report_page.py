"""report.html: what it says, that it stands alone, is well-formed, and hides nothing."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from grasp_core.errors import InputError
from grasp_eval.bench import figures, records
from grasp_eval.bench.metrics import summarise
from grasp_eval.bench.records import RunConfig
from grasp_eval.bench.report_page import WORDS, write_report
from grasp_eval.bench.store import StoredRun
from test.grasp_eval.bench.made_up import random_run, run, scene

EVIL = "<script>alert('x')</script> & \"quotes\""
JPEG = b"\xff\xd8\xff\xe0 a picture"
ABOUT = {
    "command": f"seegrasp bench clutter --detector {EVIL}",
    "versions": {"seegrasp": "abc1234", "mujoco": "3.3"},
    "machine": {"processor": "a slow one", "cores": "2"},
    "protocol": {"name": "giga", "source": "GIGA (RSS 2021)", "deviations": "another hand", "motion": {"shake": False}},
    "started": "2026-01-02T03:04:05+00:00",
    "wall_s": 12.5,
    "notes": ["continued after 3 rounds"],
}
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Balance(HTMLParser):
    """Checks that every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice"
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def page_of(folder: Path, made, references=None, about=None, problems=()) -> str:
    config, rounds, attempts = made
    stored = StoredRun(config, ABOUT if about is None else about, rounds, attempts, list(problems), folder)
    text = write_report(folder, stored, references or {}).read_text()
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert all(link.startswith("data:") for link in parser.links)
    assert "nan" not in re.sub(r'data:[^"]*', "", text).lower().split()
    return text


def references(oracle: float, random: float = 0.2) -> dict:
    return {"oracle": summarise(*random_run(40, oracle)), "top_down": summarise(*random_run(40, random))}


def test_everything_is_there_and_escaped(tmp_path):
    config, rounds, attempts = random_run(30, 0.6)
    died, _ = scene(30, "", ended=records.DETECTOR_ERROR, error=EVIL)
    text = page_of(tmp_path, (config, [*rounds, died], attempts), references(1.0), problems=[EVIL])
    assert "<script>" not in text
    assert text.count("&lt;script&gt;") >= 3
    for part in (
        *("abc1234", "a slow one", "GIGA (RSS 2021)", "another hand", "motion.shake", "continued after 3 rounds"),
        *("2026-01-02T03:04:05", "95 %", "Wilson", "box", "mug", "the detector failed", "calibration error"),
        f"{100 * sum(a.success for a in attempts) / 120:.1f}",
    ):
        assert part in text, part
    assert text.count("data:image/svg+xml") == 2
    assert "Do not trust this bed" not in text


def test_what_is_missing_or_left_out_is_said(tmp_path):
    config, rounds, attempts = random_run(10, 0.6)
    about = ABOUT | {"objects": {"number": 7, "digest": "d16", "left_out": ["mug.obj: no volume"]}}
    text = page_of(tmp_path, (config, rounds[:4], [a for a in attempts if a.round < 4]), about=about)
    for part in ("6 of 10 rounds are missing", "object left out: mug.obj: no volume", "7, digest d16"):
        assert part in text
    assert "rounds are missing" not in page_of(tmp_path, (config, rounds, attempts))


def test_a_bed_that_fails_its_checks_says_so_first(tmp_path):
    text = page_of(tmp_path, random_run(30, 0.6), references(0.8))
    assert 'role="alert"' in text
    assert text.index("Do not trust this bed") < text.index("grasp success rate:")


@pytest.mark.parametrize(("whose", "alarm"), [("oracle", True), ("top_down", False)])
def test_unphysical_events_of_the_oracle_are_an_alarm_those_of_random_grasps_are_not(tmp_path, whose, alarm):
    config, rounds, attempts = random_run(30, 0.2)
    for a in attempts[:5]:
        a.success, a.unphysical = False, "ejection"
    found = references(1.0) | {whose: summarise(config, rounds, attempts)}
    assert ("Do not trust this bed: in 4.2 %" in page_of(tmp_path, random_run(30, 0.6), found)) is alarm


def test_missing_references_are_said(tmp_path):
    text = page_of(tmp_path, random_run(30, 0.6))
    assert text.count(">not run<") == 2
    assert "Not all checks were run" in text
    assert "On the same scenes" not in text


@pytest.mark.parametrize("outcomes", [(), ("",), ("+",), ("++++", "++++")])
def test_hardly_any_results_still_make_a_page(tmp_path, outcomes):
    page_of(tmp_path, run(*outcomes), about={})


def test_targets_get_their_curve(tmp_path):
    scenes = [scene(i, "+", target="o0", occlusion=i / 10, cleared=["o0"]) for i in range(10)]
    made = RunConfig(scene="occluded"), [r for r, _ in scenes], [a for _, tried in scenes for a in tried]
    text = page_of(tmp_path, made)
    assert "By occlusion of the target" in text
    assert "targets picked: 10 of 10 targets" in text


def test_failures_are_shown_with_what_happened(tmp_path):
    config, rounds, attempts = run("+-")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "0_1.jpg").write_bytes(JPEG)
    bad = attempts[1]
    bad.picture, bad.touched, bad.moved, bad.score = "0_1.jpg", ["touched <one>"], ["moved one"], 0.42
    text = page_of(tmp_path, (config, rounds, attempts))
    assert "data:image/jpeg;base64," + base64.b64encode(JPEG).decode() in text
    for part in ("touched touched &lt;one&gt;", "moved moved one", "score 0.42", "closed on nothing"):
        assert part in text


@pytest.mark.parametrize(("name", "message"), [("gone.png", "names this picture"), ("notes.txt", "expected a picture")])
def test_a_picture_that_cannot_be_shown_is_named(tmp_path, name, message):
    config, rounds, attempts = run("-")
    attempts[0].picture = name
    with pytest.raises(InputError, match=message):
        page_of(tmp_path, (config, rounds, attempts))


def test_attempts_of_scene_errors_are_not_in_the_charts(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(figures, "score_histogram", lambda scores, held: seen.append(len(scores)))
    config, rounds, attempts = run("++", "--")
    rounds[1].ended = records.SCENE_ERROR
    page_of(tmp_path, (config, rounds, attempts))
    assert seen == [2]


def test_the_same_run_gives_the_same_page(tmp_path):
    assert page_of(tmp_path, random_run(20, 0.5)) == page_of(tmp_path, random_run(20, 0.5))


def test_every_reason_and_ending_has_words():
    assert set(WORDS) == {*records.REASONS, *records.ENDINGS}


def test_charts_of_nothing_are_left_out():
    empty = summarise(RunConfig(), [], [])
    assert figures.reliability(empty["calibration"]) is None
    assert figures.occlusion([]) is None
    assert figures.occlusion([{"low": 0.0, "high": 1.0, "count": 0, "of": 0, "rate": None, "wilson": None}]) is None
    assert figures.score_histogram([], []) is None
    assert figures.ap_by_friction({}) is None
    assert figures.forest([{"label": "x", "difference": None, "interval": None}]) is None


def test_ap_chart_takes_rounds_without_interval():
    uri = figures.ap_by_friction({"0.4": {"mean": 0.5, "n": 1, "interval": None}})
    assert b"<svg" in base64.b64decode(uri.split(",")[1])
