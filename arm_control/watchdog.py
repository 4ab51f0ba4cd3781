"""What has to stay alive while the arm moves: a motion that loses its eyes or its client is stopped. ROS-free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from grasp_core.errors import ErrorCode, ExecutionError


@dataclass(frozen=True)
class Vital:
    """Something that has to be heard of: `age` s since the last sign of it, `limit` s until it counts as lost.

    `code` and `todo` are what is told when it is lost. `required`: no motion begins without it; `to_grasp`: no motion
    of a grasp.
    """

    name: str
    age: Callable[[], float]
    limit: float
    code: ErrorCode
    todo: str
    required: bool = False
    to_grasp: bool = False

    def alive(self) -> bool:
        """Whether there was a sign of it lately."""
        return self.age() <= self.limit


class MotionWatchdog:
    """What the motions of all goals are watched by."""

    def __init__(self, vitals: Sequence[Vital]) -> None:
        self._vitals = tuple(vitals)

    def watch(self, grasp: bool = False) -> GoalWatch:
        """For a goal that begins now."""
        return GoalWatch([(vital, vital.required or (grasp and vital.to_grasp)) for vital in self._vitals])


class GoalWatch:
    """What is alive when a goal begins, or is required, must live whenever that goal moves the arm.

    What is neither is not waited for; once it is there when a motion begins, it counts, too.
    """

    def __init__(self, vitals: Sequence[tuple[Vital, bool]]) -> None:
        """``vitals``, each with whether it is required."""
        self._vitals = [vital for vital, _ in vitals]
        self._needed = {vital.name for vital, required in vitals if required or vital.alive()}

    def begin(self) -> Callable[[], None]:
        """A check to be run again and again during one motion; it raises ExecutionError when something is lost.

        ExecutionError also from here, when something that is needed is silent already.
        """
        for vital in self._vitals:
            if vital.alive():
                self._needed.add(vital.name)
            elif vital.name in self._needed:
                raise ExecutionError(f"no motion without {vital.name}, which is silent: {vital.todo}", vital.code)
        watched = [vital for vital in self._vitals if vital.name in self._needed]

        def check() -> None:
            for vital in watched:
                age = vital.age()
                if age > vital.limit:
                    raise ExecutionError(
                        f"stopped in motion: nothing from {vital.name} for {age:.1f} s (allowed: {vital.limit:g} s): "
                        f"{vital.todo}",
                        vital.code,
                    )

        return check
