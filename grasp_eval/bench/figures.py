"""Charts of the report page, as SVG data URIs: text as outlines, colours that the colour-blind can tell apart."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#6b7280"  # Okabe and Ito's colours; grey for what one compares with
SIZE = (5.6, 3.9)  # inches
_STYLE = {
    **{"font.size": 12, "axes.titlesize": 12, "axes.labelsize": 12, "xtick.labelsize": 11, "ytick.labelsize": 11},
    **{"legend.fontsize": 10.5, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True},
    **{"grid.color": "#e5e7eb", "axes.axisbelow": True, "svg.hashsalt": "seegrasp", "svg.fonttype": "path"},
}


def reliability(found: dict[str, Any]) -> str | None:
    """Success rate over score with Wilson intervals, and how many attempts are behind each; None without attempts."""
    if not found["table"]:
        return None
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(rows=(3, 1))
        _points(axes[0], found["table"])
        axes[0].plot([0, 1], [0, 1], "--", color=GREY, label="perfectly calibrated")
        axes[0].set(xlim=(0, 1), ylim=(0, 1.02), ylabel="success rate")
        axes[0].tick_params(labelbottom=False)
        axes[0].legend(loc="upper left")
        low = [b["low"] for b in found["table"]]
        axes[1].bar(low, [b["n"] for b in found["table"]], 1 / 15, align="edge", color=BLUE, edgecolor="white")
        axes[1].set(xlim=(0, 1), xlabel="score", ylabel="attempts")
        return _svg(figure)


def _points(axes: Axes, table: Sequence[dict[str, Any]]) -> None:
    x, y = np.array([b["score"] for b in table]), np.array([b["rate"] for b in table])
    axes.errorbar(x, y, _bars(y, [b["wilson"] for b in table]), fmt="o-", color=BLUE, capsize=3, label="measured, 95 %")


def _bars(values: np.ndarray, bounds: Sequence[Sequence[float]]) -> np.ndarray:
    low, high = np.array(bounds).T
    return np.clip([values - low, high - values], 0.0, None)


def occlusion(bins: Sequence[dict[str, Any]]) -> str | None:
    """Share of targets picked over how hidden they were; None when there was no target."""
    known = [b for b in bins if b["of"]]
    if not known:
        return None
    with matplotlib.rc_context(_STYLE):
        figure, (axes,) = _figure()
        x, y = np.array([(b["low"] + b["high"]) / 2 for b in known]), np.array([b["rate"] for b in known])
        axes.errorbar(x, y, _bars(y, [b["wilson"] for b in known]), fmt="o-", color=BLUE, capsize=3)
        for b, at in zip(known, x, strict=True):
            axes.annotate(f"n={b['of']}", (at, 0.02), ha="center", color=GREY, fontsize=10)
        axes.set(xlim=(0, 1), ylim=(0, 1.05), xlabel="hidden share of the target", ylabel="targets picked")
        return _svg(figure)


def score_histogram(scores: Sequence[float], successes: Sequence[bool]) -> str | None:
    """How the scores of grasps that held and that failed are spread; None without attempts."""
    if not len(scores):
        return None
    scores, held = np.asarray(scores), np.asarray(successes, dtype=bool)
    with matplotlib.rc_context(_STYLE):
        figure, (axes,) = _figure()
        parts = [scores[held], scores[~held]]
        bars = axes.hist(parts, np.linspace(0, 1, 21), stacked=True, color=[BLUE, ORANGE], edgecolor="white")[2]
        for patch in bars[1]:
            patch.set_hatch("///")
        axes.legend(bars, [f"held ({held.sum()})", f"failed ({(~held).sum()})"], loc="upper left")
        axes.set(xlim=(0, 1), xlabel="score", ylabel="attempts")
        return _svg(figure)


def ap_by_friction(by_friction: dict[str, dict[str, Any]]) -> str | None:
    """AP in the first look over the friction that grasps may need, with bootstrap intervals; None without any."""
    known = {float(mu): v for mu, v in by_friction.items() if v["mean"] is not None}
    if not known:
        return None
    with matplotlib.rc_context(_STYLE):
        figure, (axes,) = _figure()
        x, y = np.array(list(known)), np.array([v["mean"] for v in known.values()])
        bounds = [v["interval"] or (v["mean"], v["mean"]) for v in known.values()]
        axes.errorbar(x, y, _bars(y, bounds), fmt="o-", color=BLUE, capsize=3)
        axes.set(ylim=(0, 1.02), xlabel="friction coefficient", ylabel="AP, first look", xticks=x)
        return _svg(figure)


def forest(rows: Sequence[dict[str, Any]]) -> str | None:
    """Differences with their intervals, one below the other; rows: label, difference, interval (shares, or None)."""
    known = [r for r in rows if r["difference"] is not None]
    if not known:
        return None
    with matplotlib.rc_context(_STYLE):
        figure, (axes,) = _figure(height=1.2 + 0.45 * len(known))
        y, x = -np.arange(len(known)), 100 * np.array([r["difference"] for r in known])
        bounds = 100 * np.array([r["interval"] or (r["difference"],) * 2 for r in known])
        axes.errorbar(x, y, xerr=_bars(x, bounds), fmt="o", color=BLUE, capsize=3)
        axes.axvline(0.0, color=GREY, linestyle="--")
        axes.set(yticks=y, yticklabels=[r["label"] for r in known], xlabel="difference, percentage points")
        axes.margins(y=0.2)
        return _svg(figure)


def _figure(rows: Sequence[int] = (1,), height: float = SIZE[1]) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(SIZE[0], height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), 1, squeeze=False, gridspec_kw={"height_ratios": rows})
    return figure, list(axes[:, 0])


def _svg(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})  # no date: equal results give equal pages
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
