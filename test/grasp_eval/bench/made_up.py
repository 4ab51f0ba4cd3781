"""Made-up rounds and attempts: outcomes are written as text, `+` held, `-` failed."""

from __future__ import annotations

from typing import Any

import numpy as np

from grasp_eval.bench import records
from grasp_eval.bench.records import Attempt, Round, RunConfig

FAMILIES = ("box", "mug")
_CALLS_MS = {"look": 5.0, "detect": 100.0, "physics": 200.0}


def attempt(number: int, index: int, success: bool, **changes: Any) -> Attempt:
    values = {
        **{"round": number, "index": index, "success": success, "score": 0.8, "width": 0.05, "depth": 0.02},
        **{"reason": records.HELD if success else records.CLOSED_ON_NOTHING, "stability": 1.0},
        **{"position": [0.0, 0.0, 0.05], "quaternion": [1.0, 0.0, 0.0, 0.0], "expected": f"o{index % 4}"},
        "timings_ms": _CALLS_MS,
    }
    return Attempt(**(values | changes))


def scene(number: int, outcomes: str, ended: str = records.FAILURES, **changes: Any) -> tuple[Round, list[Attempt]]:
    """A round of four objects o0 to o3 and its attempts; every success clears the next object."""
    objects = [f"o{i}" for i in range(4)]
    values = {
        **{"round": number, "scene_seed": 1000 + number, "objects": objects, "looks": len(outcomes), "ended": ended},
        **{"families": [FAMILIES[i % 2] for i in range(4)], "cleared": objects[: outcomes.count("+")]},
        "timings_ms": {"scene": 300.0, "round": 2000.0} | {k: [ms] * len(outcomes) for k, ms in _CALLS_MS.items()},
    }
    return Round(**(values | changes)), [attempt(number, i, mark == "+") for i, mark in enumerate(outcomes)]


def run(*outcomes: str) -> tuple[RunConfig, list[Round], list[Attempt]]:
    """One round per text."""
    scenes = [scene(i, text) for i, text in enumerate(outcomes)]
    return RunConfig(rounds=len(scenes)), [r for r, _ in scenes], [a for _, attempts in scenes for a in attempts]


def random_run(rounds: int, rate: float, seed: int = 0) -> tuple[RunConfig, list[Round], list[Attempt]]:
    """Rounds of four attempts, of which a share `rate` holds."""
    marks = np.random.default_rng(seed).random((rounds, 4)) < rate
    return run(*("".join("+" if m else "-" for m in row) for row in marks))
