"""The goals of arm_node, execute_grasp and move_to: from a request to a result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from seegrasp_msgs.action import ExecuteGrasp, MoveTo

from arm_control.cancel import CancelToken
from arm_control.grasping import grasp
from arm_control.guarded import Command, GuardedArm, GuardedGripper
from arm_control.moves import Target, TargetKind
from arm_control.nodes.goals import ActiveGoal, GoalServer
from arm_control.nodes.requests import parse_candidates, parse_gripper, parse_scaling, parse_target
from arm_control.planning import GraspPlan, MotionPlanner, Trajectory
from arm_control.stages.context import ArmContext, Detection, GraspSettings
from arm_control.stages.result import timings
from grasp_core.errors import ErrorCode, StaleError
from grasp_ros.conversions import timings_to_msgs

if TYPE_CHECKING:
    from arm_control.nodes.arm_node import ArmNode

_OPEN = ("approach", "close")  # stages in which what the picture showed has still to be where it was


class ArmGoals:
    """Offers the actions of an `ArmNode` behind its gate."""

    def __init__(self, node: ArmNode, settings: GraspSettings, max_scene_age: float) -> None:
        self._node, self._settings, self._max_scene_age = node, settings, max_scene_age
        self._servers = (
            GoalServer(node, node.gate, ExecuteGrasp, "execute_grasp", self._execute_grasp),
            GoalServer(node, node.gate, MoveTo, "move_to", self._move_to),
        )

    # execute_grasp

    def _execute_grasp(self, request: ExecuteGrasp.Goal, goal: ActiveGoal) -> ExecuteGrasp.Result:
        node = self._node
        detection = parse_candidates(request, node.model, node.arm.base_frame, node.lookup)
        scaling = node.safety.limits.scaling(parse_scaling(request.velocity_scaling))
        planner = node.require_planner(goal.cancel)
        node.require_armed()
        node.trajectory.await_rest(goal.cancel)
        node.state.refresh(node.joints)
        node.state.require_empty(node.gripper)
        self._require_fresh(detection.stamp)
        ctx = self._grasp_context(planner, detection, scaling, goal)
        decisive, results = grasp(ctx)
        node.state.grasped(ctx.held, ctx.width, ctx.points if ctx.scene is None else ctx.scene, detection.stamp)
        node.held.publish(ctx.held, node.now_ns())
        node.status.set("idle")
        told = f"execute_grasp: {decisive.stage}: {decisive.code.name}: {decisive.message}"
        if decisive.ok or decisive.code == ErrorCode.DRY_RUN:
            node.get_logger().info(told)
        else:
            node.get_logger().warning(told)
        return ExecuteGrasp.Result(
            error_code=int(decisive.code),
            error_msg="" if decisive.ok else decisive.message,
            stage=decisive.stage,
            executed=ctx.executed,
            tried=ctx.tried,
            width=float(ctx.width) if np.isfinite(ctx.width) else 0.0,
            timings=timings_to_msgs(timings(results)),
        )

    def _grasp_context(
        self, planner: MotionPlanner, detection: Detection, scaling: float, goal: ActiveGoal
    ) -> ArmContext:
        node = self._node
        feedback = ExecuteGrasp.Feedback(stage="plan", candidate=-1)
        command = self._command(goal, feedback)

        def on_resume() -> None:
            if command.stage not in _OPEN:
                return
            try:
                self._require_fresh(detection.stamp)
            except StaleError as error:
                raise StaleError(f"the picture grew old in the pause: {error}") from error

        command.on_resume = on_resume

        def on_stage(stage: str) -> None:
            self._enter(stage, goal, feedback, command)

        def on_candidate(index: int) -> None:
            feedback.candidate = index

        def on_plan(plan: GraspPlan) -> None:
            node.shown.publish([plan.approach, plan.descent, plan.lift], planner.fk, plan.width)

        return ArmContext(
            planner,
            self._guarded_arm(planner, command, grasp=True),
            GuardedGripper(node.gripper, node.safety, command),
            node.joints,
            node.model,
            node.cell,
            detection.grasps,
            self._points(detection.stamp),
            goal.cancel,
            self._settings,
            scaling,
            node.safety.limits,
            node.safety.dry_run,
            on_plan,
            on_stage,
            on_candidate,
            node.get_logger(),
        )

    def _require_fresh(self, stamp: int) -> None:
        """StaleError where the picture stamped `stamp` ns is older than `max_scene_age`."""
        age = (self._node.now_ns() - stamp) * 1e-9
        if not -1.0 <= age <= self._max_scene_age:
            raise StaleError(
                f"candidates are stamped {age:.1f} s before now (allowed: 0 to {self._max_scene_age} s, parameter "
                "max_scene_age): detect again"
            )

    def _points(self, stamp: int) -> np.ndarray:
        """Points (N, 3) in the base frame of the cloud stamped `stamp` ns; StaleError."""
        node = self._node
        cloud = node.clouds.at(stamp)
        T_base_cloud = node.lookup(cloud.frame, cloud.stamp)
        return cloud.transformed(T_base_cloud, node.arm.base_frame).points

    # move_to

    def _move_to(self, request: MoveTo.Goal, goal: ActiveGoal) -> MoveTo.Result:
        node = self._node
        target = parse_target(request, node.arm, node.lookup)
        width = parse_gripper(request, node.model)
        scaling = node.safety.limits.scaling(parse_scaling(request.velocity_scaling))
        node.require_armed()
        feedback = MoveTo.Feedback()
        command = self._command(goal, feedback)
        took: dict[str, float] = {}

        def timed(stage: str, step: Any) -> Any:
            goal.cancel.check()
            self._enter(stage, goal, feedback, command)
            started = time.monotonic()
            try:
                return step()
            finally:
                took[stage] = (time.monotonic() - started) * 1e3

        node.trajectory.await_rest(goal.cancel)
        node.state.refresh(node.joints)
        if target.kind != TargetKind.HERE:
            planner = node.require_planner(goal.cancel)
            arm = self._guarded_arm(planner, command)
            again = lambda: self._plan(planner, target, scaling)  # noqa: E731
            path = timed("plan", again)
            timed("move", lambda: arm.execute(path, goal.cancel, again=again))
        if width is not None:
            timed("gripper", lambda: self._set_gripper(width, goal.cancel, command))
        node.status.set("idle")
        return MoveTo.Result(timings=timings_to_msgs(took))

    def _plan(self, planner: MotionPlanner, target: Target, scaling: float) -> Trajectory:
        node = self._node
        if node.state.update_held(node.gripper) is None:
            node.held.publish(None, node.now_ns())
        q, width = node.joints.arm().q, node.gripper.width()
        points, unseen = node.state.scene(node.now_ns(), node.clouds.newest_stamp(), self._points)
        if unseen:
            node.get_logger().warning(
                f"planned around the known boxes of cell {node.cell.name} only, whatever else stands there: "
                f"{node.clouds.topic}: {unseen}"
            )
        path, note = node.state.plan(planner, target, q, width, points, node.arm, scaling)
        if note:
            node.get_logger().warning(note)
        return path

    def _set_gripper(self, width: float, cancel: CancelToken, command: Command) -> None:
        node = self._node
        node.safety.refuse_dry_run("the gripper's stroke")
        closing = width < node.gripper.width()
        if not closing:
            node.state.released()
            node.held.publish(None, node.now_ns())
        GuardedGripper(node.gripper, node.safety, command).move(width, cancel, allow_stall=closing)

    # both

    def _command(self, goal: ActiveGoal, feedback: Any) -> Command:
        """The goal's commands; while they wait for the end of a pause, feedback and status say so."""
        command = Command(goal.cause, goal.cancel)

        def on_pause(paused: bool) -> None:
            feedback.stage = "paused" if paused else command.stage
            goal.feedback(feedback)
            self._node.status.set(f"{goal.action}: {feedback.stage}")

        command.on_pause = on_pause
        return command

    def _guarded_arm(self, planner: MotionPlanner, command: Command, grasp: bool = False) -> GuardedArm:
        """Of a goal that begins now. A grasp is shown as a whole, when it is planned."""
        node = self._node

        def publish(parts: list[Trajectory]) -> None:
            node.shown.publish(parts, planner.fk, node.gripper.width())

        show = (lambda _: None) if grasp else publish
        return GuardedArm(node.trajectory, planner.fk, node.safety, command, show, grasp)

    def _enter(self, stage: str, goal: ActiveGoal, feedback: Any, command: Command) -> None:
        command.stage = feedback.stage = stage
        goal.feedback(feedback)
        self._node.status.set(f"{goal.action}: {stage}")
