"""close: the gripper closes on the object."""

from __future__ import annotations

from arm_control.stages.context import ArmContext


def close(ctx: ArmContext) -> str:
    """Close with the profile's force until the gripper stalls on the object or is shut."""
    ctx.width = ctx.gripper.move(ctx.model.min_width, ctx.cancel, force=ctx.settings.closing_force, allow_stall=True)
    return f"closed to {ctx.width * 1e3:.1f} mm"
