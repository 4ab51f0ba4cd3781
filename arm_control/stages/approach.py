"""approach: to the pregrasp while the gripper opens, then straight down to the grasp."""

from __future__ import annotations

from arm_control.stages.context import ArmContext
from grasp_core.errors import SeegraspError

_NEAR = 0.002  # m: the gripper is open wide enough already


def approach(ctx: ArmContext) -> str:
    """Execute the planned approach and descent; ExecutionError leaves the arm where it stopped."""
    plan = ctx.plan
    ctx.executed = ctx.planned
    opening = None
    if abs(ctx.gripper.width() - plan.width) > _NEAR:
        opening = ctx.gripper.start(plan.width)
    ctx.arm.execute(plan.approach, ctx.cancel, settle=False)
    if opening is not None:
        opening.finish(ctx.cancel)
    ctx.at_object = True
    ctx.arm.execute(plan.descent, ctx.cancel)
    return f"at the grasp, opened to {plan.width * 1e3:.0f} mm"


def pull_back(ctx: ArmContext) -> str:
    """Open, and move straight back along the approach: the arm out of the way after a failure at the object."""
    plan = ctx.plan
    ctx.gripper.move(plan.width, ctx.cancel)
    q = ctx.joints.arm().q
    ctx.planner.set_held(None)
    T_pregrasp = plan.T_base_tcp.copy()
    T_pregrasp[:3, 3] -= plan.pregrasp_distance * plan.T_base_tcp[:3, 2]
    try:
        path = ctx.planner.plan_linear(
            q, T_pregrasp, plan.width, ignore=plan.target, velocity_scaling=ctx.velocity_scaling
        )
    except SeegraspError as error:
        raise type(error)(f"cannot pull back: {error}", error.code) from error
    ctx.arm.execute(path, ctx.cancel)
    return "gripper opened, arm pulled back"
