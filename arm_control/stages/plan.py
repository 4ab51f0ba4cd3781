"""plan: the first candidate that has a collision-free path."""

from __future__ import annotations

import time
from collections import Counter

from arm_control.planning import Rejection
from arm_control.stages.context import ArmContext
from grasp_core.errors import ErrorCode, PlanningError

_CHUNK = 4  # candidates between two looks at the cancellation


def plan(ctx: ArmContext) -> str:
    """Try the candidates in order until one has approach, descent and lift, or the time is up.

    PlanningError carries the code that occurred most often and the counts of all.
    """
    q = ctx.joints.arm().q
    ctx.planner.set_scene(ctx.points, None)
    grasps = ctx.candidates
    deadline = time.monotonic() + ctx.settings.plan_time
    rejected: list[Rejection] = []
    while ctx.tried < len(grasps):
        ctx.cancel.check()
        left = deadline - time.monotonic()
        if left <= 0.0:
            break
        ctx.on_candidate(ctx.tried)
        part = slice(ctx.tried, ctx.tried + _CHUNK)
        search = ctx.planner.plan_grasps(
            q, grasps.R[part], grasps.t[part], grasps.width[part], ctx.velocity_scaling, max_time=left
        )
        rejected += search.rejected
        if search.plan is not None:
            ctx.plan, ctx.planned = search.plan, part.start + search.index
            ctx.tried += search.tried
            ctx.on_candidate(ctx.planned)
            return f"candidate {ctx.planned} has a path; {ctx.tried} of {len(grasps)} tried{_counts(rejected)}"
        ctx.tried += search.tried
        if search.tried == 0:
            break
    if not rejected:
        raise PlanningError(
            f"no time to plan for any of {len(grasps)} candidates in {ctx.settings.plan_time} s", ErrorCode.TIMEOUT
        )
    code = Counter(r.code for r in rejected).most_common(1)[0][0]
    example = next(r.message for r in rejected if r.code == code)
    raise PlanningError(
        f"no path to any of {ctx.tried} candidates tried out of {len(grasps)}{_counts(rejected)}; such as: {example}",
        code,
    )


def _counts(rejected: list[Rejection]) -> str:
    counts = Counter(r.code.name for r in rejected)
    return f" ({', '.join(f'{n} {name}' for name, n in counts.most_common())})" if counts else ""
