"""place: carry the object over the tray, lower it, open, retreat."""

from __future__ import annotations

import numpy as np

from arm_control.drop import Spot
from arm_control.held import extent_below, largest_held
from arm_control.moves import Target
from arm_control.planning import HeldObject
from arm_control.stages.context import PickContext
from arm_control.stages.verify import require_held
from grasp_core import se3
from grasp_core.cell import Box
from grasp_core.errors import ErrorCode, PlanningError, SeegraspError

_UNPLANNABLE = range(ErrorCode.UNREACHABLE, ErrorCode.CONTROLLER_ABORTED)
_YAWS = (np.pi / 2, 0.0)  # of the closing direction about the vertical, rad
_WALL_GAP = 0.02  # m between the object's box and the tray's walls
_OPEN_MORE = 0.03  # m that the gripper opens beyond what it held


def place(ctx: PickContext) -> str:
    """Try drop spots until one can be reached. PlanningError when none can: the object is then still held."""
    held = ctx.held
    spots = ctx.spots.ordered()[: ctx.settings.spots]
    problems: list[str] = []
    for spot in spots:
        pose = _reach_above(ctx, spot, held, problems)
        if pose is not None:
            break
    else:
        raise PlanningError(f"no way to any of {len(spots)} drop spots: {problems[-1]}", ErrorCode.NO_PATH)
    require_held(ctx, "above the tray")
    release_height = spot.base + extent_below(held) + ctx.settings.release_gap
    note = _release(ctx, pose, min(release_height, float(pose[2, 3])))
    ctx.spots.placed(spot, float(held.size[2]))
    return f"placed at spot {spot.index}{note}"


def put_back(ctx: PickContext) -> str:
    """Where placing is impossible: lower the object into the bin as far as there is a path, and let go."""
    held = ctx.arm.held() or largest_held(ctx.model)
    region = ctx.region
    x, y = (region.min[:2] + region.max[:2]) / 2
    height = float(region.min[2]) + extent_below(held) + ctx.settings.carry_height
    try:
        ctx.arm.move_to(Target.at(pointing_down(x, y, height, _YAWS[0])), ctx.cancel)
    except PlanningError as error:
        ctx.log.warning(f"the object is let go where the arm is: {error}")
    ctx.arm.move_to(Target.here(), ctx.cancel, gripper_width=ctx.model.max_width)
    return "put back into the region"


def pointing_down(x: float, y: float, z: float, yaw: float) -> np.ndarray:
    """Grasp frame at (x, y, z) m with the approach straight down and the closing direction at `yaw` rad, 4x4."""
    return se3.make(se3.rpy_matrix(np.pi, 0.0, yaw), [x, y, z])


def over_spot(tray: Box, xy: tuple[float, float], z: float, yaw: float, held: HeldObject) -> np.ndarray:
    """Grasp frame pointing down at `z` m, as near to `xy` as the object stays `_WALL_GAP` inside of the tray, 4x4.

    An object larger than the tray is centred.
    """
    T = pointing_down(*xy, z, yaw)
    reach = np.abs(T[:2, :2]) @ (held.size[:2] / 2)
    shift = T[:2, :2] @ held.centre[:2]
    low, high = tray.min[:2] + reach + _WALL_GAP - shift, tray.max[:2] - reach - _WALL_GAP - shift
    middle = (low + high) / 2
    T[:2, 3] = np.clip(T[:2, 3], np.minimum(low, middle), np.maximum(high, middle))
    return T


def _reach_above(ctx: PickContext, spot: Spot, held: HeldObject, problems: list[str]) -> np.ndarray | None:
    """Carry the object above the spot with the first orientation that has a path; the pose, or None."""
    z = max(spot.base, ctx.spots.rim) + extent_below(held) + ctx.settings.carry_height
    for yaw in _YAWS:
        pose = over_spot(ctx.spots.inside, spot.xy, z, yaw, held)
        try:
            ctx.arm.move_to(Target.at(pose), ctx.cancel)
        except PlanningError as error:
            problems.append(str(error))
            continue
        return pose
    return None


def _release(ctx: PickContext, pose: np.ndarray, height: float) -> str:
    """Lower straight to `height` m, open and retreat. Where the way down is blocked, release from above."""
    width = min(ctx.outcome.width + _OPEN_MORE, ctx.model.max_width)
    down, up = pose.copy(), pose.copy()
    down[2, 3] = height
    try:
        ctx.arm.move_to(Target.at(down, linear=True), ctx.cancel, gripper_width=width)
    except PlanningError as error:
        ctx.arm.move_to(Target.here(), ctx.cancel, gripper_width=width)
        return f" from above, since the way down is blocked: {error}"
    up[2, 3] = min(height + ctx.settings.retreat, float(pose[2, 3]))
    try:
        ctx.arm.move_to(Target.at(up, linear=True), ctx.cancel)
    except SeegraspError as error:
        if error.code not in _UNPLANNABLE:
            raise
        return f"; no straight way up: {error}"
    return ""
