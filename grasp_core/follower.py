"""Following a trajectory in time with tolerances: the state machine of a joint trajectory controller."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from grasp_core.trajectory import Spline, State, Stop


class Outcome(Enum):
    """How a goal ended."""

    SUCCEEDED = auto()
    CANCELLED = auto()
    PREEMPTED = auto()
    PATH_TOLERANCE = auto()
    GOAL_TOLERANCE = auto()
    RESET = auto()


@dataclass(frozen=True)
class Tolerances:
    """What a goal allows: (dof,) rad and rad/s each, inf where unlimited; ``goal_time`` s past the end."""

    path_position: np.ndarray
    path_velocity: np.ndarray
    goal_position: np.ndarray
    goal_velocity: np.ndarray
    goal_time: float


@dataclass(eq=False)
class Goal:
    """A trajectory being followed; ``outcome`` is set once, when it ends."""

    spline: Spline
    start: float  # time of the spline's zero, s
    tolerances: Tolerances
    outcome: Outcome | None = None
    message: str = ""


class TrajectoryFollower:
    """The state machine of a joint trajectory controller: follow, hold, or brake to a stop.

    Times are the seconds of the one who calls it. ``update`` is called once in every control step.
    """

    def __init__(self, q: np.ndarray, joints: tuple[str, ...], max_deceleration: np.ndarray) -> None:
        self._joints = joints
        self._deceleration = np.asarray(max_deceleration, dtype=np.float64)
        self._stop: tuple[Stop, float] | None = None
        self._hold = State.at_rest(q)
        self.goal: Goal | None = None
        self.setpoint = self._hold

    @property
    def moving(self) -> bool:
        """Whether a trajectory is being followed or the arm is braking."""
        return self.goal is not None or self._stop is not None

    def follow(self, goal: Goal) -> None:
        """Follow a new goal from now on; one that is running is preempted."""
        self._end(Outcome.PREEMPTED, "a newer trajectory took over")
        self._stop = None
        self.goal = goal

    def cancel(self, goal: Goal, time: float) -> None:
        """Brake to a stop if ``goal`` is still the one that is followed."""
        if self.goal is goal:
            self._end(Outcome.CANCELLED, "cancelled: the arm brakes and holds")
            self._brake(self.setpoint, time)

    def reset(self, q: np.ndarray) -> None:
        """Stand at ``q`` at once (a new scene)."""
        self._end(Outcome.RESET, "the scene was reset")
        self._stop = None
        self._hold = self.setpoint = State.at_rest(q)

    def update(self, time: float, q: np.ndarray, qd: np.ndarray) -> State:
        """Setpoint for now; checks the tolerances against the measured ``q`` and ``qd`` (dof,)."""
        if self.goal is not None:
            self._track(self.goal, time, q, qd)
        elif self._stop is not None:
            stop, since = self._stop
            self.setpoint = stop.sample(time - since)
            if time - since >= stop.duration:
                self._hold, self._stop = State.at_rest(self.setpoint.q), None
        else:
            self.setpoint = self._hold
        return self.setpoint

    def _track(self, goal: Goal, time: float, q: np.ndarray, qd: np.ndarray) -> None:
        elapsed = time - goal.start
        limits = goal.tolerances
        self.setpoint = goal.spline.sample(elapsed)
        if elapsed < goal.spline.duration:
            message = self._violation(self.setpoint, q, qd, limits.path_position, limits.path_velocity)
            if message and elapsed > 0:
                self._end(Outcome.PATH_TOLERANCE, message)
                self._brake(State(q.copy(), qd.copy(), np.zeros_like(q)), time)
            return
        message = self._violation(self.setpoint, q, qd, limits.goal_position, limits.goal_velocity)
        if not message:
            self._hold = State.at_rest(self.setpoint.q)
            self._end(Outcome.SUCCEEDED, "")
        elif elapsed > goal.spline.duration + limits.goal_time:
            self._hold = State.at_rest(q)
            self._end(Outcome.GOAL_TOLERANCE, f"{message}, {limits.goal_time:.2f} s after the end")

    def _violation(self, want: State, q: np.ndarray, qd: np.ndarray, position: np.ndarray, velocity: np.ndarray) -> str:
        for error, allowed, unit in ((q - want.q, position, "rad"), (qd - want.qd, velocity, "rad/s")):
            if np.any(np.abs(error) > allowed):
                worst = int(np.argmax(np.abs(error) - allowed))
                return f"{self._joints[worst]} is {abs(error[worst]):.4f} {unit} off, allowed are {allowed[worst]:.4g}"
        return ""

    def _brake(self, state: State, time: float) -> None:
        self._stop = (Stop(state, self._deceleration), time)
        self.setpoint = state

    def _end(self, outcome: Outcome, message: str) -> None:
        if self.goal is not None:
            self.goal.message = message
            self.goal.outcome = outcome
            self.goal = None
