"""One labelled grasp, executed by the free hand on an object that floats until the fingers have closed on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from grasp_core import se3
from grasp_core.cell import BoxModel, Cell, Table
from grasp_core.gripper import Gripper
from grasp_sim.hand_attempt import HandMotion, Trace, attempt
from grasp_sim.hand_world import HandWorld
from grasp_sim.objects import ObjectSpec

HEIGHT = 1.0  # m above the table: nothing but the hand can touch the object


@dataclass(frozen=True)
class Outcome:
    """held: the object is between the fingers after lift and shaking. touched: the hand met it on the way in.

    why: what went wrong, in a few words; empty when nothing did.
    """

    held: bool
    touched: bool
    why: str = ""

    @property
    def good(self) -> bool:
        """Held, and reached without touching."""
        return self.held and not self.touched


class FloatingWorld(HandWorld):
    """An object that has no weight until something asks what the closed fingers hold."""

    def __init__(self, spec: ObjectSpec, gripper: Gripper, friction: float | None = None) -> None:
        """friction: of the fingertips; None: the gripper's."""
        pose = se3.make(np.eye(3), [0.0, 0.0, HEIGHT])
        super().__init__(gripper, [spec], pose[None], _empty_cell(gripper), friction=friction)
        self._body = self.bodies[spec.name]
        self._start = self.save()

    def reset(self) -> None:
        """Back to the floating object, untouched."""
        self.restore(self._start)
        self.model.body_gravcomp[self._body] = 1.0

    def held(self) -> list[str]:
        """See HandWorld; from the first look on, the object has its weight."""
        self.model.body_gravcomp[self._body] = 0.0
        return super().held()

    def grasp(self, T_object_grasp: np.ndarray, opening: float) -> Outcome:
        """Approach (4, 4) with the fingers ``opening`` m apart, close, lift, shake."""
        self.reset()
        T = se3.make(np.eye(3), [0.0, 0.0, HEIGHT]) @ T_object_grasp
        trace = attempt(self, T, opening, HandMotion())
        touched = bool(trace.touched or trace.start_touched)
        return Outcome(bool(trace.held), touched, next(_reasons(trace), ""))


def _reasons(trace: Trace) -> Iterator[str]:
    if trace.unphysical:
        yield "unphysical"
    if trace.blocked:
        yield "blocked"
    for stage in ("gripped", "lifted", "held"):
        if not getattr(trace, stage):
            yield f"not {stage}"
    if trace.touched or trace.start_touched:
        yield "touched on the way"


def _empty_cell(gripper: Gripper) -> Cell:
    floor = BoxModel(min=(-0.5, -0.5, 0.0), max=(0.5, 0.5, 0.5))
    table = Table(height=0.0, min=(-0.5, -0.5), max=(0.5, 0.5))
    return Cell(
        **{"name": "floating", "arm": "none", "gripper": gripper.name, "base_frame": "base"},
        **{"workspace": floor, "table": table, "cameras": ()},
    )
