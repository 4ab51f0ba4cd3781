"""Report pages and result files: content, escaping, statistics, full disk."""

import csv
import errno
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_eval.report import data_uri, write_demo_report, write_replay_report
from grasp_eval.results import (
    Attempt,
    Round,
    SaveError,
    append_csv,
    percentiles,
    timing_row,
    totals,
    wilson,
    write_atomic,
)
from test.grasp_eval.limits import largest_file

EVIL = "<script>alert('x')</script> & \"quotes\""


def canned() -> list[Round]:
    good = Attempt(0, 0, True, "place", duration_s=9.5, score=0.9, width_m=0.04, timings={"plan": 80.0, "lift": 900.0})
    bad = Attempt(0, 1, False, "plan", 201, EVIL, timings={"plan": 400.0})
    return [
        Round(0, ["box", EVIL], [good, bad], ["box"], [EVIL], 501, EVIL, 60.0, 66.0, True, 1),
        Round(1, ["mug"], [], [], ["mug"], 0, "", 0.0, 0.0, False),
    ]


def write(folder: Path, **changes: object) -> str:
    picture = data_uri(np.zeros((12, 16, 3), np.uint8))
    values = {
        "title": "demo",
        "rounds": canned(),
        "pictures": {(0, 0): picture},
        "about": {"started": "now", "command": EVIL},
        "problems": [EVIL],
        "files": ["picks.csv"],
    }
    return write_demo_report(folder, **(values | changes)).read_text()


def test_demo_report_says_everything_and_escapes_it(tmp_path):
    page = write(tmp_path)
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") >= 4
    for text in (
        "1 / 3",
        "NO_PATH in plan",
        "TOO_MANY_FAILURES",
        "unfinished",
        "No attempt was made",
        "data:image/jpeg",
    ):
        assert text in page
    assert "http" not in page, "a report needs nothing from elsewhere"


def test_demo_report_of_nothing_at_all(tmp_path):
    page = write(tmp_path, rounds=[], pictures={}, problems=["node x ended"])
    assert "node x ended" in page
    assert "0 / 0" in page


def test_replay_report(tmp_path):
    frame = {"index": 0, "stamp": "1.0", "points": 10, "grasps": 2, "top_score": None, "total_ms": 3.0, "error": EVIL}
    judged = dict.fromkeys(("stable_all", "stable_top", "displacement_mm", "camera_moved_mm", "covered"))
    path = write_replay_report(
        tmp_path,
        title=EVIL,
        summary={"bag": EVIL},
        metrics={"covered": {"n": 1, "min": 0.1, "median": 0.25, "mean": 0.3, "max": 0.4}},
        frames=[frame | judged],
        timings=[timing_row("cloud", [1.0, 2.0])],
        pictures=[{"uri": "data:,", "caption": EVIL}],
        problems=[],
    )
    page = path.read_text()
    assert "<script>" not in page
    assert "<td>cloud</td>" in page
    assert "<b>25 %</b>" in page
    assert "1 frame<" in page


def test_totals_count_objects_by_ground_truth():
    total = totals(canned())
    assert total["objects"]["count"] == 1
    assert total["objects"]["of"] == 3
    assert total["attempts"]["rate"] == 0.5
    assert total["picks_per_hour_ros"] == pytest.approx(60.0)
    assert total["failures"] == {"NO_PATH in plan": 1}
    assert [(t["stage"], t["n"], t["p50"]) for t in percentiles(canned()[0].attempts)] == [
        ("plan", 2, 80.0),
        ("lift", 1, 900.0),
    ]


def test_wilson_known_values():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(47, 50) == pytest.approx((0.8378, 0.9794), abs=1e-4)  # R: prop.test(47, 50, correct=FALSE)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_estimate(case):
    k, n = case
    low, high = wilson(k, n)
    assert 0.0 <= low <= k / n + 1e-12
    assert k / n - 1e-12 <= high <= 1.0


def test_rows_survive_commas_quotes_and_lines(tmp_path):
    path = tmp_path / "picks.csv"
    for index in range(2):
        append_csv(path, Attempt(0, index, False, error_msg='a, "b"\nc', timings={"plan": 1.0, "odd": 2.0}).row())
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["index"] for r in rows] == ["0", "1"]
    assert rows[0]["error_msg"] == 'a, "b"\nc'
    assert (rows[0]["plan_ms"], rows[0]["other_ms"]) == ("1.0", "2.0")


def test_full_disk_keeps_the_old_report(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(SaveError, match=r"report\.html: File too large \(.*MB free\)"), largest_file(2000):
        write(tmp_path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"], "no half file stays"


def test_full_disk_keeps_whole_rows(tmp_path):
    path = tmp_path / "picks.csv"
    append_csv(path, Attempt(0, 0, True).row())
    written = 1
    while path.stat().st_size < 1950:
        size = path.stat().st_size
        append_csv(path, Attempt(0, written, True).row() if size < 1900 else {"index": written})
        written += 1
    with pytest.raises(SaveError, match=r"picks\.csv"), largest_file(2000):
        append_csv(path, Attempt(0, written, True, error_msg="x" * 60).row())
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == written > 3
    assert all(None not in r.values() for r in rows)


def test_a_device_without_space_is_an_error():
    with pytest.raises(SaveError, match="No space left on device"):
        append_csv(Path("/dev/full"), {"a": 1}, ("a",))


def test_rename_failure_is_told(tmp_path, monkeypatch):
    def full(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SaveError, match=r"x\.json: No space left on device"):
        write_atomic(tmp_path / "x.json", "{}")
    assert not list(tmp_path.iterdir())
