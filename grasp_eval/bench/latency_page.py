"""latency.html: the tables and one chart of `seegrasp bench latency`."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from pathlib import Path

from grasp_eval.report import render
from grasp_eval.results import write_atomic

WIDTH, HEIGHT = 900, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 20, 45
COLOURS = ("#1f7a4d", "#2b6cb0", "#b3372f", "#93610a", "#6b46c1", "#0d7d86")


def write(path: Path, result: dict) -> None:
    """Write the page for the contents of latency.json. Raises SaveError."""
    page = render(
        "latency.html.j2",
        title="seegrasp bench latency",
        problems=[f"{d['detector']}: {d['error']}" for d in result["detectors"] if d["error"]],
        chart=chart(result["detectors"]),
        **result,
    )
    write_atomic(path, page)


def chart(detectors: Sequence[dict]) -> dict | None:
    """Median and p95 over points, both axes logarithmic, in pixels; None when nothing was measured."""
    lines = []
    for found, colour in zip(detectors, COLOURS * (1 + len(detectors) // len(COLOURS)), strict=False):
        rows = [r for r in found["cases"] if r["series"] == "points" and not r["error"]]
        if rows:
            name = found["detector"] + (f" in {found['python']}" if found["python"] else "")
            lines.append((name, colour, [(r["points"], r["total_ms"]["median"], r["total_ms"]["p95"]) for r in rows]))
    if not lines:
        return None
    points = [p for _, _, line in lines for p in line]
    x_low, x_high = log10(min(p[0] for p in points)), log10(max(p[0] for p in points))
    y_low, y_high = log10(max(min(p[1] for p in points), 1e-3)), log10(max(p[2] for p in points))
    y_low, y_high = floor(y_low * 2) / 2, ceil(y_high * 2 + 1e-9) / 2

    def x(value: float) -> float:
        return round(LEFT + (log10(value) - x_low) / max(x_high - x_low, 1e-9) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        share = (log10(max(value, 1e-3)) - y_low) / max(y_high - y_low, 1e-9)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    ticks = [10 ** (floor(y_low) + i) * m for i in range(ceil(y_high) - floor(y_low) + 1) for m in (1, 2, 5)]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "bottom": HEIGHT - BOTTOM,
        "x_ticks": [(x(p), p) for p in sorted({p[0] for p in points})],
        "y_ticks": [(y(t), f"{t:g}") for t in ticks if y_low - 1e-9 <= log10(t) <= y_high + 1e-9],
        "lines": [
            {
                "name": name,
                "colour": colour,
                "median": [(x(n), y(median)) for n, median, _ in line],
                "p95": [(x(n), y(p95)) for n, _, p95 in line],
            }
            for name, colour, line in lines
        ],
    }
