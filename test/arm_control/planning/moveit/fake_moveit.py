"""A stand-in for the module `moveit` (moveit_py), answered by the MoveIt double; signatures of two generations.

Signatures as in moveit_py/src of the branches humble and jazzy (kilted is the same): pybind11 refuses wrong keywords
and counts with TypeError, as these do.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np
from geometry_msgs.msg import Pose
from moveit_msgs.msg import MoveItErrorCodes, PlanningScene

from grasp_ros.conversions import matrix_to_pose, pose_to_matrix

from .double import MoveItDouble

ALL = 0xFFFF


def fake_modules(double: MoveItDouble, generation: str, fail: str = "") -> dict[str, types.ModuleType]:
    """`moveit` and its submodules, for `sys.modules`. `fail`: what MoveItPy's constructor raises as RuntimeError."""
    humble = generation == "humble"
    planning = types.ModuleType("moveit.planning")

    class RobotState:
        def __init__(self, q: np.ndarray) -> None:
            self._q, self._dirty = q.copy(), False

        def __copy__(self) -> RobotState:
            return RobotState(self._q)

        @property
        def joint_positions(self) -> dict[str, float]:
            return dict(zip(double.arm.joints, self._q, strict=True))

        @joint_positions.setter
        def joint_positions(self, values: dict[str, float]) -> None:
            assert values.keys() <= set(double.arm.joints), "Variable is not known to model"
            self._q = np.array([values.get(n, x) for n, x in self.joint_positions.items()])
            self._dirty = True

        def update(self, force: bool = False, type: str = "all") -> None:
            self._dirty = False

        def get_pose(self, link_name: str) -> Pose:
            assert not self._dirty, "link transforms are dirty"
            T = {double.arm.base_frame: np.eye(4), double.arm.flange_frame: double.kin.fk(self._q)}[link_name]
            return matrix_to_pose(planning.T_model_base @ T)

        def set_from_ik(
            self, joint_model_group_name: str, geometry_pose: Pose, tip_name: str, timeout: float = 0.0
        ) -> bool:
            T = np.linalg.solve(planning.T_model_base, pose_to_matrix(geometry_pose))
            found = double.ik(joint_model_group_name, tip_name, T, self._q, False)
            if isinstance(found, int):
                return False
            self._q = found
            return True

    class Scene:
        @property
        def current_state(self) -> RobotState:
            return RobotState(double.kin.home)

        @property
        def planning_scene_message(self) -> PlanningScene:
            return double.scene.message(ALL)

        def is_state_colliding(
            self, robot_state: RobotState, joint_model_group_name: str, verbose: bool = False
        ) -> bool:
            assert not robot_state._dirty, "collision body transforms are dirty"
            assert joint_model_group_name == double.group
            return bool(double.scene.contacts(robot_state._q))

    class Monitor:
        @contextmanager
        def read_only(self):
            yield Scene()

        def new_planning_scene_message(self, scene: PlanningScene) -> bool:
            return planning.takes_scenes and double.scene.apply(scene)

    class Model:
        def has_joint_model_group(self, joint_model_group_name: str) -> bool:
            return joint_model_group_name == double.group

    class Answer:
        def __init__(self, code: int, message: Any) -> None:
            self.error_code = MoveItErrorCodes(val=code)
            self.trajectory = types.SimpleNamespace(get_robot_trajectory_msg=lambda joint_filter=(): message)

        def __bool__(self) -> bool:
            return self.error_code.val == MoveItErrorCodes.SUCCESS

    class PlanRequestParameters:
        def __init__(self, moveit_cpp: Any, *namespace: str) -> None:
            if len(namespace) != (0 if humble else 1):
                raise TypeError("__init__(): incompatible constructor arguments")
            self.planner_id = self.planning_pipeline = ""
            self.planning_attempts, self.planning_time = 1, 1.0
            self.max_velocity_scaling_factor = self.max_acceleration_scaling_factor = 1.0

    class PlanningComponent:
        def __init__(self) -> None:
            self._start = self._goal = None

        def set_start_state(self, configuration_name: str | None = None, robot_state: RobotState | None = None) -> bool:
            assert configuration_name is None
            self._start = robot_state
            return True

        def set_goal_state(
            self,
            configuration_name: str | None = None,
            robot_state: RobotState | None = None,
            pose_stamped_msg: Any = None,
            pose_link: str | None = None,
            motion_plan_constraints: Any = None,
        ) -> bool:
            assert [configuration_name, pose_stamped_msg, pose_link, motion_plan_constraints] == [None] * 4
            self._goal = robot_state
            return True

        def _plan(self, parameters: PlanRequestParameters) -> Answer:
            from arm_control.drivers.moveit.messages import plan_request

            request = plan_request(
                double.arm.joints,
                self._start._q,
                self._goal._q,
                double.group,
                parameters.max_velocity_scaling_factor,
                parameters.planning_time,
            )
            return Answer(*double.plan(request))

        if humble:

            def plan(self, parameters: PlanRequestParameters | None = None) -> Answer:
                return self._plan(parameters)

        else:

            def plan(
                self,
                single_plan_parameters: PlanRequestParameters | None = None,
                multi_plan_parameters: Any = None,
                planning_scene: Any = None,
                solution_selection_function: Callable | None = None,
                stopping_criterion_callback: Callable | None = None,
            ) -> Answer:
                return self._plan(single_plan_parameters)

    class MoveItPy:
        def __init__(
            self,
            node_name: str = "moveit_py",
            name_space: str = "",
            launch_params_filepaths: tuple[str, ...] = (),
            config_dict: dict[str, Any] | None = None,
            provide_planning_service: bool = True,
            remappings: dict[str, str] | None = None,
        ) -> None:
            if fail:
                raise RuntimeError(fail)
            planning.config = config_dict
            planning.running = True

        def get_planning_scene_monitor(self) -> Monitor:
            return Monitor()

        def get_planning_component(self, planning_component_name: str) -> PlanningComponent:
            return PlanningComponent()

        def get_robot_model(self) -> Model:
            return Model()

        def shutdown(self) -> None:
            planning.running = False

    planning.MoveItPy, planning.PlanRequestParameters = MoveItPy, PlanRequestParameters
    planning.running, planning.takes_scenes = False, True
    planning.T_model_base = np.eye(4)  # MoveIt's model frame is often `world`, not the arm's base
    planning.T_model_base[:3, 3] = [0.1, 0.2, 0.3]
    top = types.ModuleType("moveit")
    top.planning = planning
    return {"moveit": top, "moveit.planning": planning}
