"""What came of an attempt, as it is written down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from grasp_core import se3
from grasp_core.grasps import Grasps
from grasp_eval.bench import records
from grasp_eval.bench.looking import Look
from grasp_eval.bench.records import Attempt, RoundResult
from grasp_sim.hand_attempt import Trace


def attempt_record(
    so_far: RoundResult, look: Look, grasp: Grasps, trace: Trace, offered: int, max_slip: float | None
) -> Attempt:
    """The record of the attempt at the one ``grasp`` chosen of ``offered`` ones, without a picture."""
    target, timings = so_far.round.target, so_far.round.timings_ms
    reason = reason_of(trace, target, max_slip)
    return Attempt(
        round=so_far.round.round,
        index=len(so_far.attempts),
        success=reason == records.HELD,
        reason=reason,
        score=float(grasp.score[0]),
        width=float(grasp.width[0]),
        depth=float(grasp.depth[0]),
        stability=float(grasp.stability[0]),
        position=[float(v) for v in grasp.t[0]],
        quaternion=se3.quat_from_matrix(grasp.R[0]).tolist(),
        grasps=offered,
        target=target,
        expected=nearest_object(look, grasp.t[0]),
        held=trace.held,
        touched=sorted({*trace.start_touched, *trace.touched}),
        moved=trace.moved,
        slip=trace.slip,
        opening=trace.opening,
        penetration=trace.penetration,
        unphysical=trace.unphysical,
        timings_ms={name: timings[name][-1] for name in ("look", "detect", "physics")},
    )


def reason_of(trace: Trace, target: str, max_slip: float | None = None) -> str:
    """Why an attempt ended as it did: one of records.REASONS. max_slip: m that are forgiven, None: any."""
    slipped = max_slip is not None and trace.slip is not None and trace.slip > max_slip
    steps = (
        (records.UNPHYSICAL, bool(trace.unphysical)),
        (records.TOUCHED, trace.forbidden),
        (records.BLOCKED, bool(trace.blocked)),
        (records.CLOSED_ON_NOTHING, not trace.gripped),
        (records.DROPPED_IN_LIFT, not trace.lifted),
        (records.DROPPED_IN_SHAKE, not trace.held),
        (records.SLIPPED, slipped),
        (records.WRONG_OBJECT, bool(target) and target not in trace.held),
    )
    return next((reason for reason, so in steps if so), records.HELD)


def nearest_object(look: Look, place: NDArray) -> str:
    """The object whose visible surface is nearest to a place; empty when none is visible."""
    if len(look.points) == 0:
        return ""
    return look.names[int(look.labels[cKDTree(look.points).query(np.asarray(place, float))[1]])]
