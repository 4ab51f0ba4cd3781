"""Bookkeeping of what the robot touches: the proof that motions were free of collisions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import mujoco
import numpy as np

from grasp_sim.cell_model import ARM, ENVIRONMENT, FINGER, OBJECT, CellModel

MAX_PAIRS = 50


@dataclass
class ContactCounts:
    """Numbers of control steps, and the deepest penetrations in m.

    robot: arm links, palm or wrist camera touched anything (an object held between the fingers excepted).
    robot_in_motion: the same while a trajectory was followed.
    finger_environment: a finger touched table, bin or tray.
    robot_penetration: deepest of all these. penetration: deepest of all contacts in the cell.
    pairs: how many steps each pair of things touched ("wrist_3_link - bin_left").
    """

    steps: int = 0
    robot: int = 0
    robot_in_motion: int = 0
    finger_environment: int = 0
    robot_penetration: float = 0.0
    penetration: float = 0.0
    pairs: Counter[str] = field(default_factory=Counter)


class ContactBook:
    """Looks at the contacts of every step."""

    def __init__(self, cell: CellModel) -> None:
        self._model = cell.model
        self._kind = cell.geom_kind
        self._body = cell.model.geom_bodyid
        self._fingers = [cell.model.body(name).id for name in ("finger_left", "finger_right")]
        self.counts = ContactCounts()

    def update(self, data: mujoco.MjData, moving: bool) -> None:
        """Count the contacts of the step that ``data`` holds."""
        counts = self.counts
        counts.steps += 1
        if data.ncon == 0:
            return
        geoms, dist = data.contact.geom, data.contact.dist
        counts.penetration = max(counts.penetration, -float(dist.min()))
        kinds = self._kind[geoms]
        suspect = (kinds == ARM).any(axis=1) | ((kinds == FINGER).any(axis=1) & ~(kinds == OBJECT).any(axis=1))
        suspect &= dist < 0.0
        if suspect.any():
            self._judge(geoms, kinds, dist, np.flatnonzero(suspect), moving)

    def held(self, data: mujoco.MjData) -> set[int]:
        """Bodies that touch both fingers."""
        return self._held(data.contact.geom) if data.ncon else set()

    def _held(self, geoms: np.ndarray) -> set[int]:
        bodies = self._body[geoms]
        sides = [set(bodies[(bodies == finger).any(axis=1)].ravel().tolist()) for finger in self._fingers]
        return (sides[0] & sides[1]) - set(self._fingers)

    def _judge(self, geoms: np.ndarray, kinds: np.ndarray, dist: np.ndarray, rows: np.ndarray, moving: bool) -> None:
        counts, held = self.counts, self._held(geoms)
        robot = finger = False
        for row in rows:
            bodies = self._body[geoms[row]]
            if held.intersection(bodies.tolist()):
                continue
            touches_arm = bool((kinds[row] == ARM).any())
            robot |= touches_arm
            finger |= not touches_arm and bool((kinds[row] == ENVIRONMENT).any())
            counts.robot_penetration = max(counts.robot_penetration, -float(dist[row]))
            pair = " - ".join(sorted(self._name(int(g)) for g in geoms[row]))
            if pair in counts.pairs or len(counts.pairs) < MAX_PAIRS:
                counts.pairs[pair] += 1
        counts.robot += robot
        counts.robot_in_motion += robot and moving
        counts.finger_environment += finger

    def _name(self, geom: int) -> str:
        body = int(self._body[geom])
        return self._model.body(body).name if body else self._model.geom(geom).name
