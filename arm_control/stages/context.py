"""What the stages are given: the doors they may use, and the state that they hand on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from arm_control.cancel import CancelToken
from arm_control.drivers import GripperDriver, JointSource, TrajectoryDriver
from arm_control.drop import DropSpots
from arm_control.limits import SafetyLimits
from arm_control.memory import FailedGrasps
from arm_control.moves import Target
from arm_control.planning import GraspPlan, HeldObject, MotionPlanner
from grasp_core.cell import Box, Cell
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper


def _silent(_: str) -> None:
    """No one listens."""


@dataclass(frozen=True)
class GraspSettings:
    """Of `ExecuteGrasp`: `plan_time` s for all candidates; below `held_width` m the gripper is empty."""

    plan_time: float = 3.0
    held_width: float = 0.003
    closing_force: float | None = None  # N; None: the gripper profile's default


@dataclass
class ArmContext:
    """For the stages of `ExecuteGrasp`: plan, approach, close, verify, lift."""

    planner: MotionPlanner
    arm: TrajectoryDriver
    gripper: GripperDriver
    joints: JointSource
    model: Gripper
    cell: Cell
    candidates: Grasps  # in the base frame, best first
    points: np.ndarray  # (N, 3) m in the base frame: the cloud that the candidates were found in
    cancel: CancelToken = field(default_factory=CancelToken)
    settings: GraspSettings = field(default_factory=GraspSettings)
    velocity_scaling: float | None = None
    limits: SafetyLimits | None = None  # of the candidates; None: whatever has a path
    dry_run: bool = False  # plan and show, move nothing
    on_plan: Callable[[GraspPlan], None] = lambda _: None
    on_stage: Callable[[str], None] = _silent
    on_candidate: Callable[[int], None] = lambda _: None
    log: Any = field(default_factory=lambda: logging.getLogger("arm_control"))
    # what the stages find out
    plan: GraspPlan | None = None
    planned: int = -1  # index of the candidate with a path
    executed: int = -1  # the same, once the arm has left for it
    at_object: bool = False  # the descent has begun
    tried: int = 0
    width: float = float("nan")  # m, measured
    held: HeldObject | None = None
    scene: np.ndarray | None = None  # the points that remain when the object is gone


@dataclass(frozen=True)
class Detection:
    """Grasps in `frame`, found in the depth image stamped `stamp` (ns)."""

    grasps: Grasps
    frame: str
    stamp: int


@dataclass(frozen=True)
class GraspOutcome:
    """What `ExecuteGrasp` answered; `code` NONE: the object is held."""

    code: int
    message: str
    stage: str
    executed: int
    tried: int
    width: float
    timings: dict[str, float]


class ArmActions(Protocol):
    """arm_node, as the pick stages see it. Every call blocks."""

    def move_to(self, target: Target, cancel: CancelToken, gripper_width: float | None = None) -> None:
        """Move, then set the gripper to `gripper_width` m; ExecutionError with the code that arm_node answered."""
        ...

    def execute_grasp(self, detection: Detection, cancel: CancelToken) -> GraspOutcome:
        """Grasp the first candidate that has a path."""
        ...

    def held(self) -> HeldObject | None:
        """What arm_node knows to be in the gripper."""
        ...

    def width(self) -> float:
        """The gripper's measured opening, m; ExecutionError NO_JOINT_STATES."""
        ...


class DetectorActions(Protocol):
    """detector_node and the cloud, as the pick stages see them."""

    def detect(self, region: Box, not_before: int, min_score: float, cancel: CancelToken) -> Detection:
        """Grasps in the newest cloud not older than `not_before` (ns); SeegraspError with the detector's code."""
        ...

    def points_above(self, region: Box, height: float, not_before: int, cancel: CancelToken) -> int:
        """How many points lie in `region` more than `height` m above its lower face; NO_DEPTH without a cloud."""
        ...


@dataclass(frozen=True)
class PickSettings:
    """Of the pick loop; m and s."""

    settle: float = 0.05  # ROS time after the arm has stopped from which images count
    looks: int = 3  # how often to look again when nothing is found
    clear_height: float = 0.01  # points this far above the region's lower face are objects
    clear_points: int = 20  # this many of them are noise
    held_width: float = 0.003
    release_gap: float = 0.02  # between object and tray at the release
    carry_height: float = 0.06  # between object and rim above the tray
    retreat: float = 0.10
    spots: int = 6  # how many drop spots to try
    recovery: float = 30.0  # how long to wait for a node that went away


@dataclass
class PickContext:
    """For the stages of `Pick`: observe, detect, execute, place, verify."""

    arm: ArmActions
    detector: DetectorActions
    model: Gripper
    cell: Cell
    region: Box
    spots: DropSpots
    now: Callable[[], int]  # ROS time, ns
    min_score: float = 0.0
    cancel: CancelToken = field(default_factory=CancelToken)
    settings: PickSettings = field(default_factory=PickSettings)
    on_stage: Callable[[str], None] = _silent
    log: Any = field(default_factory=lambda: logging.getLogger("arm_control"))
    failed: FailedGrasps = field(default_factory=FailedGrasps)
    # what the stages find out
    look: int = 0  # which look at the unchanged scene this is
    not_before: int = 0
    detection: Detection | None = None
    outcome: GraspOutcome | None = None
    held: HeldObject | None = None
