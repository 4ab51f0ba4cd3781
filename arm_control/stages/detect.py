"""detect: grasps in a picture taken after the arm has stopped, without those that have failed already."""

from __future__ import annotations

from dataclasses import replace

from arm_control.stages.context import PickContext
from grasp_core.errors import DetectorError, ErrorCode


def detect(ctx: PickContext) -> str:
    """Ask the detector; NO_GRASP also when every grasp that it found has failed in this scene before."""
    detection = ctx.detector.detect(ctx.region, ctx.not_before, ctx.min_score, ctx.cancel)
    found = len(detection.grasps)
    if found == 0:
        raise DetectorError("the detector found no grasp", ErrorCode.NO_GRASP)
    fresh = detection.grasps[ctx.failed.unknown(detection.grasps)]
    if len(fresh) == 0:
        raise DetectorError(f"all {found} grasps lie where one has failed before", ErrorCode.NO_GRASP)
    ctx.detection = replace(detection, grasps=fresh)
    return f"{len(fresh)} candidates ({found - len(fresh)} left out: failed before)"
