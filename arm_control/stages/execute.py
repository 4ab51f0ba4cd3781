"""execute: hand the candidates to arm_node (plan, approach, close, verify, lift, verify)."""

from __future__ import annotations

from arm_control.stages.context import PickContext
from grasp_core.errors import ErrorCode, ExecutionError


def execute(ctx: PickContext) -> str:
    """Grasp the best candidate that has a path; ExecutionError with the code of the stage that failed."""
    ctx.outcome = ctx.arm.execute_grasp(ctx.detection, ctx.cancel)
    if ctx.outcome.code != ErrorCode.NONE:
        raise ExecutionError(ctx.outcome.message, ErrorCode(ctx.outcome.code))
    ctx.held = ctx.arm.held()
    return f"candidate {ctx.outcome.executed} held at {ctx.outcome.width * 1e3:.0f} mm"
