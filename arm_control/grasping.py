"""One grasp from candidates to a lifted object: the order of the stages, and the way back when one fails."""

from __future__ import annotations

from arm_control.stages.approach import approach, pull_back
from arm_control.stages.close import close
from arm_control.stages.context import ArmContext
from arm_control.stages.lift import lift
from arm_control.stages.plan import plan
from arm_control.stages.result import Stage, StageResult, run_stage, run_stages
from arm_control.stages.verify import verify_grasp, verify_lifted
from grasp_core.errors import ErrorCode

STAGES = (
    Stage("plan", plan),
    Stage("approach", approach),
    Stage("close", close),
    Stage("verify", verify_grasp),
    Stage("lift", lift),
    Stage("verify_lift", verify_lifted),
)
RETREAT = Stage("retreat", pull_back)
OPEN = Stage("retreat", lambda ctx: f"opened to {ctx.gripper.move(ctx.model.max_width, ctx.cancel) * 1e3:.0f} mm")

_NO_MOTION = {
    ErrorCode.CANCELLED,
    ErrorCode.STOPPED,
    ErrorCode.NOT_ARMED,
    ErrorCode.DRY_RUN,
    ErrorCode.STALE_DATA,
    ErrorCode.NO_TF,
    ErrorCode.CONTROLLER_UNAVAILABLE,
    ErrorCode.NO_JOINT_STATES,
    ErrorCode.GRIPPER_UNAVAILABLE,
}


def grasp(ctx: ArmContext) -> tuple[StageResult, list[StageResult]]:
    """Run the stages; the deciding result and all of them.

    After a failure at the object the gripper is opened and the arm pulled back along the approach; after a loss during
    the lift the gripper is opened. After a cancellation, or when arm or gripper cannot be commanded, nothing moves.
    """
    results = run_stages(STAGES, ctx)
    decisive = results[-1]
    if decisive.ok:
        return decisive, results
    ctx.held = None if decisive.stage in ("close", "verify", "verify_lift") else ctx.held
    way_back = _way_back(ctx, decisive)
    if way_back is not None:
        results.append(run_stage(way_back, ctx))
        if not results[-1].ok:
            message = f"{decisive.message}; then the retreat failed: {results[-1].message}"
            decisive = StageResult(decisive.stage, False, decisive.code, message, decisive.duration_ms)
    return decisive, results


def _way_back(ctx: ArmContext, failed: StageResult) -> Stage | None:
    if failed.code in _NO_MOTION:
        return None
    if failed.stage == "verify_lift":
        return OPEN
    return RETREAT if ctx.at_object and failed.stage != "lift" else None
