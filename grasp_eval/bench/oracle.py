"""An oracle: antipodal grasps sampled on the true meshes. It checks the bed's physics: what it picks has to hold.

It is no detector: it looks at no picture, and ``reveal`` tells it what no detector is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import trimesh
from numpy.typing import NDArray

from grasp_core import se3
from grasp_core.cell import Box, Cell
from grasp_core.errors import InputError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_eval.bench.surfaces import Surfaces
from grasp_sim.objects import ObjectSpec

SPACING = 0.007  # m between the surface points that are tried as contacts
CROWD = 0.004  # m between the points that the hand must keep clear of
FRICTION = 0.35  # contacts must hold with this, less than half of what the pads have
TURNS = 24  # approaches around the closing line
REACH = (0.003, 0.008, 0.014)  # m that the fingertips pass the closing line
SURE = 0.9  # score of the worst grasp it offers: all of them should hold, and protocols may ask for that much
PER_OBJECT = 10  # grasps returned, as many as GraspNet's metric counts
APART = (0.01, np.deg2rad(20.0))  # m and rad; nearer than both is not different
PAD_GRID = (-0.8, 0.0, 0.8)  # of half the pad's width and height: where the pads are probed
TOUCHING = 0.0015  # m: pads and objects give way so much, and contacts within it share the force
APPROACH = 0.10  # m of free way behind the grasp


@dataclass(frozen=True)
class Care:
    """How much room a grasp must have.

    gap: m beside the object when open. keep_off: m that the hand stays off everything. tips: m above what the objects
    stand on. tilt: rad from straight down, at most. shortlist: candidates of one object whose pads are probed.
    checked: different ones of these whose way is checked.
    """

    gap: float
    keep_off: float
    tips: float
    tilt: float
    shortlist: int
    checked: int


CARES = (  # the second where the first finds nothing
    Care(gap=0.006, keep_off=0.003, tips=0.003, tilt=np.deg2rad(60.0), shortlist=400, checked=80),
    Care(gap=0.0035, keep_off=0.0015, tips=0.002, tilt=np.deg2rad(80.0), shortlist=2000, checked=500),
)


class Oracle:
    """See the module. ``reveal`` before every ``detect``."""

    name = "oracle"

    def __init__(self) -> None:
        self._scene: _Truth | None = None

    def reveal(
        self, objects: Sequence[ObjectSpec], poses: NDArray[np.float64], cell: Cell, with_bin: bool, target: str = ""
    ) -> None:
        """Tell it what lies where: poses (N, 4, 4) in the base frame; and which object alone to grasp, if any."""
        self._scene = _Truth(objects, poses, cell, with_bin, target)

    def detect(self, observation: Observation, gripper: Gripper, region: Box | None = None) -> Grasps:
        """Grasps on the revealed scene, the safest first; ``region``: where the contacts' middles must lie."""
        if self._scene is None:
            raise InputError("the oracle was asked before the scene was revealed to it: call reveal() first")
        for care in CARES:
            grasps = self._scene.grasps(gripper, region, care)
            if len(grasps):
                break
        return grasps


class _Truth:
    """The true scene, and the search for grasps in it."""

    def __init__(self, objects: Sequence[ObjectSpec], poses: NDArray, cell: Cell, with_bin: bool, target: str) -> None:
        boxes = [o for o in cell.obstacle_boxes() if with_bin or not o.name.startswith("bin_")]
        stage = [trimesh.creation.box(o.size) for o in boxes]
        stage_poses = [se3.make(np.eye(3), o.centre) for o in boxes]
        poses = np.asarray(poses, dtype=float).reshape(-1, 4, 4)
        self.count = len(objects)
        self.surfaces = Surfaces([*(o.mesh() for o in objects), *stage], np.concatenate([poses, stage_poses]))
        walls = Surfaces(stage[1:], stage_poses[1:]) if len(stage) > 1 else None
        own = Surfaces([o.mesh() for o in objects], poses)
        self.points, self.normals, self.body = own.sample(SPACING)
        if target:
            wanted = np.array([o.name == target for o in objects])[self.body]
            self.points, self.normals, self.body = self.points[wanted], self.normals[wanted], self.body[wanted]
        crowd, _, self.crowd_body = own.sample(CROWD)
        if walls is not None:
            more = walls.sample(2 * CROWD)[0]
            crowd = np.concatenate([crowd, more])
            self.crowd_body = np.concatenate([self.crowd_body, np.full(len(more), -1)])
        self.crowd = crowd
        self.centres = np.array(
            [se3.transform(T, o.centre_of_mass[None])[0] for o, T in zip(objects, poses, strict=True)]
        )
        self.floor = cell.table.height + (cell.bin.floor_thickness if with_bin and cell.bin else 0.0)

    def grasps(self, gripper: Gripper, region: Box | None, care: Care) -> Grasps:
        """With so much care, the safest first."""
        if self.count == 0 or len(self.points) == 0:
            return Grasps.empty(Oracle.name)
        middle, closing, span, body, hold = self._pairs(gripper, region, care)
        R, t, row, quality = self._poses(middle, closing, body, hold, care)
        order = _best_of_each(body[row], quality, care.shortlist)
        R, t, row, quality = R[order], t[order], row[order], quality[order]
        t, width, safe = self._pads(R, t, span[row], body[row], gripper, care)
        quality = quality * safe
        good = np.flatnonzero(quality > 0)
        score = SURE + (1.0 - SURE) * quality[good]
        fits = Grasps.create(R[good], t[good], width[good], gripper.pad_height, score, 1.0, body[row[good]])
        fits = _best_of_each_object(fits.nms(*APART), care.checked)
        free = self._clear(fits.R.astype(float), fits.t.astype(float), fits.width.astype(float), gripper, care)
        best = _best_of_each_object(fits[free], PER_OBJECT).sorted()
        return replace(best, track_id=np.full(len(best), -1), detector=Oracle.name)

    def _pairs(self, gripper: Gripper, region: Box | None, care: Care) -> tuple[NDArray, ...]:
        """Opposite contacts on one object: middle (K, 3), closing (K, 3), distance (K,), body (K,), margin (K,)."""
        reach = gripper.max_width - 2 * care.gap
        far = self.points - self.normals * (reach + care.gap)
        hits = self.surfaces.first_hits(far, self.normals)
        span = reach + care.gap - hits.distance
        slope = -np.einsum("ki,ki->k", hits.normal, self.normals)  # cosine of the second contact's angle
        good = (hits.body == self.body) & (span > 0.002) & (span < reach) & (slope > np.cos(np.arctan(FRICTION)))
        middle = (self.points + np.where(good[:, None], hits.point, 0.0)) / 2
        if region is not None:
            good &= region.contains(middle)
        hold = (slope - np.cos(np.arctan(FRICTION))) / (1 - np.cos(np.arctan(FRICTION)))
        return middle[good], self.normals[good], span[good], self.body[good], hold[good]

    def _poses(
        self, middle: NDArray, closing: NDArray, body: NDArray, hold: NDArray, care: Care
    ) -> tuple[NDArray, ...]:
        """Hands around the closing lines: R (M, 3, 3), t (M, 3), row (M,) of the line, quality (M,) in [0, 1]."""
        side = np.where(np.abs(closing[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
        first = np.cross(closing, side)
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        second = np.cross(closing, first)
        angles = np.arange(TURNS) * 2 * np.pi / TURNS
        approach = np.cos(angles)[:, None] * first[:, None] + np.sin(angles)[:, None] * second[:, None]  # (K, T, 3)
        row, turn = np.nonzero(-approach[..., 2] > np.cos(care.tilt))
        z, x = approach[row, turn], closing[row]
        R = np.stack([x, np.cross(z, x), z], axis=2)
        offset = self.centres[body[row]] - middle[row]
        lever = np.linalg.norm(offset - x * np.einsum("ki,ki->k", offset, x)[:, None], axis=1)  # turns it in the pads
        top = self.centres[body[row], 2]
        highest = max(float(np.max(self.crowd[:, 2])) - self.floor, 1e-6)
        quality = (0.2 + 0.8 * hold[row]) * np.exp(-lever / 0.03) * (0.6 - 0.4 * z[:, 2])
        quality *= 0.5 + 0.5 * np.clip((top - self.floor) / highest, 0.0, 1.0)  # what lies on top is not held down
        reach = np.array(REACH)
        t = (middle[row][:, None] + z[:, None] * reach[:, None]).reshape(-1, 3)
        repeat = np.repeat(np.arange(len(row)), len(reach))
        return R[repeat], t, row[repeat], quality[repeat]

    def _pads(
        self, R: NDArray, t: NDArray, span: NDArray, body: NDArray, gripper: Gripper, care: Care
    ) -> tuple[NDArray, NDArray, NDArray]:
        """Probe both pads: centred t (M, 3), opening (M,), and how well the pads lie on (M,), 0 where they do not."""
        half_y, half_z = gripper.finger.width / 2, gripper.pad_height / 2
        u, v = (a.ravel() for a in np.meshgrid(PAD_GRID, PAD_GRID))
        offset = np.stack([np.zeros(9), u * half_y, (v - 1.0) * half_z], axis=1)  # (9, 3) in the grasp frame
        centres = (t[:, None] + offset @ R.transpose(0, 2, 1)).reshape(-1, 3)
        closing = np.repeat(R[:, :, 0], 9, axis=0)
        opening = np.minimum(span + 2 * care.gap, gripper.max_width)
        hits = self.surfaces.close(centres, closing, np.repeat(opening, 9))
        first, safe, where = [], np.ones(len(t)), []
        for hit in hits:
            own = hit.body.reshape(-1, 9) == body[:, None]
            within = hit.distance.reshape(-1, 9) < opening[:, None]
            distance = np.where(within, hit.distance.reshape(-1, 9), np.inf)
            nearest = distance.min(axis=1)
            touching = distance < nearest[:, None] + TOUCHING
            slope = np.abs(np.einsum("ki,ki->k", hit.normal, closing)).reshape(-1, 9)
            share = touching.sum(axis=1)
            mean = np.where(touching, slope, 0).sum(axis=1) / np.maximum(share, 1)
            safe *= np.where(touching & ~own, 0.0, 1.0).min(axis=1) * np.isfinite(nearest)
            safe *= np.clip((mean - np.cos(np.arctan(FRICTION))) / (1 - np.cos(np.arctan(FRICTION))), 0.0, 1.0)
            safe *= 0.4 + 0.6 * np.minimum(share, 6) / 6
            where.append((touching[:, :, None] * offset).sum(axis=1) / np.maximum(share, 1)[:, None])
            first.append(np.where(np.isfinite(nearest), nearest, 0.0))
        apart = np.linalg.norm(where[0] - where[1], axis=1)  # contacts that do not face each other turn the object
        safe *= np.exp(-apart / 0.006)
        t = t + R[:, :, 0] * ((first[0] - first[1]) / 2)[:, None]
        return t, np.minimum(opening, gripper.max_width), safe

    def _clear(self, R: NDArray, t: NDArray, width: NDArray, gripper: Gripper, care: Care) -> NDArray[np.bool_]:
        centres, sizes = gripper.boxes(width)  # (C, 4, 3)
        low, high = centres - sizes / 2 - care.keep_off, centres + sizes / 2 + care.keep_off
        low[..., 2] -= APPROACH  # the straight way to the grasp
        corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T  # (8, 3)
        inner = np.stack([centres - sizes / 2, centres + sizes / 2])
        ends = np.stack([inner[corners[:, i], :, :, i] for i in range(3)], axis=-1)  # (8, C, 4, 3)
        heights = np.einsum("ecbi,ci->ecb", ends, R[:, 2]) + t[:, 2][:, None]
        clear = heights.min(axis=(0, 2)) > self.floor + care.tips
        near = self.crowd
        for i in np.flatnonzero(clear):
            local = (near - t[i]) @ R[i]
            local = local[((local > low[i].min(axis=0)) & (local < high[i].max(axis=0))).all(axis=1)]
            inside = (local[:, None] > low[i]) & (local[:, None] < high[i])
            clear[i] = not inside.all(axis=2).any()
        return clear


def _best_of_each_object(grasps: Grasps, count: int) -> Grasps:
    """The ``count`` best of every object, whose number stands in track_id."""
    return grasps[_best_of_each(grasps.track_id, grasps.score, count)]


def _best_of_each(group: NDArray, quality: NDArray, count: int) -> NDArray[np.int64]:
    """Rows of the ``count`` best of every group."""
    order = np.lexsort((-quality, group))
    ranked = group[order]
    rank = np.arange(len(order)) - np.searchsorted(ranked, ranked)
    return order[rank < count]
