"""One stage, one result."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from grasp_core.errors import ErrorCode, SeegraspError


@dataclass(frozen=True)
class StageResult:
    """How a stage ended: `code` NONE and what was done, or why not; `duration_ms` on the steady clock."""

    stage: str
    ok: bool
    code: ErrorCode
    message: str
    duration_ms: float


@dataclass(frozen=True)
class Stage:
    """A named step: `run(context)` returns what it did, for people, or raises `SeegraspError`."""

    name: str
    run: Callable[[Any], str]


def run_stage(stage: Stage, context: Any) -> StageResult:
    """Run one stage. A `SeegraspError` becomes its code; any other exception is a defect and becomes INTERNAL."""
    context.on_stage(stage.name)
    started = time.monotonic()
    code, ok = ErrorCode.NONE, True
    try:
        context.cancel.check()
        message = stage.run(context)
    except SeegraspError as error:
        ok, code, message = False, ErrorCode(error.code), str(error)
    except Exception as error:
        context.log.error(f"stage {stage.name}: {traceback.format_exc()}")
        ok, code, message = False, ErrorCode.INTERNAL, f"{type(error).__name__} in stage {stage.name}: {error}"
    return StageResult(stage.name, ok, code, message, (time.monotonic() - started) * 1e3)


def run_stages(stages: Sequence[Stage], context: Any) -> list[StageResult]:
    """Run stages in order up to the first that fails; the last result tells how it went."""
    results: list[StageResult] = []
    for stage in stages:
        results.append(run_stage(stage, context))
        if not results[-1].ok:
            break
    return results


def timings(results: Sequence[StageResult]) -> dict[str, float]:
    """Stage -> ms, in order; a stage that ran twice adds up."""
    total: dict[str, float] = {}
    for result in results:
        total[result.stage] = total.get(result.stage, 0.0) + result.duration_ms
    return total
