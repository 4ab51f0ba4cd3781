"""The dense detector: a cloud in, ranked and collision-free grasps out."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grasp_core.cell import Box
from grasp_core.errors import InputError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_perception.dense import post, template
from grasp_perception.dense.balance import balance
from grasp_perception.dense.buckets import Buckets
from grasp_perception.dense.decode import Candidates, decode, distinct_views
from grasp_perception.dense.inputs import MAX_POINTS, Encoded, SceneCloud, encode
from grasp_perception.dense.model import DenseModel
from grasp_perception.dense.params import DenseParams
from grasp_perception.dense.ranking import Ranking
from grasp_perception.dense.sparse import fuse
from grasp_perception.dense.weights import load, shipped
from grasp_perception.detectors import scoring, support, usable

_MIN_POINTS = 50
_OBSTACLES = 0.25  # m around the region that matter to the gripper
_BELOW = 0.02  # m below the support that may still be noise of it


def from_file(weights: str | Path | None = None, **params: Any) -> "DenseDetector":
    """The detector of a file of weights, None: the shipped one; see DenseParams. ConfigError: not usable."""
    return DenseDetector(load(weights or shipped()), **params)


class DenseDetector:
    """A trained network behind the Detector protocol.

    The result is deterministic on one CPU. ``timings`` holds the milliseconds of each stage of the last call.
    """

    name = "dense"

    def __init__(self, model: DenseModel, **params: Any) -> None:
        """Make a detector.

        Args:
            model: a network, which the detector takes over and fuses.
            params: see DenseParams.

        Raises:
            ConfigError: parameters or device are not usable.
        """
        self.params = DenseParams.create(**params)
        self.model = fuse(model).to(self.params.device).lowered(self.params.dtype)
        self._ranking = model.config.ranking if self.params.calibrated else Ranking()
        self.timings: dict[str, float] = {}

    def detect(self, observation: Observation, gripper: Gripper, region: Box | None = None) -> Grasps:
        """Ranked grasps in the frame of the observation's cloud (z up).

        Args:
            observation: its cloud shows the objects and what they stand on.
            gripper: fingers, palm and stroke.
            region: where surface points may be grasped; the cloud around it is only kept clear of.

        Raises:
            InputError: fewer than 50 points to work on (EMPTY_CLOUD), more than 400 000, or NaN among them.
        """
        self.timings = {}
        with torch.inference_mode():
            found = self._detect(observation, gripper, region)
        return Grasps.empty(self.name) if found is None else found.to_grasps(self.name)

    def _detect(self, observation: Observation, gripper: Gripper, region: Box | None) -> Candidates | None:
        p = self.params
        with self._stage("encode"):
            near = _checked(observation.cloud.points, region)
            floor = p.support_height if p.support_height is not None else support.estimate_height(near, region)
            near = near[near[:, 2] > floor - _BELOW]
            camera = None if observation.T_base_cam is None else np.asarray(observation.T_base_cam)[:3, 3]
            seen = SceneCloud(near[usable.around(near, region, p.margin)], floor, camera)
            scenes = encode([seen], self.model.config.voxel, len(self.model.config.widths), p.device)
        grasps = self._network(scenes, seen, gripper, region)
        if grasps is None:
            return None
        high = torch.as_tensor(near[near[:, 2] > floor + p.floor_noise], device=p.device)
        return self._feasible(grasps, high, gripper, region)

    def _network(self, scenes: Encoded, seen: SceneCloud, gripper: Gripper, region: Box | None) -> Candidates | None:
        """What the network proposes; None where it finds nothing graspable."""
        p, model, floor = self.params, self.model, seen.support
        with self._stage("backbone"):
            levels = model.backbone(scenes)
        with self._stage("graspness"):
            points = model.look(levels, scenes)
        with self._stage("seeds"):
            seeds = model.choose(points, scenes, self._usable(scenes.points, floor, region))
        if len(seeds) == 0:
            return None
        with self._stage("views"):
            scores, features = model.view_head(model.seed_readout(levels, scenes, seeds))
            allowed = torch.as_tensor(template.views_within(np.deg2rad(p.max_tilt)), device=p.device)
            views = distinct_views(scores, p.views_per_seed, allowed)
        with self._stage("group"):
            index, local = model.group(scenes, seeds.repeat_interleave(p.views_per_seed), views.flatten())
        with self._stage("grasps"):
            repeated = features.repeat_interleave(p.views_per_seed, dim=0)
            score, width, stability = model.grasp_head(points.features, local, index, repeated)
        with self._stage("balance"):
            across = torch.as_tensor(template.rotations()[..., 1].copy(), dtype=torch.float32, device=p.device)[views]
            cloud = torch.as_tensor(seen.points, dtype=torch.float32, device=p.device)
            steady = balance(scenes.points[seeds], across, cloud, floor, p.floor_noise, model.config.voxel)
            steady = torch.minimum(steady, stability.sigmoid().unflatten(0, views.shape))
        with self._stage("decode"):
            values = (*(v.unflatten(0, views.shape) for v in (score.sigmoid(), width)), steady)
            return decode(
                scenes.points[seeds], views, *values, gripper, p.tries_per_seed, p.clearance, p.stability_weight,
                p.min_score, floor + p.tip_clearance, p.neighbours, self._ranking,
            )  # fmt: skip

    def _usable(self, points: Tensor, floor: float, region: Box | None) -> Tensor:
        usable = points[:, 2] > floor + self.params.floor_noise
        if region is not None:
            low, high = points.new_tensor(region.min), points.new_tensor(region.max)
            usable &= ((points >= low) & (points <= high)).all(1)
        return usable

    def _feasible(self, grasps: Candidates, high: Tensor, gripper: Gripper, region: Box | None) -> Candidates:
        """The best of each seed that can be carried out, centred, best first, without near repetitions."""
        p = self.params
        with self._stage("buckets"):
            cloud = Buckets.build(high, post.CELL)
        found = [grasps[:0]]
        for rank in range(p.tries_per_seed):
            tried = grasps[grasps.rank == rank]
            free = self._free(tried, cloud, gripper, region)
            found.append(free)
            grasps = grasps[~torch.isin(grasps.seed, free.seed)]
        free = Candidates.concatenated(found)
        with self._stage("nms"):
            if len(free) == 0:
                return free
            rotation = np.deg2rad(p.nms_rotation)
            return free[scoring.suppress(free.R, free.t, free.score, p.nms_translation, rotation, p.max_grasps)]

    def _free(self, grasps: Candidates, cloud: Buckets, gripper: Gripper, region: Box | None) -> Candidates:
        p = self.params
        with self._stage("centre"):
            grasps, inner = post.centred(grasps, cloud, gripper, p.max_shift)
            grasps = grasps[(inner >= p.min_inner) & post.within_region(grasps.t, region)]
        with self._stage("collision"):
            return grasps[post.free(grasps, cloud, gripper, p.sweep, p.max_hits)]

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self.params.device.startswith("cuda"):
            torch.cuda.synchronize()
        self.timings[name] = self.timings.get(name, 0.0) + (time.perf_counter() - start) * 1e3


def _checked(points: NDArray[np.float32], region: Box | None) -> NDArray[np.float32]:
    """The points that matter to the gripper; InputError where there are too few, too many or bad ones."""
    bad = int((~np.isfinite(points).all(axis=1)).sum())
    if bad:
        raise InputError(f"{bad} of the cloud's {len(points)} points are NaN or infinite; use Cloud.finite()")
    return usable.relevant(points, region, _OBSTACLES, _MIN_POINTS, MAX_POINTS)
