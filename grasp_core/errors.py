"""Errors that carry a code of the stack's one table (``seegrasp_msgs/msg/ErrorCode``)."""

from enum import IntEnum


class ErrorCode(IntEnum):
    """Mirror of ``seegrasp_msgs/msg/ErrorCode``; a contract test keeps the two equal."""

    NONE = 0
    INTERNAL = 1
    CANCELLED = 2
    TIMEOUT = 3
    INVALID_GOAL = 4
    BUSY = 5
    CONFIG = 6
    DRY_RUN = 7
    NO_DEPTH = 100
    STALE_DATA = 101
    NO_TF = 102
    BAD_INPUT = 103
    EMPTY_CLOUD = 104
    NO_GRASP = 105
    DETECTOR_FAILED = 106
    UNREACHABLE = 200
    NO_PATH = 201
    START_IN_COLLISION = 202
    GOAL_IN_COLLISION = 203
    OUT_OF_LIMITS = 204
    TIMING_FAILED = 205
    PLANNER_UNAVAILABLE = 206
    CONTROLLER_ABORTED = 300
    CONTROLLER_UNAVAILABLE = 301
    NO_JOINT_STATES = 302
    NOT_ARMED = 303
    STOPPED = 304
    GRIPPER_FAILED = 400
    GRIPPER_UNAVAILABLE = 401
    GRIPPER_EMPTY = 402
    OBJECT_LOST = 403
    REGION_CLEARED = 500
    TOO_MANY_FAILURES = 501


class SeegraspError(Exception):
    """Base of every error the stack raises on purpose.

    Args:
        message: what was wrong, with what, and what to do about it.
        code: entry of the error table; the class's own code by default.
    """

    code = ErrorCode.INTERNAL

    def __init__(self, message: str, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = ErrorCode(code)


class ConfigError(SeegraspError):
    """A configuration file or parameter is wrong; the message names file and key."""

    code = ErrorCode.CONFIG


class InputError(SeegraspError):
    """Data that cannot be used: encoding, size, units, NaN; the message names the source."""

    code = ErrorCode.BAD_INPUT


class GraspsError(InputError):
    """Arrays that do not make a set of grasps: their shapes disagree, or their values are impossible."""


class FrameError(SeegraspError):
    """A transform is missing, looping, or not available for the time asked; the message names the frames."""

    code = ErrorCode.NO_TF


class StaleError(SeegraspError):
    """Data are older than allowed, or come from the future."""

    code = ErrorCode.STALE_DATA


class PlanningError(SeegraspError):
    """No motion could be planned; the code (200s) says why."""

    code = ErrorCode.NO_PATH


class ExecutionError(SeegraspError):
    """A motion or gripper command failed; the code (300s, 400s) says why."""

    code = ErrorCode.CONTROLLER_ABORTED


class DetectorError(SeegraspError):
    """A detector raised or returned something that is not a set of grasps."""

    code = ErrorCode.DETECTOR_FAILED


class DetectorTimeout(DetectorError):
    """A detector in a process of its own did not return in time; its process was ended."""
