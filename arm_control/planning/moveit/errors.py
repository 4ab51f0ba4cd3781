"""MoveIt's error codes (moveit_msgs/msg/MoveItErrorCodes) as those of this stack, and what to do about each."""

from __future__ import annotations

from grasp_core.errors import ErrorCode, PlanningError, SeegraspError

SUCCESS = 1

_LOG = "MoveIt's log says why"
_STATES = "does MoveIt receive the joint states of this arm?"
CODES: dict[int, tuple[str, ErrorCode, str]] = {
    0: ("UNDEFINED", ErrorCode.NO_PATH, _LOG),
    99999: ("FAILURE", ErrorCode.NO_PATH, _LOG),
    -1: ("PLANNING_FAILED", ErrorCode.NO_PATH, "no path was found; " + _LOG),
    -2: ("INVALID_MOTION_PLAN", ErrorCode.NO_PATH, "the path found touches something; refresh the scene"),
    -3: ("MOTION_PLAN_INVALIDATED_BY_ENVIRONMENT_CHANGE", ErrorCode.NO_PATH, "the scene changed meanwhile; try again"),
    -4: ("CONTROL_FAILED", ErrorCode.CONTROLLER_ABORTED, "MoveIt was asked to execute, which this stack does not do"),
    -5: ("UNABLE_TO_AQUIRE_SENSOR_DATA", ErrorCode.PLANNER_UNAVAILABLE, _STATES),
    -6: ("TIMED_OUT", ErrorCode.NO_PATH, "no path was found in time; raise plan_time"),
    -7: ("PREEMPTED", ErrorCode.NO_PATH, "somebody else uses this MoveIt; try again"),
    -10: ("START_STATE_IN_COLLISION", ErrorCode.START_IN_COLLISION, "move the arm clear, or refresh the scene"),
    -11: ("START_STATE_VIOLATES_PATH_CONSTRAINTS", ErrorCode.OUT_OF_LIMITS, "move the arm by hand or in joint steps"),
    -12: ("GOAL_IN_COLLISION", ErrorCode.GOAL_IN_COLLISION, "the goal touches something"),
    -13: ("GOAL_VIOLATES_PATH_CONSTRAINTS", ErrorCode.OUT_OF_LIMITS, "the goal is beyond limits set in MoveIt"),
    -14: ("GOAL_CONSTRAINTS_VIOLATED", ErrorCode.NO_PATH, "the path does not end at the goal"),
    -15: ("INVALID_GROUP_NAME", ErrorCode.CONFIG, "set planning_group of the arm profile to a group of MoveIt's SRDF"),
    -16: ("INVALID_GOAL_CONSTRAINTS", ErrorCode.CONFIG, "do the arm profile's joints belong to its planning_group?"),
    -17: ("INVALID_ROBOT_STATE", ErrorCode.CONFIG, "are the arm profile's joints those of MoveIt's robot model?"),
    -18: ("INVALID_LINK_NAME", ErrorCode.CONFIG, "is the arm profile's flange_frame a link of MoveIt's robot model?"),
    -19: ("INVALID_OBJECT_NAME", ErrorCode.CONFIG, _LOG),
    -21: ("FRAME_TRANSFORM_FAILURE", ErrorCode.NO_TF, "does MoveIt have /tf from its model's frame to base_frame?"),
    -22: ("COLLISION_CHECKING_UNAVAILABLE", ErrorCode.PLANNER_UNAVAILABLE, _LOG),
    -23: ("ROBOT_STATE_STALE", ErrorCode.NO_JOINT_STATES, _STATES),
    -24: ("SENSOR_INFO_STALE", ErrorCode.STALE_DATA, _STATES),
    -25: ("COMMUNICATION_FAILURE", ErrorCode.PLANNER_UNAVAILABLE, "restart MoveIt; " + _LOG),
    -26: ("START_STATE_INVALID", ErrorCode.OUT_OF_LIMITS, "a joint is beyond the limits in MoveIt's joint_limits.yaml"),
    -27: ("GOAL_STATE_INVALID", ErrorCode.OUT_OF_LIMITS, "the goal is beyond the limits in MoveIt's joint_limits.yaml"),
    -28: ("UNRECOGNIZED_GOAL_TYPE", ErrorCode.CONFIG, "this planning pipeline does not take joint goals"),
    -29: ("CRASH", ErrorCode.PLANNER_UNAVAILABLE, "restart MoveIt; " + _LOG),
    -30: ("ABORT", ErrorCode.NO_PATH, _LOG),
    -31: ("NO_IK_SOLUTION", ErrorCode.UNREACHABLE, "out of reach, or its kinematics solver found nothing in time"),
}
_OF_MOTIONS = {  # one motion cannot be had; another may
    ErrorCode.NO_PATH,
    ErrorCode.START_IN_COLLISION,
    ErrorCode.GOAL_IN_COLLISION,
    ErrorCode.OUT_OF_LIMITS,
    ErrorCode.UNREACHABLE,
}


def refused(value: int, what: str, group: str, message: str = "") -> SeegraspError:
    """The error for MoveIt's code `value`: PlanningError where another motion may do, else SeegraspError.

    `what` was asked for, for planning group `group`; `message`: what MoveIt said with it (from Jazzy on).
    """
    name, code, hint = CODES.get(value, (f"unknown code {value}", ErrorCode.NO_PATH, _LOG))
    told = f" ({message})" if message else ""
    text = f"{what} for group '{group}': MoveIt answered {name}{told}: {hint}"
    return PlanningError(text, code) if code in _OF_MOTIONS else SeegraspError(text, code)
