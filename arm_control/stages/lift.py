"""lift: straight up with the object."""

from __future__ import annotations

from arm_control.stages.context import ArmContext


def lift(ctx: ArmContext) -> str:
    """Execute the planned lift; afterwards the object's points are no longer part of the scene."""
    ctx.arm.execute(ctx.plan.lift, ctx.cancel)
    ctx.scene = ctx.points[~ctx.plan.target.contains(ctx.points)]
    return f"lifted by {ctx.plan.lift_distance * 1e3:.0f} mm"
