"""Free motion in joint space: a straight segment where that is free, else RRTConnect (OMPL) and shortcuts.

Everything random is seeded for each call and the search is bounded by collision checks, not by the clock, so the same
scene and question give the same answer on a busy machine too. A limit in wall time, far above, guards against stalls.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np
from ompl import base as ob
from ompl import geometric as og
from ompl import util as ou

from arm_control.planning.kinematics import Kinematics

TRAVEL_STEP = 0.01  # m: no point of the robot moves further between two checks
JOINT_STEP = 0.02  # rad
RANGE = 0.6  # m of weighted joint travel: how far the trees grow at once
SHORTCUTS = 30
CHECKS_PER_SECOND = 25_000  # what one core does: turns a budget in seconds into collision checks
STALL = 10.0  # how many times the budget the search may take by the clock
ou.setLogLevel(ou.LOG_NONE)  # reseeding its generator, which is what makes plans repeatable, is logged as an error

Collides = Callable[[np.ndarray], bool]


def check_order(n: int) -> np.ndarray:
    """1 .. n-1 in an order that halves the gaps, so that a blocked segment is found early."""
    bits = max(1, int(np.ceil(np.log2(max(n, 2)))))
    order = [int(f"{i:0{bits}b}"[::-1], 2) for i in range(1 << bits)]
    return np.array([i for i in order if 0 < i < n], int)


_ORDERS: dict[int, np.ndarray] = {}


def segment_steps(kin: Kinematics, q0: np.ndarray, q1: np.ndarray) -> int:
    """Number of steps for a straight joint segment that respects TRAVEL_STEP and JOINT_STEP."""
    d = np.abs(q1 - q0)
    return max(1, int(np.ceil(max(float(d @ kin.reach) / TRAVEL_STEP, float(d.max()) / JOINT_STEP))))


def segment_free(kin: Kinematics, collides: Collides, q0: np.ndarray, q1: np.ndarray) -> bool:
    """Whether the straight segment is free, its end included, its start not."""
    n = segment_steps(kin, q0, q1)
    if collides(q1):
        return False
    if n not in _ORDERS:
        _ORDERS[n] = check_order(n)
    d = (q1 - q0) / n
    return not any(collides(q0 + i * d) for i in _ORDERS[n])


class _Motions(ob.MotionValidator):
    """Checks segments of the scaled space with `segment_free`."""

    def __init__(self, si: ob.SpaceInformation, free: Callable[[np.ndarray, np.ndarray], bool], read: Callable):
        super().__init__(si)
        self._free, self._read = free, read

    def checkMotion(self, s1, s2, *_) -> bool:
        return self._free(self._read(s1), self._read(s2))


def rrt_connect(
    kin: Kinematics, collides: Collides, q0: np.ndarray, q1: np.ndarray, max_time: float, seed: int
) -> np.ndarray | None:
    """Waypoints (K, dof) of a free path, or None when none was found with `max_time` s worth of collision checks.

    The space is scaled by how far each joint moves the far end, so that distances are about metres of travel.
    """
    ou.RNG.setSeed(seed + 1)
    w = kin.reach
    lower = np.minimum(kin.window_lower, np.minimum(q0, q1) - 0.01)
    upper = np.maximum(kin.window_upper, np.maximum(q0, q1) + 0.01)
    space = ob.RealVectorStateSpace(kin.dof)
    bounds = ob.RealVectorBounds(kin.dof)
    for i in range(kin.dof):
        bounds.setLow(i, float(lower[i] * w[i]))
        bounds.setHigh(i, float(upper[i] * w[i]))
    space.setBounds(bounds)
    si = ob.SpaceInformation(space)
    dims = range(kin.dof)

    spent = 0

    def counted(q: np.ndarray) -> bool:
        nonlocal spent
        spent += 1
        return collides(q)

    def read(state) -> np.ndarray:
        return np.array([state[i] for i in dims]) / w

    si.setStateValidityChecker(lambda state: not counted(read(state)))
    si.setMotionValidator(_Motions(si, lambda a, b: segment_free(kin, counted, a, b), read))
    si.setup()
    problem = ob.ProblemDefinition(si)
    start, goal = space.allocState(), space.allocState()
    for i in dims:
        start[i], goal[i] = float(q0[i] * w[i]), float(q1[i] * w[i])
    problem.setStartAndGoalStates(start, goal)
    planner = og.RRTConnect(si)
    planner.setRange(RANGE)
    planner.setProblemDefinition(problem)
    planner.setup()
    budget, deadline = max_time * CHECKS_PER_SECOND, perf_counter() + STALL * max_time
    planner.solve(ob.PlannerTerminationCondition(lambda: spent > budget or perf_counter() > deadline))
    if not problem.hasExactSolution():
        return None
    path = problem.getSolutionPath()
    out = np.array([read(path.getState(i)) for i in range(path.getStateCount())])
    out[0], out[-1] = q0, q1
    return out


def path_length(kin: Kinematics, path: np.ndarray) -> float:
    """Weighted joint travel in about m."""
    return float((np.abs(np.diff(path, axis=0)) * kin.reach).sum())


def shortcut(kin: Kinematics, collides: Collides, path: np.ndarray, seed: int) -> np.ndarray:
    """Drop waypoints that are not needed, then replace random stretches by straight segments where that is shorter."""
    path = _prune(kin, collides, path)
    rng = np.random.default_rng(seed)
    for _ in range(SHORTCUTS):
        if len(path) < 3:
            break
        lengths = (np.abs(np.diff(path, axis=0)) * kin.reach).sum(1)
        ends = np.concatenate([[0.0], np.cumsum(lengths)])
        a, b = np.sort(rng.uniform(0, ends[-1], 2))
        i, j = (int(np.clip(np.searchsorted(ends, x) - 1, 0, len(lengths) - 1)) for x in (a, b))
        if i == j:
            continue
        qa = path[i] + (path[i + 1] - path[i]) * (a - ends[i]) / lengths[i]
        qb = path[j] + (path[j + 1] - path[j]) * (b - ends[j]) / lengths[j]
        saved = (b - a) - path_length(kin, np.stack([qa, qb]))
        if saved > 0.02 and segment_free(kin, collides, qa, qb):
            path = np.concatenate([path[: i + 1], [qa, qb], path[j + 1 :]])
    return _merge(_prune(kin, collides, path))


def _prune(kin: Kinematics, collides: Collides, path: np.ndarray) -> np.ndarray:
    """From each waypoint go straight to the last one that can be reached."""
    keep, i = [0], 0
    while i < len(path) - 1:
        j = len(path) - 1
        while j > i + 1 and not segment_free(kin, collides, path[i], path[j]):
            j -= 1
        keep.append(j)
        i = j
    return path[keep]


def _merge(path: np.ndarray, near: float = 0.02) -> np.ndarray:
    """Without inner waypoints that almost coincide with the one before."""
    keep = [0]
    for i in range(1, len(path) - 1):
        if np.linalg.norm(path[i] - path[keep[-1]]) > near and np.linalg.norm(path[i] - path[-1]) > near:
            keep.append(i)
    return path[[*keep, len(path) - 1]]


def plan_free(
    kin: Kinematics, collides: Collides, q0: np.ndarray, q1: np.ndarray, max_time: float, seed: int
) -> np.ndarray | None:
    """Waypoints (K, dof) from `q0` to `q1`, straight segments of which are free; None when none was found in time."""
    if segment_free(kin, collides, q0, q1):
        return np.stack([q0, q1])
    found = rrt_connect(kin, collides, q0, q1, max_time, seed)
    return None if found is None else shortcut(kin, collides, found, seed)
