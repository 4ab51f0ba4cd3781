"""What every planner shares: one model of robot and cell, the scene, and the checks of what is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from time import perf_counter

import numpy as np

from arm_control.planning import Exemption, GraspPlan, GraspSearch, HeldObject
from arm_control.planning import timing as tm
from arm_control.planning.checks import pose_of
from arm_control.planning.collision import Mode, Padding, World
from arm_control.planning.grasp_motion import GraspMotion, search_grasps
from arm_control.planning.ik import InverseKinematics
from arm_control.planning.kinematics import Kinematics
from arm_control.planning.shapes import arm_shapes, camera_shapes, cell_shapes
from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ConfigError, ErrorCode, PlanningError
from grasp_core.gripper import Gripper

AWAY, TURNED = 0.02, 0.05  # m, rad: a calibrated arm is nearer to its nominal model, another model is not
_BENT = 0.7  # rad of the joints about home where two models are compared


class PlannerBase(ABC):
    """See `MotionPlanner` for the methods. Poses in the arm's base frame, one caller at a time.

    Args:
        urdf: robot description (text): kinematics and limits. Collision shapes come from the arm profile's own URDF.
        arm, gripper, cell: profiles.
        padding: distances that are kept.

    Raises:
        ConfigError: cell and arm differ in their base frame; the description is not that of the profile's arm.
    """

    def __init__(
        self, urdf: str, arm: ArmProfile, gripper: Gripper, cell: Cell, padding: Padding | None = None
    ) -> None:
        if cell.base_frame != arm.base_frame:
            raise ConfigError(
                f"cell {cell.name} is in '{cell.base_frame}', the arm in '{arm.base_frame}': not the same"
            )
        self.arm, self.gripper = arm, gripper
        self.kin = Kinematics(urdf, arm, gripper.T_flange_tcp)
        profile = arm.urdf_path.read_text(encoding="utf-8")
        check_same_arm(self.kin, Kinematics(profile, arm, gripper.T_flange_tcp), arm)
        self.joint_names = self.kin.names
        self.inverse = InverseKinematics(self.kin)
        cameras = camera_shapes(self.kin, arm, cell)
        robot = arm_shapes(profile, self.kin) + [c for c in cameras if c.joint > 0]
        boxes = cell_shapes(cell) + [c for c in cameras if c.joint == 0]
        self.world = World(self.kin, gripper, robot, boxes, padding or Padding())

    # scene ---------------------------------------------------------------------------------------------------------

    def set_scene(
        self, cloud: np.ndarray | None, held: HeldObject | None = None, ignore: Iterable[Exemption] = ()
    ) -> None:
        """See `MotionPlanner.set_scene`."""
        if cloud is not None:
            cloud = np.asarray(cloud, float)
            if cloud.ndim != 2 or cloud.shape[1] != 3:
                raise PlanningError(f"scene cloud: shape {cloud.shape}, expected (N, 3)", ErrorCode.INVALID_GOAL)
            if not np.isfinite(cloud).all():
                raise PlanningError("scene cloud: has points that are not finite; drop them", ErrorCode.INVALID_GOAL)
            for box in ignore:
                cloud = cloud[~box.contains(cloud)]
        self.world.set_cloud(cloud)
        self.set_held(held)

    def set_held(self, held: HeldObject | None) -> None:
        """See `MotionPlanner.set_held`."""
        if held is not None:
            size, centre = np.asarray(held.size, float), np.asarray(held.centre, float)
            if size.shape != (3,) or centre.shape != (3,) or not (np.isfinite(centre).all() and (size > 0).all()):
                raise PlanningError(f"held object: centre {centre}, size {size} m is no box", ErrorCode.INVALID_GOAL)
        self.world.set_held(held)

    # what is asked for ---------------------------------------------------------------------------------------------

    def fk(self, q: np.ndarray) -> np.ndarray:
        """See `MotionPlanner.fk`."""
        return self.kin.fk(self.kin.check_joints(q, "joints"))

    def self_contacts(self, q: np.ndarray, width: float) -> list[tuple[str, str]]:
        """See `MotionPlanner.self_contacts`; by our own shapes, whoever plans."""
        return self.world.checker(Mode.FREE, self.check_width(width)).self_contacts(np.asarray(q, float))

    def check_width(self, width: float) -> float:
        """`width` as a float within the gripper's range (1 mm of slack); PlanningError INVALID_GOAL otherwise."""
        width = float(width)
        if not -1e-3 <= width <= self.gripper.max_width + 1e-3:
            raise PlanningError(
                f"width {width:.4f} m is outside 0 .. {self.gripper.max_width} m of the gripper", ErrorCode.INVALID_GOAL
            )
        return min(max(width, 0.0), self.gripper.max_width)

    def limits(self, velocity_scaling: float | None) -> tm.Limits:
        """Limits at a scaling (0, 1], None: the profile's; straight lines scale relative to the profile's."""
        scale = self.scaling(velocity_scaling)
        linear = min(1.0, scale / self.arm.velocity_scaling)
        return tm.Limits(
            self.kin.max_velocity * scale,
            self.kin.max_acceleration * scale,
            self.arm.max_tcp_velocity,
            self.arm.linear_velocity * linear,
            self.arm.linear_acceleration * linear,
        )

    def scaling(self, velocity_scaling: float | None) -> float:
        """The scaling asked for, None: the profile's; PlanningError INVALID_GOAL outside (0, 1]."""
        scale = self.arm.velocity_scaling if velocity_scaling is None else float(velocity_scaling)
        if not 0.0 < scale <= 1.0:
            raise PlanningError(f"velocity scaling {scale} is outside (0, 1]", ErrorCode.INVALID_GOAL)
        return scale

    # grasps --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def grasp_motion(self, q_start: np.ndarray, width: float, velocity_scaling: float | None) -> GraspMotion:
        """What plans for single grasps from `q_start`; PlanningError for a fault of the start."""

    def plan_grasp(
        self,
        q_start: np.ndarray,
        R: np.ndarray,
        t: np.ndarray,
        width: float,
        held: HeldObject | None = None,
        velocity_scaling: float | None = None,
    ) -> GraspPlan:
        """See `MotionPlanner.plan_grasp`."""
        began = perf_counter()
        motion = self.grasp_motion(q_start, self.check_width(width), velocity_scaling)
        plan = motion.plan(pose_of(R, t), held)
        return replace(plan, timings=plan.timings | {"total": 1000 * (perf_counter() - began)})

    def plan_grasps(
        self,
        q_start: np.ndarray,
        R: np.ndarray,
        t: np.ndarray,
        width: np.ndarray,
        velocity_scaling: float | None = None,
        max_time: float | None = None,
    ) -> GraspSearch:
        """See `MotionPlanner.plan_grasps`."""
        return search_grasps(self, q_start, R, t, width, velocity_scaling, max_time)


def check_same_arm(driver: Kinematics, profile: Kinematics, arm: ArmProfile) -> None:
    """ConfigError where the driver's description has the grasp frame elsewhere than the profile's URDF.

    Joint names and frames are the same for all arms of a maker, lengths are not. Calibrated lengths pass.
    """
    signs = np.array([np.zeros(driver.dof), np.ones(driver.dof), (-1.0) ** np.arange(driver.dof)])
    pairs = [(driver.fk(q), profile.fk(q)) for q in driver.home + _BENT * np.vstack([signs, -signs[1:]])]
    away = max(float(np.linalg.norm(a[:3, 3] - b[:3, 3])) for a, b in pairs)
    turned = max(float(se3.rotation_angle(a[:3, :3], b[:3, :3])) for a, b in pairs)
    if away > AWAY or turned > TURNED:
        raise ConfigError(
            f"the robot description on {arm.driver.robot_description} (robot '{driver.model.name}') is not arm profile "
            f"{arm.name} ({arm.urdf_path}): {arm.flange_frame} differs by up to {away * 1e3:.0f} mm and {turned:.2f} "
            "rad. Start the driver with this arm's model, or name the arm that stands there in the cell profile (arm)"
        )
