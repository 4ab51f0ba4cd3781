"""observe: the arm where the camera sees the region, and the time from which images count."""

from __future__ import annotations

from arm_control.moves import Target
from arm_control.stages.context import PickContext
from grasp_core.errors import ErrorCode, ExecutionError

_POSE = "observe"


def observe(ctx: PickContext) -> str:
    """Move to the cell's pose `observe`, or for a repeated look to `observe_2`, `observe_3`, … where there is one.

    In a dry run the picture is taken from where the arm stands.
    """
    poses = [_POSE, *sorted(name for name in ctx.cell.poses if name.startswith(f"{_POSE}_"))]
    name = poses[ctx.look % len(poses)]
    where = f"at {name}"
    try:
        ctx.arm.move_to(Target.named(name), ctx.cancel)
    except ExecutionError as error:
        if error.code != ErrorCode.DRY_RUN:
            raise
        where = f"where the arm stands, not at {name}: {error}"
    ctx.not_before = ctx.now() + round(ctx.settings.settle * 1e9)
    return where
