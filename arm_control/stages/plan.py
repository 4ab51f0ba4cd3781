"""plan: the first candidate that has a collision-free path."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np

from arm_control.planning import GraspPlan, Rejection
from arm_control.stages.context import ArmContext
from grasp_core.errors import ErrorCode, ExecutionError, PlanningError

_CHUNK = 4  # candidates between two looks at the cancellation


def plan(ctx: ArmContext) -> str:
    """Try the candidates in order until one has approach, descent and lift, or the time is up.

    PlanningError carries the code that occurred most often and the counts of all; ExecutionError DRY_RUN ends a dry run
    that has found a path.
    """
    q = ctx.joints.arm().q
    ctx.planner.set_scene(ctx.points, None)
    kept, rejected = _within_limits(ctx)
    ctx.tried = len(rejected)
    deadline = time.monotonic() + ctx.settings.plan_time
    for first in range(0, len(kept), _CHUNK):
        ctx.cancel.check()
        left = deadline - time.monotonic()
        if left <= 0.0:
            break
        part = kept[first : first + _CHUNK]
        ctx.on_candidate(int(part[0]))
        grasps = ctx.candidates[part]
        search = ctx.planner.plan_grasps(q, grasps.R, grasps.t, grasps.width, ctx.velocity_scaling, max_time=left)
        rejected += search.rejected
        ctx.tried += search.tried
        if search.plan is not None:
            return _found(ctx, search.plan, int(part[search.index]), rejected)
        if search.tried < len(part):
            break
    if not rejected:
        raise PlanningError(
            f"no time to plan for any of {len(ctx.candidates)} candidates in {ctx.settings.plan_time} s",
            ErrorCode.TIMEOUT,
        )
    code = Counter(r.code for r in rejected).most_common(1)[0][0]
    example = next(r.message for r in rejected if r.code == code)
    raise PlanningError(
        f"no path to any of {ctx.tried} candidates tried out of {len(ctx.candidates)}{_counts(rejected)}; such as: "
        f"{example}",
        code,
    )


def _within_limits(ctx: ArmContext) -> tuple[np.ndarray, list[Rejection]]:
    """Indices of the candidates that keep the cell's limits, in order, and the others as rejected."""
    grasps = ctx.candidates
    allowed = np.ones(len(grasps), bool) if ctx.limits is None else ctx.limits.allowed(grasps.R, grasps.t)
    what = f"beyond max_tilt, workspace or min_height in safety of cell {ctx.cell.name}"
    return np.flatnonzero(allowed), [
        Rejection(int(i), ErrorCode.OUT_OF_LIMITS, f"candidate {i} is {what}", 0.0) for i in np.flatnonzero(~allowed)
    ]


def _found(ctx: ArmContext, plan: GraspPlan, index: int, rejected: list[Rejection]) -> str:
    ctx.plan, ctx.planned = plan, index
    ctx.on_candidate(index)
    ctx.on_plan(plan)
    told = f"candidate {index} has a path; {ctx.tried} of {len(ctx.candidates)} tried{_counts(rejected)}"
    if ctx.dry_run:
        raise ExecutionError(f"dry run: {told}; it was shown, nothing was moved", ErrorCode.DRY_RUN)
    return told


def _counts(rejected: list[Rejection]) -> str:
    counts = Counter(r.code.name for r in rejected)
    return f" ({', '.join(f'{n} {name}' for name, n in counts.most_common())})" if counts else ""
