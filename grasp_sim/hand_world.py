"""Gripper-only physics: a free-floating, force-limited hand grasps in a scene of objects, faster than any arm could."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np

from grasp_core import se3
from grasp_core.cell import Cell
from grasp_core.errors import InputError
from grasp_core.gripper import Gripper
from grasp_sim.gripper_controller import GripperServo
from grasp_sim.hand_model import CAMERA, HAND_GROUP, HandModel, build_hand_model
from grasp_sim.objects import ObjectSpec
from grasp_sim.robot_model import wxyz
from grasp_sim.surroundings import TIME_STEP

__all__ = ["CAMERA", "HAND_GROUP", "HandWorld", "Watch"]

CHUNK = 5  # steps between two looks at the contacts: 10 ms
AWAY = np.array([0.0, 0.0, 3.0])  # m, where the hand waits
PARKED = 1000.0  # m, where objects go that were taken out: beyond what any camera shows
CALM_SPEED = 0.02  # m/s; slower is at rest
CALM_TURN = 0.5  # rad/s
MAX_PENETRATION = (
    0.002  # m; deeper is not believable where it lasts: something hard that falls goes so deep in one step
)
LASTING = 3  # looks in a row
MAX_SPEED = 3.0  # m/s; nothing here falls or is pushed that fast: a fall of 0.3 m ends at 2.4 m/s
LEFT = 0.05  # m beside the workspace: what is there has left the scene, rolls over the table's edge and falls
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION.value
_DIVERGED = [
    getattr(mujoco.mjtWarning, f"mjWARN_{name}").value for name in ("BADQPOS", "BADQVEL", "BADQACC", "BADCTRL")
]


@dataclass
class Watch:
    """What was seen while the physics ran: deepest overlap, m; what is not believable; what the hand touched.

    diverged: the state is worthless; the world must be restored.
    """

    penetration: float = 0.0
    unphysical: str = ""
    diverged: bool = False
    touched: set[int] = field(default_factory=set)
    deep: dict[tuple[int, int], int] = field(default_factory=dict)  # two bodies -> looks in a row that they overlapped


class HandWorld:
    """Objects on a stage and one hand, which is away until it is placed. Deterministic; not thread-safe.

    Attributes:
        objects: name -> ObjectSpec of those still in the scene. bodies: name -> MuJoCo body id, of all.
        gripper: the hand's profile. cell: the stage. parts: where things are in the MuJoCo model.
    """

    def __init__(
        self,
        gripper: Gripper,
        objects: Sequence[ObjectSpec],
        poses: np.ndarray,
        cell: Cell,
        with_bin: bool = False,
        friction: float | None = None,
    ) -> None:
        """``poses`` (N, 4, 4) in the base frame; ``friction``: of the fingertips, None: the gripper's.

        Raises:
            InputError: not one pose per object, or two objects of one name.
        """
        if len(poses) != len(objects):
            raise InputError(f"a hand's world needs one pose per object, got {len(poses)} for {len(objects)}")
        self.objects = {obj.name: obj for obj in objects}
        if len(self.objects) != len(objects):
            raise InputError(f"objects need different names, got {sorted(obj.name for obj in objects)}")
        self.gripper, self.cell, self.with_bin = gripper, cell, with_bin
        self.parts: HandModel = build_hand_model(gripper, objects, poses, cell, with_bin, friction)
        self.model, self.bodies = self.parts.model, self.parts.objects
        self.data = mujoco.MjData(self.model)
        self._names = {body: name for name, body in self.bodies.items()}
        joints = self.model.body_jntadr[list(self.bodies.values())]
        self._dof = dict(zip(self.bodies, self.model.jnt_dofadr[joints].tolist(), strict=True))
        self._qpos = dict(zip(self.bodies, self.model.jnt_qposadr[joints].tolist(), strict=True))
        box = cell.workspace_box()
        self._limits = box.min[:2] - LEFT, box.max[:2] + LEFT
        self.servo = GripperServo(self.parts, gripper)
        self.hide_hand()

    # --- the hand

    def place_hand(self, T_base_hand: np.ndarray, width: float, back: float = 0.0) -> None:
        """Put the hand's carriage at a grasp (4, 4), the open hand ``back`` m behind it along the approach, at once."""
        parts = self.parts
        self.model.body_pos[parts.carriage] = T_base_hand[:3, 3]
        self.model.body_quat[parts.carriage] = wxyz(T_base_hand[:3, :3])
        self.data.qpos[parts.slide_qpos] = [0.0, 0.0, -back]
        self.data.qpos[parts.turn_qpos] = 0.0
        self.data.qvel[parts.hand_dof] = 0.0
        width = float(np.clip(width, self.gripper.min_width, self.gripper.max_width))
        self.data.qpos[parts.finger_qpos] = width / 2
        self.data.qvel[parts.finger_dof] = 0.0
        self.servo = GripperServo(parts, self.gripper, width)
        self.drive(np.array([0.0, 0.0, -back]), np.zeros(3))
        mujoco.mj_forward(self.model, self.data)

    def hide_hand(self) -> None:
        """Take the hand out of the way, open and at rest."""
        self.place_hand(se3.make(np.diag([1.0, -1.0, -1.0]), AWAY), self.gripper.max_width)

    def drive(
        self,
        position: np.ndarray,
        turn: np.ndarray,
        velocity: np.ndarray | None = None,
        rate: np.ndarray | None = None,
    ) -> None:
        """Targets of the hand's joints: way (3,) m and turn (3,) rad in the carriage's frame, with their speeds."""
        parts = self.parts
        self.data.ctrl[parts.slide_motor] = position if velocity is None else position + parts.lead * velocity
        self.data.ctrl[parts.turn_motor] = turn if rate is None else turn + parts.turn_lead * rate

    def T_base_hand(self) -> np.ndarray:
        """Pose of the grasp frame in the base frame, (4, 4)."""
        return self._pose(self.parts.hand_body)

    def push(self) -> float:
        """Force that drives the hand on its way, N."""
        return float(np.linalg.norm(self.data.actuator_force[self.parts.slide_motor]))

    @property
    def width(self) -> float:
        """Opening between the pads, m."""
        return self.servo.width(self.data)

    # --- the objects

    def object_poses(self) -> dict[str, np.ndarray]:
        """Name -> pose (4, 4) in the base frame, of the objects still in the scene."""
        mujoco.mj_kinematics(self.model, self.data)
        return {name: self._pose(self.bodies[name]) for name in self.objects}

    def remove(self, names: Iterable[str]) -> None:
        """Take objects out of the scene."""
        for name in list(names):
            del self.objects[name]
            geoms = np.flatnonzero(self.model.geom_bodyid == self.bodies[name])
            self.model.geom_contype[geoms] = self.model.geom_conaffinity[geoms] = 0
            self.model.body_gravcomp[self.bodies[name]] = 1.0
        self._park()
        mujoco.mj_forward(self.model, self.data)

    def _park(self) -> None:
        """Put what was taken out where it is out of sight."""
        for i, name in enumerate(self.bodies):
            if name not in self.objects:
                q, v = self._qpos[name], self._dof[name]
                self.data.qpos[q : q + 3] = [PARKED, float(i), 0.0]
                self.data.qvel[v : v + 6] = 0.0

    def save(self) -> np.ndarray:
        """All that changes while the physics run, for ``restore``."""
        state = np.empty(mujoco.mj_stateSize(self.model, _STATE))
        mujoco.mj_getState(self.model, self.data, state, _STATE)
        return state

    def restore(self, state: np.ndarray) -> None:
        """Back to what ``save`` gave, with the hand away; objects taken out since then stay out."""
        mujoco.mj_resetData(self.model, self.data)
        mujoco.mj_setState(self.model, self.data, state, _STATE)
        self._park()
        self.hide_hand()

    def held(self) -> list[str]:
        """Names of the objects that touch both fingers."""
        if self.data.ncon == 0:
            return []
        bodies = self.model.geom_bodyid[self.data.contact.geom]
        sides = [set(bodies[(bodies == f).any(axis=1)].ravel().tolist()) for f in self.parts.finger_bodies]
        return sorted(self._names[b] for b in sides[0] & sides[1] if b in self._names)

    def names(self, bodies: Iterable[int]) -> list[str]:
        """Objects' names and "stage" for whatever else, of MuJoCo body ids."""
        return sorted({self._names.get(int(b), "stage") for b in bodies})

    def rest(self, longest: float = 2.0, watch: Watch | None = None) -> Watch:
        """Run until nothing moves any more, at most ``longest`` s."""
        watch = watch or Watch()
        dofs = np.array([self._dof[name] for name in self.objects], dtype=int)
        calm = 0
        for _ in range(round(longest / (CHUNK * TIME_STEP))):
            self.run(CHUNK * TIME_STEP, watch)
            speed = self.data.qvel[dofs[:, None] + np.arange(6)] if len(dofs) else np.zeros((1, 6))
            still = (np.abs(speed[:, :3]).max() < CALM_SPEED) and (np.abs(speed[:, 3:]).max() < CALM_TURN)
            calm = calm + 1 if still else 0
            if calm >= 5:
                break
        return watch

    # --- time

    def run(self, seconds: float, watch: Watch) -> None:
        """Advance the physics with the hand's targets as they are, and look at the contacts every CHUNK steps."""
        model, data, servo = self.model, self.data, self.servo
        steps = max(1, round(seconds / TIME_STEP))
        for step in range(1, steps + 1):
            servo.update(data)
            mujoco.mj_step(model, data)
            if step % CHUNK == 0 or step == steps:
                self._look(watch)
                if watch.unphysical:
                    return

    def contacts_of_hand(self) -> tuple[np.ndarray, np.ndarray]:
        """(K,) body ids that overlap with the hand now, and (K,) m how deep."""
        contact = self.data.contact
        if self.data.ncon == 0:
            return np.zeros(0, int), np.zeros(0)
        bodies = self.model.geom_bodyid[contact.geom]
        own = self.parts.is_hand[bodies]
        rows = np.flatnonzero((own[:, 0] != own[:, 1]) & (contact.dist < 0.0))
        return np.where(own[rows, 0], bodies[rows, 1], bodies[rows, 0]), -contact.dist[rows]

    def _look(self, watch: Watch) -> None:
        data = self.data
        if any(data.warning[kind].number for kind in _DIVERGED):
            watch.unphysical, watch.diverged = f"the physics diverged at {data.time:.3f} s", True
            return
        self._look_for_overlaps(watch)
        watch.touched.update(self.contacts_of_hand()[0].tolist())
        for name in self.objects:
            speed = float(np.linalg.norm(data.qvel[self._dof[name] : self._dof[name] + 3]))
            if speed > MAX_SPEED and not self._has_left(self.bodies[name]):
                watch.unphysical = f"{name} flies at {speed:.1f} m/s"

    def _look_for_overlaps(self, watch: Watch) -> None:
        contact = self.data.contact
        deep = np.flatnonzero(contact.dist < -MAX_PENETRATION) if self.data.ncon else np.zeros(0, int)
        if self.data.ncon:
            watch.penetration = max(watch.penetration, -float(contact.dist.min()))
        pairs = {}
        for row in deep:
            geoms = contact.geom[row]
            first, second = sorted(self.model.geom_bodyid[geoms].tolist())
            if self._has_left(first) or self._has_left(second):
                continue
            pairs[first, second] = watch.deep.get((first, second), 0) + 1
            if pairs[first, second] >= LASTING:
                watch.unphysical = f"{self._geom_names(geoms)} overlap by {-1e3 * contact.dist[row]:.1f} mm"
        watch.deep = pairs

    def _has_left(self, body: int) -> bool:
        """Whether an object lies outside of the workspace; the stage and the hand never do."""
        xy, (low, high) = self.data.xpos[body, :2], self._limits
        return body in self._names and bool((xy < low).any() or (xy > high).any())

    def _geom_names(self, geoms: np.ndarray) -> str:
        bodies = self.model.geom_bodyid[geoms]
        return " and ".join(
            self.model.body(b).name if b else self.model.geom(g).name for b, g in zip(bodies, geoms, strict=True)
        )

    def _pose(self, body: int) -> np.ndarray:
        return se3.make(self.data.xmat[body].reshape(3, 3), self.data.xpos[body])
