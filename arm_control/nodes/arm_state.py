"""What arm_node knows between goals: what is held, and the scene as it was last seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from arm_control.drivers import GripperDriver
from arm_control.drivers.joint_states import JointStateMonitor
from arm_control.held import minimal_held
from arm_control.moves import Target, around_gripper, plan_move
from arm_control.planning import HeldObject, MotionPlanner, Trajectory
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ErrorCode, PlanningError, SeegraspError, StaleError
from grasp_core.gripper import Gripper

_S = 1_000_000_000


class ArmState:
    """Held object and remembered scene. While something is held, the scene is the one it was taken from.

    Args:
        max_age: s (ROS time) that a remembered scene counts while nothing is held.
        held_width: m; closed further than this, the gripper is empty.
    """

    def __init__(self, model: Gripper, cell: Cell, max_age: float, held_width: float) -> None:
        self._model = model
        self._cell = cell
        self._max_age = max_age
        self._empty_below = model.min_width + held_width
        self._restarts = 0
        self.held: HeldObject | None = None
        self._held_width = 0.0
        self._points: np.ndarray | None = None
        self._stamp = 0

    def refresh(self, joints: JointStateMonitor) -> None:
        """Forget everything when the driver behind the joint states was restarted."""
        if joints.restarts != self._restarts:
            self._restarts = joints.restarts
            self.held, self._points = None, None

    def grasped(self, held: HeldObject | None, width: float, points: np.ndarray, stamp: int) -> None:
        """After ExecuteGrasp: what is held at `width` m (or None), and the points (N, 3) of the scene without it."""
        self.held, self._held_width, self._points, self._stamp = held, width, points, stamp

    def released(self) -> None:
        """The gripper opens."""
        self.held = None

    def update_held(self, gripper: GripperDriver) -> HeldObject | None:
        """What is held, by the measured opening: shut or wide open means lost."""
        if self.held is not None:
            width = gripper.width()
            if width <= self._empty_below or width > self._held_width + 0.01:
                self.held = None
        return self.held

    def require_empty(self, gripper: GripperDriver) -> None:
        """INVALID_GOAL while an object is held."""
        if self.update_held(gripper) is not None:
            raise SeegraspError(
                "the gripper still holds an object: release it first (move_to with set_gripper)", ErrorCode.INVALID_GOAL
            )

    def scene(self, now: int, newest: int | None, load: Callable[[int], np.ndarray]) -> tuple[np.ndarray | None, str]:
        """Points for a free motion: the remembered scene; when that is old, the newest cloud.

        Without either None, for known boxes only, and why.
        """
        if self._points is not None and (self.held is not None or abs(now - self._stamp) <= self._max_age * _S):
            return self._points, ""
        if newest is None:
            return None, "no cloud was received"
        age = (now - newest) / _S
        if not -1.0 <= age <= self._max_age:
            return None, f"the newest cloud is {age:.1f} s old (allowed: 0 to {self._max_age} s, max_scene_age)"
        try:
            return load(newest), ""
        except StaleError as error:
            return None, str(error)

    def plan(
        self,
        planner: MotionPlanner,
        target: Target,
        q: np.ndarray,
        width: float,
        points: np.ndarray | None,
        arm: ArmProfile,
        scaling: float | None,
    ) -> tuple[Trajectory, str]:
        """A trajectory, and a note when it needed leave to start in contact.

        Fingers between objects touch points of the cloud, and the box around a held object is larger than the object.
        When that is why there is no start: first the points around gripper and object are left out, then the object is
        taken as what the pads span. Known boxes are never left out.
        """
        tries = [(self.held, False), (self.held, True)]
        if self.held is not None:
            tries.append((minimal_held(self._held_width, self._model), True))
        for i, (held, loosened) in enumerate(tries):
            ignore = [around_gripper(planner, q, width, self._model, held)] if loosened else []
            planner.set_scene(points, held, ignore)
            try:
                path = plan_move(planner, target, q, width, self._cell, arm, scaling)
            except PlanningError as error:
                if error.code != ErrorCode.START_IN_COLLISION or i == len(tries) - 1:
                    raise
                note = f"start in contact, planned without what touches gripper or object: {error}"
                continue
            return path, note if loosened else ""
        raise AssertionError("unreachable: the last try returns or raises")
