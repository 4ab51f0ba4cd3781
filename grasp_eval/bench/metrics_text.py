"""The numbers of a run as lines of text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grasp_eval.bench import physics_check

_LABEL = 22  # characters


def percent(share: Mapping[str, Any]) -> str:
    """`57.1 % (173/303)  95 %: 51.2 to 62.5 %  Wilson: 51.5 to 62.5 %`; a dash without trials."""
    if share["rate"] is None:
        return "–"
    text = f"{100 * share['rate']:5.1f} % ({share['count']}/{share['of']})"
    if share.get("interval"):
        text += f"  95 %: {interval(share['interval'])}"
    return text + f"  Wilson: {interval(share['wilson'])}"


def interval(bounds: tuple[float, float]) -> str:
    """`51.2 to 62.5 %` of two shares."""
    low, high = bounds
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def summary_lines(summary: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What a run found, for the terminal.

    Args:
        summary: see ``metrics.summarise``. references: contestant -> summary, see ``physics_check.checks``.
    """
    lines = [
        _row("grasp success rate", percent(summary["gsr"])),
        _row("targets picked" if summary["targets"] else "declutter rate", percent(summary["dr"])),
        _row("attempts", _counts(summary["reasons"])),
        _row("rounds", _counts(summary["rounds"]["endings"])),
    ]
    if summary["rounds"]["broken"]:
        lines.append(
            _row("BROKEN OFF", f"{_counts(summary['rounds']['broken'])} of {summary['rounds']['done']} rounds")
        )
    lines += [_row(f"first look: {name}", text) for name, text in _first(summary["first"])]
    lines += [_row("calibration", _calibration(summary["calibration"]))]
    lines += [
        _row(
            f"{row['stage']} ms", f"median {row['p50']:.1f}  p95 {row['p95']:.1f}  max {row['max']:.1f}  (n {row['n']})"
        )
        for row in summary["timings"]
    ]
    speed = summary["attempts_per_minute"]["without_detector"]
    if speed is not None:
        lines.append(_row("speed", f"{speed:.0f} attempts a minute and worker, without the detector's time"))
    return lines + _physics(summary, references)


def _row(label: str, text: str) -> str:
    return f"{label:<{_LABEL}} {text}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _first(first: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = {
        "ap": ("AP", 100, " %"),
        "covered_objects": ("objects", 100, " %"),
        "covered_surface": ("surface", 100, " %"),
    }
    names["grasps_per_object"] = ("per object", 1, " grasps")
    known = [(*names[key], first[key]) for key in names if first[key]["mean"] is not None]
    return [
        (label, f"{factor * value['mean']:5.1f}{unit}" + _bounds(value["interval"], factor, unit))
        for label, factor, unit, value in known
    ]


def _bounds(bounds: list[float] | None, factor: float, unit: str) -> str:
    return f"  95 %: {factor * bounds[0]:.1f} to {factor * bounds[1]:.1f}{unit}" if bounds else ""


def _calibration(found: Mapping[str, Any]) -> str:
    if found["ece"] is None:
        return "–"
    text = f"ECE {found['ece']:.3f} (by chance alone {found['ece_floor']:.3f}), Brier {found['brier']:.3f}"
    return f"{text}; {found['warning']}" if found["warning"] else text


def _physics(summary: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]]) -> list[str]:
    found = physics_check.checks(summary, references)
    lines = [
        f"  {check['state']:<8} {check['name']}: {percent(check['share']) if check['share'] else 'no run'}"
        for check in found
    ]
    warnings = [check["text"] for check in found if check["state"] == physics_check.BAD]
    return ["physics check", *lines, *warnings]
