"""The analytic detector: antipodal grasps on the visible surface, without any training."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from grasp_core.cell import Box
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_perception.detectors import antipodal, collision, heightmap, normals, orientations, scoring, support, usable
from grasp_perception.detectors.params import AnalyticParams

_MIN_POINTS = 50
_MAX_POINTS = 400_000
_MARGIN = 0.25  # m around the region that still matters to the gripper
_FIRST = 12  # candidates of a seed that reach the sieve
_SLACK = 0.003  # m that the sieve may err
_OUTSIDE = 0.008  # m that contacts may lie beside the region: pick regions keep 10 mm off the walls
_STEEP = 0.26  # rad: seeds tilted more than this are also approached along their normal


class AnalyticDetector:
    """Batched antipodal search over seeds, approach directions, in-plane angles and depths.

    The result is deterministic. ``timings`` holds the milliseconds of each stage of the last call.
    """

    name = "analytic"

    def __init__(self, **params: Any) -> None:
        """Parameters: see AnalyticParams; raises ConfigError."""
        self.params = AnalyticParams.create(**params)
        self.timings: dict[str, float] = {}
        self._pool = ThreadPoolExecutor(
            self.params.workers, "analytic", initializer=torch.set_num_threads, initargs=(1,)
        )

    def __call__(self, observation: Observation, gripper: Gripper, region: Box | None = None) -> Grasps:
        """Same as ``detect``."""
        return self.detect(observation, gripper, region)

    def detect(self, observation: Observation, gripper: Gripper, region: Box | None = None) -> Grasps:
        """Ranked grasps in the frame of the observation's cloud (z up).

        Args:
            observation: its cloud shows the objects and what they stand on.
            gripper: fingers, palm and stroke.
            region: where surface points may be grasped; the cloud around it is only kept clear of.

        Raises:
            InputError: no cloud to work on (EMPTY_CLOUD), or one far too large.
        """
        with _one_thread_each(), torch.inference_mode():
            return self._detect(observation, gripper, region)

    def _detect(self, observation: Observation, gripper: Gripper, region: Box | None) -> Grasps:
        clock = _Clock()
        p = self.params
        points = observation.cloud.finite().points
        points = usable.relevant(points, region, _MARGIN, _MIN_POINTS, _MAX_POINTS)
        floor = p.support_height if p.support_height is not None else support.estimate_height(points, region)
        points = points[points[:, 2] > floor - 0.02]
        view = None if observation.T_base_cam is None else np.asarray(observation.T_base_cam)[:3, 3]
        cloud = torch.as_tensor(points, device=p.device)
        clock.lap("prepare")
        scene = heightmap.build(cloud, floor, p.floor_noise, p.cell, p.point_size, p.segment_step, p.hole)
        clock.lap("height_map")
        seeds, facing = self._seeds(points, floor, region, view)
        clock.lap("seeds_normals")
        if len(seeds) == 0:
            self.timings = clock.laps
            return Grasps.empty(self.name)
        contacts, width, stable, score = self._evaluated(scene, seeds, facing, gripper, region)
        clock.lap("search")
        keep = scoring.suppress(
            contacts.R, contacts.t, score, p.nms_translation, np.deg2rad(p.nms_rotation), p.max_grasps
        )
        clock.lap("nms")
        high = cloud[cloud[:, 2] > floor + p.floor_noise]
        keep = keep[collision.against_points(high, contacts.R[keep], contacts.t[keep], width[keep], gripper)]
        clock.lap("collision_points")
        self.timings = clock.laps
        arrays = [v[keep].cpu().numpy() for v in (contacts.R, contacts.t, width, contacts.depth, score, stable)]
        return Grasps.create(*arrays, detector=self.name)

    def _seeds(
        self, points: NDArray[np.float32], floor: float, region: Box | None, view: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Evenly spread surface points to start from, (S, 3), and their normals."""
        p = self.params
        usable = points[:, 2] > floor + p.floor_noise
        if region is not None:
            usable &= region.contains(points)
        candidates = points[usable]
        if len(candidates) == 0:
            return candidates, np.zeros((0, 3))
        seeds = candidates[support.spread_seeds(candidates, p.seed_spacing, p.max_seeds)]
        return seeds, normals.estimate(points, seeds, view)[0]

    def _evaluated(
        self,
        scene: heightmap.HeightMap,
        seeds: NDArray[np.float32],
        facing: NDArray[np.float64],
        gripper: Gripper,
        region: Box | None,
    ) -> tuple[antipodal.Contacts, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Contacts, opening, stability and score of the good candidates; the seeds are shared among the workers."""
        p = self.params
        shared = torch.as_tensor(orientations.downwards(p.in_plane, p.max_tilt), dtype=torch.float32, device=p.device)
        jobs = [(shared, seeds[i :: p.workers]) for i in range(p.workers)]
        steep = facing[:, 2] < np.cos(_STEEP)
        if steep.any():
            own = orientations.along_normals(facing[steep], p.in_plane, p.max_tilt)
            own = torch.as_tensor(own, dtype=torch.float32, device=p.device)
            jobs += [(own[i :: p.workers], seeds[steep][i :: p.workers]) for i in range(p.workers)]
        jobs = [(R, torch.as_tensor(start, device=p.device)) for R, start in jobs if len(start)]
        parts = list(self._pool.map(lambda job: self._candidates(scene, job[1], job[0], gripper, region), jobs))
        contacts = antipodal.Contacts.concatenate([part[0] for part in parts])
        return contacts, *(torch.cat([part[i] for part in parts]) for i in (1, 2, 3))

    def _best(
        self, scene: heightmap.HeightMap, seeds: torch.Tensor, R: torch.Tensor, gripper: Gripper
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Candidates R (N, 3, 3), t (N, 3) of S seeds: palm free, fingers beside the object, the best few per seed."""
        p = self.params
        quality, t, middle = antipodal.coarse(scene, seeds, R, gripper, p)
        index = _variety(quality, p.in_plane)
        quality = quality.gather(1, index).reshape(-1)
        rows = torch.arange(len(seeds), device=seeds.device)[:, None].expand_as(index)
        turn = (R[index] if R.dim() == 3 else R[rows, index]).flatten(0, 1)
        tip = t[rows, index].flatten(0, 1) + turn[:, :, 0] * middle[rows, index].reshape(-1, 1)
        left = torch.nonzero(torch.isfinite(quality))[:, 0]
        left = left[collision.palm_free(scene, turn[left], tip[left], gripper)]
        left = _best_per_row(quality, left, index.shape, _FIRST)
        left = left[antipodal.sieve(scene, turn[left], tip[left], gripper, p) >= p.min_clearance - _SLACK]
        left = _best_per_row(quality, left, index.shape, p.per_seed)
        return turn[left], tip[left]

    @torch.inference_mode()
    def _candidates(
        self,
        scene: heightmap.HeightMap,
        seeds: torch.Tensor,
        orientation: torch.Tensor,
        gripper: Gripper,
        region: Box | None,
    ) -> tuple[antipodal.Contacts, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of some seeds: contacts, opening, stability and score of the candidates that fit, hold and are free."""
        p = self.params
        R, t = self._best(scene, seeds, orientation, gripper)
        contacts = antipodal.refine(scene, R, t, gripper, p)
        good = (contacts.clearance >= p.min_clearance - 1e-6) & (contacts.friction > 0)
        contacts = contacts[good & _inside(region, contacts)]
        width = (contacts.extent + 2 * contacts.clearance).clamp(max=gripper.max_width)
        free, unseen = collision.against_map(scene, contacts.R, contacts.t, width, gripper, p.sweep)
        stable = scoring.stability(scene, contacts)
        score = scoring.score(scene, contacts, unseen, stable, gripper, p.stability_weight)
        good = free & (score >= p.min_score)
        return contacts[good], width[good], stable[good], score[good]


def _inside(region: Box | None, contacts: antipodal.Contacts) -> torch.Tensor:
    """Which grasps (N,) touch their object inside the region: else a bin's wall would be taken with the object."""
    if region is None:
        return torch.ones_like(contacts.extent, dtype=torch.bool)
    low, high = (contacts.t.new_tensor(edge[:2]) for edge in (region.min - _OUTSIDE, region.max + _OUTSIDE))
    reach = contacts.R[:, :2, 0] * (contacts.extent / 2)[:, None]
    ends = torch.stack([contacts.t[:, :2] + reach, contacts.t[:, :2] - reach])
    return ((ends > low) & (ends < high)).all(2).all(0)


def _variety(quality: torch.Tensor, in_plane: int) -> torch.Tensor:
    """Columns (S, K) of quality (S, A) worth a look: per closing direction the upright one and the best tilted one."""
    seeds, count = quality.shape
    tilts = count // in_plane
    first = torch.arange(0, count, tilts, device=quality.device).expand(seeds, in_plane)
    if tilts == 1:
        return first
    tilted = quality.view(seeds, in_plane, tilts)[:, :, 1:].argmax(-1) + 1
    return torch.cat([first, first + tilted], dim=1)


def _best_per_row(quality: torch.Tensor, among: torch.Tensor, shape: tuple[int, int], count: int) -> torch.Tensor:
    """Of the flat indices ``among`` into (S, K) the ``count`` of highest quality in each row."""
    masked = torch.full_like(quality, -torch.inf)
    masked[among] = quality[among]
    best = masked.view(shape).topk(min(count, shape[1]), dim=1)
    start = torch.arange(shape[0], device=quality.device)[:, None] * shape[1]
    return (start + best.indices)[torch.isfinite(best.values)]


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """One thread per torch operation: they are short, and the detector's own workers use the cores better."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Clock:
    """Laps in milliseconds."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = (now - self._last) * 1e3
        self._last = now
