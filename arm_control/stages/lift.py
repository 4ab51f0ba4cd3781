"""lift: straight up with the object."""

from __future__ import annotations

from arm_control.planning import Trajectory
from arm_control.stages.context import ArmContext


def lift(ctx: ArmContext) -> str:
    """Execute the planned lift; afterwards the object's points are no longer part of the scene."""
    ctx.arm.execute(ctx.plan.lift, ctx.cancel, again=lambda: _rest(ctx))
    ctx.scene = ctx.points[~ctx.plan.target.contains(ctx.points)]
    return f"lifted by {ctx.plan.lift_distance * 1e3:.0f} mm"


def _rest(ctx: ArmContext) -> Trajectory:
    plan = ctx.plan
    T = plan.T_base_tcp.copy()
    T[2, 3] += plan.lift_distance
    ctx.planner.set_held(plan.held)
    q = ctx.joints.arm().q
    return ctx.planner.plan_linear(q, T, ctx.width, plan.target, ctx.velocity_scaling)
