"""execute: hand the candidates to arm_node (plan, approach, close, verify, lift, verify)."""

from __future__ import annotations

from arm_control.cancel import wait_until
from arm_control.held import largest_held
from arm_control.stages.context import PickContext
from grasp_core.errors import ErrorCode, ExecutionError

_HELD_TIMEOUT = 1.0  # s that the news of what is held may come later than the result


def execute(ctx: PickContext) -> str:
    """Grasp the best candidate that has a path; ExecutionError with the code of the stage that failed."""
    ctx.outcome = ctx.arm.execute_grasp(ctx.detection, ctx.cancel)
    if ctx.outcome.code != ErrorCode.NONE:
        raise ExecutionError(ctx.outcome.message, ErrorCode(ctx.outcome.code))
    if wait_until(lambda: ctx.arm.held() is not None, _HELD_TIMEOUT, ctx.cancel, 0.02):
        ctx.held = ctx.arm.held()
    else:
        ctx.log.warning("arm_node does not tell what it holds: taken as large")
        ctx.held = largest_held(ctx.model)
    return f"candidate {ctx.outcome.executed} held at {ctx.outcome.width * 1e3:.0f} mm"
