"""observe: the arm where the camera sees the region, and the time from which images count."""

from __future__ import annotations

from arm_control.moves import Target
from arm_control.stages.context import PickContext

_POSE = "observe"


def observe(ctx: PickContext) -> str:
    """Move to the cell's pose `observe`, or for a repeated look to `observe_2`, `observe_3`, … where there is one."""
    poses = [_POSE, *sorted(name for name in ctx.cell.poses if name.startswith(f"{_POSE}_"))]
    name = poses[ctx.look % len(poses)]
    ctx.arm.move_to(Target.named(name), ctx.cancel)
    ctx.not_before = ctx.now() + round(ctx.settings.settle * 1e9)
    return f"at {name}"
