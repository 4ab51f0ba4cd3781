"""Letting objects fall and come to rest in MuJoCo, deterministically."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from grasp_core import se3
from grasp_core.cell import Box, Cell
from grasp_core.errors import InputError
from grasp_sim.objects.mjcf import SOLIMP, SOLREF, add_object
from grasp_sim.objects.spec import ObjectSpec

TIME_STEP = 0.002  # s
DROP_STEPS = 125  # steps between two drops
DROP_GAP = 0.01  # m between the top of what lies there and the next object
CALM_STEPS = 50  # over this many steps nothing may move by more than CALM_SHIFT, CALM_TURN
CALM_SHIFT = 0.0003  # m
CALM_TURN = 0.006  # rad
MAX_CALM_CHECKS = 40  # then what still rolls or rocks is taken as it is
GUARD_HEIGHT = 0.6  # m
GUARD_CHECKS = 8  # calm checks before the guard walls go
PARK_HEIGHT = 3.0  # m, where objects wait for their turn, without gravity
SURFACE_FRICTION = 0.6
GUARD_FRICTION = 0.05
UNSTABLE = (
    mujoco.mjtWarning.mjWARN_BADQPOS,
    mujoco.mjtWarning.mjWARN_BADQVEL,
    mujoco.mjtWarning.mjWARN_BADQACC,
)


@dataclass(frozen=True)
class Settled:
    """Where the objects came to rest: poses (N, 4, 4) in base, deepest penetration (N,) m, simulated seconds.

    penetration is inf throughout where the simulation became unstable.
    """

    poses: np.ndarray
    penetration: np.ndarray
    seconds: float


def settle(
    objects: Sequence[ObjectSpec],
    starts: np.ndarray,
    cell: Cell,
    with_bin: bool,
    dropped: np.ndarray | None = None,
    guard: Box | None = None,
) -> Settled:
    """Let objects come to rest on the table or in the bin.

    Args:
        starts: (N, 4, 4) poses in base; the height of an object to be dropped is taken above what already lies there.
        dropped: (N,) bool, which fall one after the other, in order; the others start where they are. None: none.
        guard: slippery walls around this box's footprint, from its lower height up, while the objects fall. They
            are taken away before the objects come to rest.

    The same arguments give the same poses, bit for bit, on one machine and one MuJoCo version.
    """
    starts = np.asarray(starts, dtype=float)
    if starts.shape != (len(objects), 4, 4) or not np.isfinite(starts).all():
        raise InputError(f"settle needs one finite 4x4 start pose per object, got {starts.shape} for {len(objects)}")
    waiting = np.zeros(len(objects), bool) if dropped is None else np.asarray(dropped, bool)
    return _Run(objects, starts, cell, with_bin, waiting, guard).run()


class _Run:
    """One settling: the model, its state and the steps through it."""

    def __init__(
        self,
        objects: Sequence[ObjectSpec],
        starts: np.ndarray,
        cell: Cell,
        with_bin: bool,
        waiting: np.ndarray,
        guard: Box | None,
    ) -> None:
        self.objects, self.starts, self.waiting = objects, starts, waiting
        self.ground = cell.table.height + (cell.bin.floor_thickness if with_bin and cell.bin else 0.0)
        spec = _surroundings(cell, with_bin)
        if guard is not None:
            _add_guard(spec, guard)
        for i, obj in enumerate(objects):
            add_object(spec, obj, f"o{i}").gravcomp = 1.0
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self.bodies = np.array([self.model.body(f"o{i}").id for i in range(len(objects))], dtype=int)
        self.guards = [g for g in range(self.model.ngeom) if self.model.geom(g).name.startswith("guard")]
        for i in range(len(objects)):
            pose = starts[i].copy()
            if waiting[i]:
                pose[2, 3] = PARK_HEIGHT + 0.5 * i
            self._place(i, pose)
            self.model.body_gravcomp[self.bodies[i]] = float(waiting[i])
        mujoco.mj_forward(self.model, self.data)

    def run(self) -> Settled:
        """Drop what waits, take the guard away, wait until all is calm."""
        lying = [i for i in range(len(self.objects)) if not self.waiting[i]]
        for i in np.flatnonzero(self.waiting):
            self._drop(int(i), lying)
            lying.append(int(i))
            mujoco.mj_step(self.model, self.data, DROP_STEPS)
        if self.guards:
            self._wait_until_calm(GUARD_CHECKS)
            self.model.geom_contype[self.guards] = 0
            self.model.geom_conaffinity[self.guards] = 0
        self._wait_until_calm(MAX_CALM_CHECKS)
        return Settled(self.poses(), self._penetration(), float(self.data.time))

    def poses(self) -> np.ndarray:
        """(N, 4, 4) poses in base."""
        return se3.make(self.data.xmat[self.bodies].reshape(-1, 3, 3), self.data.xpos[self.bodies])

    def _place(self, i: int, pose: np.ndarray) -> None:
        joint = self.model.joint(f"o{i}_free")
        start = int(joint.qposadr[0])
        self.data.qpos[start : start + 3] = pose[:3, 3]
        self.data.qpos[start + 3 : start + 7] = np.roll(se3.quat_from_matrix(pose[:3, :3]), 1)
        speed = int(joint.dofadr[0])
        self.data.qvel[speed : speed + 6] = 0.0

    def _drop(self, i: int, lying: list[int]) -> None:
        obj, pose = self.objects[i], self.starts[i].copy()
        tops = [self.data.xpos[self.bodies[j], 2] + self.objects[j].radius for j in lying]
        # what has fallen off the table or been thrown away does not lift the next drop
        top = max(
            [
                self.ground,
                *(t for t in tops if t < self.ground + GUARD_HEIGHT - 2 * obj.radius),
            ]
        )
        pose[2, 3] = top + obj.radius + DROP_GAP
        self._place(i, pose)
        self.model.body_gravcomp[self.bodies[i]] = 0.0

    def _wait_until_calm(self, checks: int) -> None:
        before = self.poses()
        for _ in range(checks):
            mujoco.mj_step(self.model, self.data, CALM_STEPS)
            after = self.poses()
            shift = np.linalg.norm(after[:, :3, 3] - before[:, :3, 3], axis=1)
            turn = se3.rotation_angle(before[:, :3, :3], after[:, :3, :3])
            fallen = after[:, 2, 3] < self.ground - 0.05
            if (fallen | ((shift < CALM_SHIFT) & (turn < CALM_TURN))).all():
                return
            before = after

    def _penetration(self) -> np.ndarray:
        mujoco.mj_forward(self.model, self.data)
        if any(self.data.warning[kind].number for kind in UNSTABLE):
            return np.full(len(self.objects), np.inf)
        deepest = np.zeros(self.model.nbody)
        for contact in self.data.contact:
            for geom in contact.geom:
                body = self.model.geom_bodyid[geom]
                deepest[body] = max(deepest[body], -contact.dist)
        return deepest[self.bodies]


def _surroundings(cell: Cell, with_bin: bool) -> mujoco.MjSpec:
    """A model of the cell's table, tray and (if asked for) bin."""
    spec = mujoco.MjSpec()
    spec.option.timestep = TIME_STEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # as in the cell: pyramidal friction cones let leaning objects creep
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    for obstacle in cell.obstacle_boxes():
        if with_bin or not obstacle.name.startswith("bin_"):
            _add_wall(spec, obstacle.name, obstacle.centre, obstacle.size, SURFACE_FRICTION)
    return spec


def _add_guard(spec: mujoco.MjSpec, guard: Box) -> None:
    centre, size, thickness = (guard.min + guard.max) / 2, guard.max - guard.min, 0.1
    z = guard.min[2] + GUARD_HEIGHT / 2
    for axis in (0, 1):
        for sign in (-1, 1):
            middle = np.array([centre[0], centre[1], z])
            middle[axis] += sign * (size[axis] + thickness) / 2
            full = np.array([size[0] + 2 * thickness, size[1] + 2 * thickness, GUARD_HEIGHT])
            full[axis] = thickness
            _add_wall(spec, f"guard_{axis}_{sign}", middle, full, GUARD_FRICTION, priority=1)


def _add_wall(
    spec: mujoco.MjSpec,
    name: str,
    centre: np.ndarray,
    size: np.ndarray,
    friction: float,
    priority: int = 0,
) -> None:
    spec.worldbody.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=list(centre),
        size=list(np.asarray(size) / 2),
        friction=[friction, 0.005, 0.0001],
        priority=priority,
        condim=3,
        solref=list(SOLREF),
        solimp=list(SOLIMP),
    )
