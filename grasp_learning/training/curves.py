"""The course of a run as a picture."""

from __future__ import annotations

import io
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from grasp_eval.results import write_atomic
from grasp_learning.training.checkpoint import RunFolder

_TERMS = ("objectness", "graspness", "view", "score", "width", "stability")
_STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True}
_SMOOTH = 0.02  # of the steps, width of the average that is drawn over the terms


def draw(folder: RunFolder) -> None:
    """Draw the metrics of a run beside them. Raises SaveError."""
    rows = folder.rows()
    steps = [row for row in rows if "loss" in row]
    checks = [row for row in rows if "validation" in row]
    if not steps:
        return
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(12, 9), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(3, 3).ravel()
        for place, name in zip(axes, (*_TERMS, "loss"), strict=False):
            _term(place, steps, name)
        _measures(axes[7], checks, ("good", "top", "ceiling"))
        _measures(axes[8], checks, ("objectness", "graspness", "found", "view", "score"))
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=90)
    write_atomic(folder.curves, data.getvalue())


def _term(axes: Axes, rows: list[dict[str, Any]], name: str) -> None:
    x, y = np.array([row["step"] for row in rows]), np.array([row[name] for row in rows])
    axes.plot(x, y, color="#c7d2fe", linewidth=0.8)
    width = max(1, round(_SMOOTH * len(y)))
    kernel = np.ones(width) / width
    axes.plot(x[width - 1 :], np.convolve(y, kernel, "valid"), color="#0072B2")
    axes.set(title=name, xlabel="step", yscale="log" if (y > 0).all() else "linear")


def _measures(axes: Axes, rows: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    for name in names:
        known = [row for row in rows if name in row["validation"]]
        axes.plot([row["step"] for row in known], [row["validation"][name] for row in known], "o-", ms=3, label=name)
    axes.set(title="scenes held out", xlabel="step", ylim=(0, 1))
    axes.legend(loc="lower right", fontsize=8)
