"""verify: is something between the fingers, and has it gone when it should have."""

from __future__ import annotations

from arm_control.cancel import CancelToken, wait_until
from arm_control.held import estimate_held
from arm_control.stages.context import ArmContext, PickContext
from grasp_core.errors import ErrorCode, ExecutionError


def verify_grasp(ctx: ArmContext) -> str:
    """After closing: GRIPPER_EMPTY when the gripper is shut; else what it holds goes into the planner's scene."""
    ctx.width = min(ctx.width, ctx.gripper.width())  # joint states may lag behind the action's own result
    if ctx.width <= ctx.model.min_width + ctx.settings.held_width:
        raise ExecutionError(
            f"the gripper closed to {ctx.width * 1e3:.1f} mm: nothing is between the fingers", ErrorCode.GRIPPER_EMPTY
        )
    T = ctx.plan.T_base_tcp
    ctx.held = estimate_held(ctx.points, T, ctx.width, ctx.model, ctx.cell.support_height())
    return f"holding at {ctx.width * 1e3:.1f} mm"


def verify_lifted(ctx: ArmContext) -> str:
    """After the lift: OBJECT_LOST when the gripper has closed since."""
    before, ctx.width = ctx.width, ctx.gripper.width()
    if ctx.width <= ctx.model.min_width + ctx.settings.held_width:
        ctx.held = None
        raise ExecutionError(
            f"held at {before * 1e3:.1f} mm after closing, {ctx.width * 1e3:.1f} mm after the lift: lost",
            ErrorCode.OBJECT_LOST,
        )
    return f"holding at {ctx.width * 1e3:.1f} mm"


def require_held(ctx: PickContext, where: str) -> float:
    """On the way: the opening in m, or OBJECT_LOST."""
    width = ctx.arm.width()
    if width <= ctx.model.min_width + ctx.settings.held_width:
        raise ExecutionError(
            f"the gripper is shut ({width * 1e3:.1f} mm) {where}: the object was lost on the way", ErrorCode.OBJECT_LOST
        )
    return width


def verify_placed(ctx: PickContext) -> str:
    """After placing: the gripper must have opened beyond what it held."""
    held = ctx.outcome.width
    target = min(held + 0.005, ctx.model.max_width - 0.005)
    if not wait_until(lambda: ctx.arm.width() >= target, 0.5, CancelToken()):
        raise ExecutionError(
            f"the gripper is at {ctx.arm.width() * 1e3:.1f} mm after releasing an object of {held * 1e3:.1f} mm",
            ErrorCode.GRIPPER_FAILED,
        )
    return "released"
