"""approach: to the pregrasp while the gripper opens, then straight down to the grasp."""

from __future__ import annotations

import numpy as np

from arm_control.planning import Trajectory
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
    ctx.arm.execute(plan.approach, ctx.cancel, settle=False, again=lambda: _to_pregrasp(ctx))
    if opening is not None:
        opening.finish(ctx.cancel)
    ctx.at_object = True
    ctx.arm.execute(plan.descent, ctx.cancel, again=lambda: _straight(ctx, plan.T_base_tcp))
    return f"at the grasp, opened to {plan.width * 1e3:.0f} mm"


def pull_back(ctx: ArmContext) -> str:
    """Open, and move straight back along the approach: the arm out of the way after a failure at the object."""
    plan = ctx.plan
    ctx.gripper.move(plan.width, ctx.cancel)
    ctx.planner.set_held(None)
    T_pregrasp = plan.T_base_tcp.copy()
    T_pregrasp[:3, 3] -= plan.pregrasp_distance * plan.T_base_tcp[:3, 2]
    try:
        path = _straight(ctx, T_pregrasp)
    except SeegraspError as error:
        raise type(error)(f"cannot pull back: {error}", error.code) from error
    ctx.arm.execute(path, ctx.cancel, again=lambda: _straight(ctx, T_pregrasp))
    return "gripper opened, arm pulled back"


def _to_pregrasp(ctx: ArmContext) -> Trajectory:
    plan = ctx.plan
    return ctx.planner.plan_joints(ctx.joints.arm().q, plan.approach.q[-1], plan.width, ctx.velocity_scaling)


def _straight(ctx: ArmContext, T_base_tcp: np.ndarray) -> Trajectory:
    plan, q = ctx.plan, ctx.joints.arm().q
    return ctx.planner.plan_linear(q, T_base_tcp, plan.width, plan.target, ctx.velocity_scaling)
