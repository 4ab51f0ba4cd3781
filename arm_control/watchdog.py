"""What has to stay alive while the arm moves: a motion that loses its eyes or its client is stopped. ROS-free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from grasp_core.errors import ErrorCode, ExecutionError


@dataclass(frozen=True)
class Vital:
    """Something that has to be heard of: `age` s since the last sign of it, `limit` s until it counts as lost.

    `code` and `todo` are what is told when it is lost. `required`: no motion begins without it.
    """

    name: str
    age: Callable[[], float]
    limit: float
    code: ErrorCode
    todo: str
    required: bool = False


class MotionWatchdog:
    """What is alive when a motion begins must stay alive until it ends. What is not there is not waited for."""

    def __init__(self, vitals: Sequence[Vital]) -> None:
        self._vitals = tuple(vitals)

    def begin(self) -> Callable[[], None]:
        """A check to be run again and again during one motion; it raises ExecutionError when something is lost."""
        alive = [vital for vital in self._vitals if vital.age() <= vital.limit]
        for vital in self._vitals:
            if vital.required and vital not in alive:
                raise ExecutionError(f"no motion without {vital.name}, which is silent: {vital.todo}", vital.code)

        def check() -> None:
            for vital in alive:
                age = vital.age()
                if age > vital.limit:
                    raise ExecutionError(
                        f"stopped in motion: nothing from {vital.name} for {age:.1f} s (allowed: {vital.limit:g} s): "
                        f"{vital.todo}",
                        vital.code,
                    )

        return check
