"""MoveIt in this process, through its Python bindings (moveit_py): the planner `moveit`.

Written for the bindings of Humble, Jazzy and Kilted. Between them differ what is used here: `PlanRequestParameters`
takes a namespace from Jazzy on, and `PlanningComponent.plan` names its argument differently (it is given by position).
The scene goes in through `new_planning_scene_message`, which all of them have. The bindings have no Cartesian paths and
do not tell which bodies touch: straight lines are those of our own kinematics, every configuration checked by MoveIt.

MoveItPy makes a ROS node of its own, with a planning scene of its own: nothing of it is shared with a move_group.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from arm_control.drivers.moveit.messages import scene_message, seen_in, trajectory_of
from arm_control.drivers.moveit.model_check import compare_flange
from arm_control.planning import Trajectory
from arm_control.planning.cartesian import Line
from arm_control.planning.moveit.door import UNNAMED
from arm_control.planning.moveit.errors import refused
from arm_control.planning.moveit.scene import SceneChange, Seen
from grasp_core.arm import ArmProfile
from grasp_core.errors import ConfigError, ErrorCode, SeegraspError
from grasp_ros.conversions import matrix_to_pose, pose_to_matrix

NODE = "seegrasp_moveit"
REQUEST = "plan_request_params"  # namespace of the parameters that say pipeline and planner
IK_TIME = 0.2  # s


class MoveItPyDoor:
    """See `door.MoveIt`.

    Args:
        urdf: robot description (text), the driver's: MoveIt gets the same.
        arm: profile: group, joints, frames.
        params_file: YAML with what `MoveItConfigsBuilder(...).to_moveit_configs().to_dict()` gives, alone or under a
            node's `ros__parameters`; its robot description is replaced by `urdf`.

    ConfigError when the bindings are not installed, the file cannot be read, or MoveItPy does not start with it.
    """

    name = "moveit"

    def __init__(self, urdf: str, arm: ArmProfile, params_file: str) -> None:
        self._arm, self._joints, self._group = arm, tuple(arm.joints), arm.planning_group
        planning = _bindings()
        config = _config(params_file, urdf)
        try:
            self._moveit = planning.MoveItPy(node_name=NODE, config_dict=config, provide_planning_service=True)
        except RuntimeError as error:
            raise ConfigError(f"MoveItPy does not start with {params_file}: {error}; its log says more") from error
        self._monitor = self._moveit.get_planning_scene_monitor()
        self._component = self._moveit.get_planning_component(self._group)
        self._parameters = _request_parameters(planning.PlanRequestParameters, self._moveit)

    def close(self) -> None:
        """See `MoveIt.close`."""
        self._moveit.shutdown()

    def check_model(self, q: np.ndarray, T_base_flange: np.ndarray) -> None:
        """See `MoveIt.check_model`."""
        model = self._moveit.get_robot_model()
        if not model.has_joint_model_group(self._group):
            raise refused(-15, "planning", self._group)
        T = self._in_base(self._state(q), self._arm.flange_frame)
        compare_flange(T, T_base_flange, self._arm, self.name)
        if self._ik(T_base_flange, q) is None:
            raise SeegraspError(
                f"MoveItPy finds no joints for a pose that it computed itself: has group '{self._group}' a solver in "
                "robot_description_kinematics?",
                ErrorCode.CONFIG,
            )

    def apply(self, change: SceneChange) -> bool:
        """See `MoveIt.apply`."""
        with self._monitor.read_only() as scene:
            found = scene.planning_scene_message.allowed_collision_matrix
        return self._monitor.new_planning_scene_message(scene_message(change, self._arm.base_frame, found))

    def seen(self) -> Seen:
        """See `MoveIt.seen`."""
        with self._monitor.read_only() as scene:
            return seen_in(scene.planning_scene_message)

    def contacts(self, q: np.ndarray) -> list[tuple[str, str]]:
        """See `MoveIt.contacts`; always `UNNAMED`."""
        state = self._state(q)
        with self._monitor.read_only() as scene:
            return [UNNAMED] if self._collides(scene, state) else []

    def solve(self, T_base_flange: np.ndarray, seed_q: np.ndarray) -> np.ndarray | None:
        """See `MoveIt.solve`."""
        q = self._ik(T_base_flange, seed_q)
        return None if q is None or self.contacts(q) else q

    def plan(self, q_start: np.ndarray, q_goal: np.ndarray, scaling: float, max_time: float) -> Trajectory:
        """See `MoveIt.plan`."""
        component, parameters = self._component, self._parameters
        component.set_start_state(robot_state=self._state(q_start))
        component.set_goal_state(robot_state=self._state(q_goal))
        parameters.planning_time, parameters.planning_attempts = float(max_time), 1
        parameters.max_velocity_scaling_factor = parameters.max_acceleration_scaling_factor = float(scaling)
        answer = component.plan(parameters)
        if not answer:
            code = answer.error_code
            raise refused(code.val, "free motion", self._group, getattr(code, "message", ""))
        return trajectory_of(answer.trajectory.get_robot_trajectory_msg(), self._joints)

    def follow(self, line: Line, flange: np.ndarray, scaling: float) -> tuple[Trajectory | None, float]:
        """See `MoveIt.follow`; always without a trajectory."""
        with self._monitor.read_only() as scene:
            state = copy.copy(scene.current_state)
            for i, q in enumerate(line.q):
                self._set(state, q)
                if self._collides(scene, state):
                    return None, float(line.s[i - 1]) if i else 0.0
        return None, 1.0

    # inside ----------------------------------------------------------------------------------------------------------

    def _state(self, q: np.ndarray) -> Any:
        """The robot at `q` with all that is attached to it."""
        with self._monitor.read_only() as scene:
            state = copy.copy(scene.current_state)
        self._set(state, q)
        return state

    def _set(self, state: Any, q: np.ndarray) -> None:
        state.joint_positions = {n: float(x) for n, x in zip(self._joints, q, strict=True)}
        state.update()

    def _collides(self, scene: Any, state: Any) -> bool:
        return scene.is_state_colliding(robot_state=state, joint_model_group_name=self._group)

    def _in_base(self, state: Any, link: str) -> np.ndarray:
        """Pose of a link in the base frame, whatever the frame of MoveIt's model is."""
        base, at = (pose_to_matrix(state.get_pose(n), n) for n in (self._arm.base_frame, link))
        return np.linalg.solve(base, at)

    def _ik(self, T_base_flange: np.ndarray, seed_q: np.ndarray) -> np.ndarray | None:
        state = self._state(seed_q)
        T = pose_to_matrix(state.get_pose(self._arm.base_frame), "base") @ T_base_flange
        if not state.set_from_ik(self._group, matrix_to_pose(T), self._arm.flange_frame, IK_TIME):
            return None
        found = state.joint_positions
        return np.array([found[j] for j in self._joints])


def _bindings() -> Any:
    try:
        from moveit import planning
    except ImportError as error:
        distro = os.environ.get("ROS_DISTRO", "<distro>")
        raise ConfigError(
            f"planner 'moveit' needs MoveIt's Python bindings ({error}): sudo apt install ros-{distro}-moveit-py, or "
            "choose planner:=move_group (a running MoveIt) or planner:=builtin"
        ) from error
    return planning


def _config(params_file: str, urdf: str) -> dict[str, Any]:
    """MoveItPy's parameters from the file, with the driver's robot description."""
    if not params_file:
        raise ConfigError("planner 'moveit' needs parameter moveit_params: a YAML for MoveItPy, see docs/MOVEIT.md")
    path = Path(params_file)
    if not path.is_file():
        raise ConfigError(f"parameter moveit_params: no file {path}")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: expected a mapping of parameters")
    if "ros__parameters" in next(iter(config.values()), {}):  # a parameter file of a node
        config = next(iter(config.values()))["ros__parameters"]
    for key in ("robot_description_semantic", "robot_description_kinematics", "planning_pipelines"):
        if key not in config:
            raise ConfigError(f"{path}: no key {key}; see docs/MOVEIT.md")
    pipelines = config["planning_pipelines"]  # for move_group a list, for MoveItPy a mapping
    names = pipelines.get("pipeline_names") if isinstance(pipelines, dict) else pipelines
    if not isinstance(names, list) or not names:
        raise ConfigError(f"{path}: planning_pipelines is {pipelines!r}: expected names, such as [ompl]")
    request = {"planning_pipeline": config.get("default_planning_pipeline", names[0]), "planning_attempts": 1}
    own = {
        "robot_description": urdf,
        "planning_pipelines": {"pipeline_names": names},
        REQUEST: {**request, **config.get(REQUEST, {})},
    }
    return {**config, **own}


def _request_parameters(kind: Any, moveit: Any) -> Any:
    try:
        return kind(moveit, REQUEST)
    except TypeError:  # Humble takes no namespace
        return kind(moveit)
