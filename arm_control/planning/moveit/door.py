"""The door to MoveIt: what a planner asks of it. `arm_control.drivers.moveit` has the implementations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from arm_control.planning import Trajectory
from arm_control.planning.cartesian import Line
from arm_control.planning.moveit.scene import Scene, SceneChange, Seen

UNNAMED = ("the robot", "something (MoveIt's Python interface does not tell what)")


class MoveIt(Protocol):
    """MoveIt for one planning group. Every call blocks; joints in the arm profile's order, rad.

    All raise SeegraspError: PLANNER_UNAVAILABLE when MoveIt is not there or does not answer, CONFIG when it knows no
    such group, link or frame, else the code that MoveIt's own stands for.
    """

    name: str

    def check_model(self, q: np.ndarray, T_base_flange: np.ndarray) -> None:
        """CONFIG unless MoveIt puts the flange at `T_base_flange` for joints `q` and finds joints for it."""
        ...

    def apply(self, change: SceneChange) -> bool:
        """Change the planning scene; whether MoveIt took all of it."""
        ...

    def seen(self) -> Seen:
        """What is in the planning scene now."""
        ...

    def contacts(self, q: np.ndarray) -> list[tuple[str, str]]:
        """Pairs of bodies in contact at joints `q`, by our names; `UNNAMED` where MoveIt does not name them."""
        ...

    def solve(self, T_base_flange: np.ndarray, seed_q: np.ndarray) -> np.ndarray | None:
        """Joints (dof,) without contacts that put the flange there, or None."""
        ...

    def plan(self, q_start: np.ndarray, q_goal: np.ndarray, scaling: float, max_time: float) -> Trajectory:
        """Free motion between joint positions."""
        ...

    def follow(self, line: Line, flange: np.ndarray, scaling: float) -> tuple[Trajectory | None, float]:
        """Straight along `line`, whose poses for the flange are `flange` (N, 4, 4).

        The trajectory as MoveIt timed it, and the fraction 0..1 of the way that is free of contacts. None: MoveIt has
        checked the joints of the line itself, which the caller has to time.
        """
        ...

    def close(self) -> None:
        """Let go of MoveIt."""
        ...


def missing(expected: Scene, seen: Seen) -> Sequence[str]:
    """What of the scene MoveIt does not have, or has too much, in words."""
    out = [f"object {n} is missing" for n in sorted(expected.fixed.keys() - seen.fixed)]
    out += [f"{n} is not attached" for n in sorted(expected.attached.keys() - seen.attached)]
    out += [f"{n} is still attached" for n in sorted(seen.attached - expected.attached.keys())]
    out += [f"object {n} was left behind" for n in sorted(seen.fixed - expected.fixed.keys())]
    if seen.resolution is None or not np.isclose(seen.resolution, expected.octree.resolution):
        found = "there is none" if seen.resolution is None else f"it has cells of {seen.resolution} m"
        out.append(f"the octomap is not ours ({found}): does a sensors_3d.yaml of MoveIt write one, too?")
    return out
