"""Motion planning: the `MotionPlanner` protocol and its data; `make_planner` chooses an implementation by name.

Poses are those of the grasp frame (TCP) in the arm's base frame, 4x4 float64, m; joint vectors follow the order of the
arm profile, rad. Every failure is a `PlanningError` with a code of `grasp_core.errors.ErrorCode`:
INVALID_GOAL (NaN, wrong shape, not a rotation), UNREACHABLE, OUT_OF_LIMITS, START_IN_COLLISION, GOAL_IN_COLLISION,
NO_PATH, TIMING_FAILED. Messages of collisions name the two bodies in contact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from grasp_core.errors import ConfigError, ErrorCode


@dataclass(frozen=True)
class Trajectory:
    """A timed joint trajectory that starts and ends at rest.

    `times` (M,) s from 0, strictly increasing; `q`, `qd`, `qdd` (M, dof) rad, rad/s, rad/s^2; `names`: joint names.
    """

    names: tuple[str, ...]
    times: np.ndarray
    q: np.ndarray
    qd: np.ndarray
    qdd: np.ndarray

    def __len__(self) -> int:
        return len(self.times)

    @property
    def duration(self) -> float:
        """Seconds from the first to the last point."""
        return float(self.times[-1])

    def sample(self, t: np.ndarray | float) -> np.ndarray:
        """Positions at times `t` (..., ) s -> (..., dof): cubic Hermite between the points, clamped to the ends."""
        t = np.clip(np.asarray(t, float), 0.0, self.times[-1])
        i = np.clip(np.searchsorted(self.times, t, side="right") - 1, 0, max(len(self) - 2, 0))
        if len(self) == 1:
            return np.broadcast_to(self.q[0], (*t.shape, self.q.shape[1])).copy()
        h = (self.times[i + 1] - self.times[i])[..., None]
        u = (t[..., None] - self.times[i][..., None]) / h
        blend = 3 * u**2 - 2 * u**3
        slopes = (u**3 - 2 * u**2 + u) * h * self.qd[i] + (u**3 - u**2) * h * self.qd[i + 1]
        return (1 - blend) * self.q[i] + blend * self.q[i + 1] + slopes


@dataclass(frozen=True)
class HeldObject:
    """What the gripper holds, as a box aligned with the grasp frame: `centre` (3,) and `size` (3,), m."""

    centre: np.ndarray
    size: np.ndarray


@dataclass(frozen=True)
class Exemption:
    """An oriented box in the base frame whose cloud points are no obstacle (the target of a grasp).

    `T_base_box` 4x4: pose of the box's centre; `size` (3,) m: full edge lengths. Known boxes (table, bin, tray) are
    never exempt.
    """

    T_base_box: np.ndarray
    size: np.ndarray

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Which of `points` (N, 3) in the base frame lie in the box -> (N,) bool."""
        local = (points - self.T_base_box[:3, 3]) @ self.T_base_box[:3, :3]
        return (np.abs(local) <= np.asarray(self.size) / 2).all(axis=-1)


@dataclass(frozen=True)
class GraspPlan:
    """Three trajectories that follow one another: free approach, straight descent, straight lift.

    `T_base_tcp` is the pose at closing: the grasp that was asked for, or its half-turn about the approach axis
    (`flipped`), which is the same grasp of a two-finger gripper. `width` m is the opening on approach and descent.
    `target` holds the cloud points that were exempt; drop them from the scene once the object is held. `held`: what the
    lift was planned to carry. `timings` ms: ik, path, timing, linear, total.
    """

    approach: Trajectory
    descent: Trajectory
    lift: Trajectory
    T_base_tcp: np.ndarray
    width: float
    flipped: bool
    pregrasp_distance: float
    lift_distance: float
    target: Exemption
    held: HeldObject
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Rejection:
    """Why candidate `index` was not taken: `code`, `message`, and what it cost in ms."""

    index: int
    code: ErrorCode
    message: str
    ms: float


@dataclass(frozen=True)
class GraspSearch:
    """The result of `plan_grasps`: the first plan found (or None), its index (or -1), and what was rejected."""

    plan: GraspPlan | None
    index: int
    rejected: tuple[Rejection, ...]

    @property
    def tried(self) -> int:
        """How many candidates planning was tried for."""
        return len(self.rejected) + (self.plan is not None)

    def counts(self) -> dict[str, int]:
        """How often each error code occurred, by name."""
        out: dict[str, int] = {}
        for r in self.rejected:
            out[r.code.name] = out.get(r.code.name, 0) + 1
        return out


@runtime_checkable
class MotionPlanner(Protocol):
    """Plans motions of one arm with one gripper in one cell. Not thread-safe: one caller at a time."""

    joint_names: tuple[str, ...]

    def set_scene(
        self, cloud: np.ndarray | None, held: HeldObject | None = None, ignore: Iterable[Exemption] = ()
    ) -> None:
        """Replace the scene: `cloud` (N, 3) m in the base frame or None, what is held, and boxes whose points to drop.

        Non-finite points are an error (INVALID_GOAL). Points on known boxes (table, bin, tray) are dropped, since the
        boxes stand for them.
        """
        ...

    def set_held(self, held: HeldObject | None) -> None:
        """Change only what is held; the cloud stays."""
        ...

    def fk(self, q: np.ndarray) -> np.ndarray:
        """Pose of the grasp frame in the base frame, 4x4, at joints `q` (dof,)."""
        ...

    def ik(self, T_base_tcp: np.ndarray, seed_q: np.ndarray, width: float | None = None) -> np.ndarray:
        """Collision-free joint solutions (K, dof), nearest to `seed_q` first. `width` m: the gripper's opening."""
        ...

    def contacts(self, q: np.ndarray, width: float) -> list[tuple[str, str]]:
        """Pairs of bodies that touch (or are nearer than the padding) at joints `q`."""
        ...

    def self_contacts(self, q: np.ndarray, width: float) -> list[tuple[str, str]]:
        """Pairs of the robot's own bodies, gripper, cameras and held object among them, that touch at joints `q`."""
        ...

    def plan_joints(
        self, q_start: np.ndarray, q_goal: np.ndarray, width: float, velocity_scaling: float | None = None
    ) -> Trajectory:
        """Free motion between joint positions, around everything. `velocity_scaling` (0, 1]; None: the profile's."""
        ...

    def plan_pose(
        self, q_start: np.ndarray, T_base_tcp: np.ndarray, width: float, velocity_scaling: float | None = None
    ) -> Trajectory:
        """Free motion to a pose of the grasp frame; the nearest reachable joint solution is taken."""
        ...

    def plan_linear(
        self,
        q_start: np.ndarray,
        T_base_tcp: np.ndarray,
        width: float,
        ignore: Exemption | None = None,
        velocity_scaling: float | None = None,
    ) -> Trajectory:
        """The grasp frame on a straight line to the pose, turning evenly; cloud points in `ignore` are no obstacle."""
        ...

    def plan_grasp(
        self,
        q_start: np.ndarray,
        R: np.ndarray,
        t: np.ndarray,
        width: float,
        held: HeldObject | None = None,
        velocity_scaling: float | None = None,
    ) -> GraspPlan:
        """Approach, descent and lift for a grasp: `R` (3, 3), `t` (3,) m in the base frame, opening `width` m.

        `held`: what the lift carries; None: estimated from the cloud between the fingers.
        """
        ...

    def plan_grasps(
        self,
        q_start: np.ndarray,
        R: np.ndarray,
        t: np.ndarray,
        width: np.ndarray,
        velocity_scaling: float | None = None,
        max_time: float | None = None,
    ) -> GraspSearch:
        """Try candidates `R` (N, 3, 3), `t` (N, 3), `width` (N,) in order; stop at the first plan.

        `max_time` s bounds the search (no new candidate is started after it). A candidate's failure is recorded, not
        raised; a fault of the start (START_IN_COLLISION, or INVALID_GOAL in `q_start`) is raised, since no candidate
        can mend it.
        """
        ...

    def close(self) -> None:
        """Let go of what planning was done with; nothing can be planned any more."""
        ...


PLANNERS = ("builtin", "move_group", "moveit")


def make_planner(
    name: str, urdf: str, arm, gripper, cell, node=None, moveit_params: str = "", **options
) -> MotionPlanner:
    """Planner `name` for a URDF text, `ArmProfile`, `Gripper` and `Cell`.

    "builtin": our own. "move_group": MoveIt through the services of a running move_group; `node` (rclpy), which an
    executor in other threads has to spin, calls them. "moveit": MoveIt in this process (moveit_py), configured by the
    YAML `moveit_params`. Further `options` are those of `BuiltinPlanner` or `MoveItPlanner`.

    Raises:
        ConfigError: no such planner, or what it needs is not installed, not given or not readable.
    """
    if name not in PLANNERS:
        raise ConfigError(f"planner '{name}' is unknown; expected one of: {', '.join(PLANNERS)}")
    if name == "builtin":
        from arm_control.planning.builtin import BuiltinPlanner

        return BuiltinPlanner(urdf, arm, gripper, cell, **options)
    try:
        from arm_control.drivers.moveit import connect
    except ImportError as error:
        raise ConfigError(
            f"planner '{name}' needs moveit_msgs ({error}): install MoveIt, or run `make setup`"
        ) from error
    from arm_control.planning.moveit.planner import MoveItPlanner

    return MoveItPlanner(connect(name, urdf, arm, node, moveit_params), urdf, arm, gripper, cell, **options)


__all__ = [
    "PLANNERS",
    "Exemption",
    "GraspPlan",
    "GraspSearch",
    "HeldObject",
    "MotionPlanner",
    "Rejection",
    "Trajectory",
    "make_planner",
]
