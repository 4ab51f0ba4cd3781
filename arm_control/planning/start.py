"""Starts that already touch something: what is tolerated, and the straight way out.

The rule. A contact of the start is tolerated when it is at most `ESCAPE_DEPTH` deep, and only while it does not get
deeper: known boxes may come no nearer than at the start (1 mm of slack), and of the cloud only the points that touch at
the start are no obstacle, so that pushing further into a surface meets its other points. Under that rule the grasp
frame leaves on a straight line, backwards along the approach or upwards, until it is clear; from there everything
counts again. Contacts of the arm with itself are tolerated by the same rule.
"""

from __future__ import annotations

import numpy as np

from arm_control.planning.cartesian import Line, follow_line
from arm_control.planning.collision import CLOUD, Checker, Mode, Tolerance, World, describe
from arm_control.planning.ik import InverseKinematics
from arm_control.planning.shapes import GRIPPER, HELD
from grasp_core.errors import ErrorCode, PlanningError

ESCAPE_DEPTH = 0.01  # m: deeper contacts of the start are an error
# m: the same for the held object. Its size is an estimate that takes in what it leaned on, such as a wall of the bin;
# it cannot really be inside, and the rule that contacts must not deepen keeps the way out straight.
HELD_DEPTH = 0.06
ESCAPE_DISTANCE = 0.15  # m: how far the straight way out may go


def tolerance_at(world: World, checker: Checker, q: np.ndarray) -> Tolerance:
    """What touches at `q` under `checker`, as a tolerance; PlanningError START_IN_COLLISION if it is too deep."""
    pairs: dict[tuple[str, str], float] = {}
    cloud: set[int] = set()
    for k in np.flatnonzero(checker.hits(q)):
        i, j = checker.pairs[k]
        if checker.names[j] == CLOUD:
            cloud.add(i)
            continue
        distance = checker.distance(q, int(k))
        limit = HELD_DEPTH if HELD in (checker.names[i], checker.names[j]) else ESCAPE_DEPTH
        _refuse_deep(-distance, limit, checker.names[i], checker.names[j])
        pairs[checker.ids(i, j)] = distance
    if checker.mode is Mode.LINEAR:
        cloud |= set(checker.fingers.values())
    return Tolerance(pairs, _touching_points(world, checker, q, cloud))


def _touching_points(world: World, checker: Checker, q: np.ndarray, indices: set[int]) -> np.ndarray | None:
    if not indices or not len(world.points):
        return None
    cells = world.padding.cloud + np.sqrt(3) * world.padding.resolution + 1e-3
    dropped = np.zeros(len(world.points), bool)
    for i in indices:
        shape = checker.shapes[i]
        distance = world.cloud_distance(q, shape)
        limit = HELD_DEPTH if shape.link == HELD else ESCAPE_DEPTH
        _refuse_deep(-float(distance.min()), limit, shape.link, CLOUD)
        by_points = checker.mode is Mode.LINEAR and shape.link in GRIPPER
        dropped |= distance < (world.padding.linear_cloud + 0.003 if by_points else cells)
    return dropped


def _refuse_deep(depth: float, limit: float, a: str, b: str) -> None:
    if depth > limit:
        raise PlanningError(
            f"the start is in collision: {a} - {b}, {1000 * depth:.0f} mm deep; move the arm clear by hand or in "
            "joint steps, or refresh the scene",
            ErrorCode.START_IN_COLLISION,
        )


def escape(world: World, ik: InverseKinematics, q: np.ndarray, width: float) -> Line | None:
    """The straight way out of the contacts at `q`; None if nothing touches there.

    Raises:
        PlanningError: START_IN_COLLISION, too deep or no way out; the message names the contacts.
    """
    strict = world.checker(Mode.FREE, width)
    if not strict.collides(q):
        return None
    touching = strict.contacts(q)
    loose = world.tolerant(Mode.FREE, width, tolerance_at(world, strict, q))
    T = ik.kin.fk(q)
    for direction in (-T[:3, 2], np.array([0.0, 0.0, 1.0])):
        line = _way_out(ik, q, T, direction)
        end = None if line is None else _first_clear(line, strict, loose)
        if end:
            return follow_line(ik, q, line.poses[end])
    raise PlanningError(
        f"the start is in collision and neither going back nor up leads out of it: {describe(touching)}",
        ErrorCode.START_IN_COLLISION,
    )


def _way_out(ik: InverseKinematics, q: np.ndarray, T: np.ndarray, direction: np.ndarray) -> Line | None:
    """The longest line in `direction` that the arm can follow."""
    for distance in (ESCAPE_DISTANCE, 0.06, 0.03):
        goal = T.copy()
        goal[:3, 3] += distance * direction
        try:
            return follow_line(ik, q, goal)
        except PlanningError:  # out of reach that far: a shorter way may do
            continue
    return None


def _first_clear(line: Line, strict: Checker, loose: Checker) -> int | None:
    """Index of the first sample that is clear, if the way there is tolerated."""
    for i in range(1, len(line.q)):
        if loose.collides(line.q[i]):
            return None
        if not strict.collides(line.q[i]):
            return i
    return None
