"""One round: a scene, and looks, grasps and attempts on it until the protocol says that it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasp_core import se3
from grasp_core.camera import CameraProfile
from grasp_core.cell import Box
from grasp_core.errors import DetectorError, DetectorTimeout, ErrorCode, InputError, SeegraspError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_eval.bench import records, round_picture
from grasp_eval.bench.ap import scene_ap
from grasp_eval.bench.coverage import coverage
from grasp_eval.bench.looking import Look, Looker, sample_views
from grasp_eval.bench.outcome import attempt_record
from grasp_eval.bench.protocol import Protocol
from grasp_eval.bench.records import Attempt, Round, RoundResult, RunConfig
from grasp_eval.bench.scene_source import make_scene
from grasp_eval.bench.stage import stage_cell
from grasp_eval.bench.targets import choose_target, target_region
from grasp_sim.hand_attempt import HandMotion, Trace, attempt
from grasp_sim.hand_world import HandWorld
from grasp_sim.noise import DepthNoise
from grasp_sim.object_sets import ObjectSet, load_object_set

SAME = 0.015  # m: a grasp this near a failed one on an unchanged scene is a repetition
OUTSIDE = 0.03  # m beyond the workspace an object counts as lost
VIEWS, NOISE, CHOICE, DETECTOR = range(4)  # streams of random numbers of a round
Beat = Callable[..., None]


@lru_cache(maxsize=4)
def _objects(name: str) -> ObjectSet:
    return load_object_set(name)


@lru_cache(maxsize=4)
def _camera(profile: str, noise: str | None) -> tuple[CameraProfile, DepthNoise]:
    camera = CameraProfile.load(profile)
    return camera, DepthNoise.from_profile(camera, noise)


def run_round(config: RunConfig, index: int, detector: Any, beat: Beat) -> RoundResult:
    """Do round ``index`` of a run; depends on (config, index) and the detector alone.

    beat("detect", result so far) is called before the detector is asked, beat("idle") after it has answered. Failures
    of the scene and of the detector end the round and stand in its record. ConfigError when ``config`` is wrong.
    """
    result, start = RoundResult(Round(index, 0, [], [])), time.perf_counter()
    protocol = Protocol.load(config.protocol)
    objects = _objects(config.objects)
    try:
        scene = make_scene(config, protocol, objects, index)
    except InputError as error:
        result.round.ended, result.round.error = records.SCENE_ERROR, str(error)
        return result
    cell = stage_cell(protocol, config.scene)
    gripper = Gripper.load(config.gripper)
    world = HandWorld(gripper, scene.objects, scene.poses, cell, scene.with_bin, protocol.friction)
    result.round.scene_seed = scene.seed
    result.round.objects = [obj.name for obj in scene.objects]
    result.round.families = [obj.family for obj in scene.objects]
    result.round.timings_ms = {"scene": 1e3 * (time.perf_counter() - start), "look": [], "detect": [], "physics": []}
    camera, noise = _camera(protocol.camera, config.noise or protocol.noise)
    with Looker(world, cell, protocol, camera, noise) as looker:
        _Play(config, protocol, world, looker, detector, beat, result).run()
    result.round.timings_ms["round"] = 1e3 * (time.perf_counter() - start)
    return result


@dataclass
class _Play:
    """The state of a round under way."""

    config: RunConfig
    protocol: Protocol
    world: HandWorld
    looker: Looker
    detector: Any
    beat: Beat
    result: RoundResult
    failures: int = 0  # in a row
    skips: int = 0  # in a row
    failed: list[NDArray[np.float32]] = field(default_factory=list)  # places, since the scene last changed
    first_views: NDArray[np.float64] | None = None

    def run(self) -> None:
        """Until the round is over."""
        record = self.result.round
        try:
            self._reset_detector()
            self._choose_target()
            while not record.ended:
                self._turn()
        except DetectorError as error:
            hangs = isinstance(error, DetectorTimeout)
            record.ended = records.DETECTOR_TIMEOUT if hangs else records.DETECTOR_ERROR
            record.error = str(error)

    def _turn(self) -> None:
        """One look, and the attempt that comes of it."""
        look, grasps = self._ask()
        candidates = self._candidates(grasps)
        if len(candidates) == 0:
            self.skips += 1
            self.result.round.skips += 1
            if self.skips > self.protocol.skips:
                self.result.round.ended = records.NO_GRASP
            return
        self.skips = 0
        self._try(look, candidates, len(grasps))
        self._judge()

    # --- before the first look

    def _reset_detector(self) -> None:
        reset = getattr(self.detector, "reset", None)
        if reset is None:
            return
        # One in a process of its own has its own watch, and here the time to be started again after a crash.
        watched = not self.config.detector_python
        if watched:
            self.beat("detect", self.result)
        try:
            reset(int(self._rng(DETECTOR, 0).integers(2**31)))
        except SeegraspError as error:
            raise error if isinstance(error, DetectorError) else DetectorError(str(error)) from error
        finally:
            if watched:
                self.beat("idle")

    def _choose_target(self) -> None:
        if self.config.scene != "occluded":
            return
        record = self.result.round
        world, renderer, profile = self.world, self.looker.renderer, CameraProfile.load(self.protocol.camera)
        try:
            choice = choose_target(world, renderer, self.protocol, profile, self.config.seed, record.round)
        except InputError as error:
            record.ended, record.error = records.SCENE_ERROR, str(error)
            return
        record.target, record.occlusion, self.first_views = choice.name, choice.occlusion, choice.T_base_cams

    # --- look and detect

    def _ask(self) -> tuple[Look | None, Grasps]:
        """The next look, and what the detector makes of it; None where nothing is to be seen."""
        record, number = self.result.round, self.result.round.looks
        with self._timed("look"):
            views = self.first_views if number == 0 else None
            if views is None:
                views = sample_views(self.protocol, self._rng(VIEWS, number + 1))
            try:
                look = self.looker.look(views, self._rng(NOISE, number))
            except InputError as error:  # next to nothing measured, as with a camera that looks into a wall
                record.looks += 1
                record.error = str(error)
                return None, Grasps.empty()
        region = self.world.cell.pick_region()
        if record.target:
            region = target_region(look, record.target)
        self.beat("detect", self.result)
        try:
            with self._timed("detect"):
                self._reveal()
                grasps = self._detect(look, region)
        finally:
            self.beat("idle")
        record.looks += 1
        if number == 0:
            record.first = self._first(look, grasps)
        return look, grasps

    def _reveal(self) -> None:
        """Tell a reference that wants it what lies where."""
        reveal = getattr(self.detector, "reveal", None)
        if reveal is not None:
            world, poses = self.world, np.array(list(self.world.object_poses().values()))
            reveal(list(world.objects.values()), poses, world.cell, world.with_bin, self.result.round.target)

    def _detect(self, look: Look, region: Box | None) -> Grasps:
        if region is None:  # nothing of the target is to be seen
            return Grasps.empty()
        try:
            return self.detector.detect(look.observation, self.world.gripper, region)
        except DetectorError:
            raise
        except SeegraspError as error:
            if error.code is ErrorCode.EMPTY_CLOUD:  # hardly anything left on the table
                return Grasps.empty()
            raise DetectorError(str(error)) from error

    def _first(self, look: Look, grasps: Grasps) -> dict[str, Any]:
        """What the first look offers, before anything was touched: the same scene for every detector."""
        poses = self.world.object_poses()
        offered = {"grasps": len(grasps), "points": len(look.observation.cloud)}
        covered = coverage(grasps, look.points, look.labels, look.names)
        if self.result.round.target:
            return offered | covered
        objects = [self.world.objects[name] for name in poses]
        floor = self.world.cell.support_height() if self.world.with_bin else self.world.cell.table.height
        return offered | covered | scene_ap(grasps, objects, np.array(list(poses.values())), floor)

    # --- choose and try

    def _candidates(self, grasps: Grasps) -> Grasps:
        grasps = grasps[grasps.score >= self.protocol.min_score]
        if not self.protocol.repeats:
            for place in self.failed:
                grasps = grasps[np.linalg.norm(grasps.t - place, axis=1) >= SAME]
        return grasps

    def _try(self, look: Look, candidates: Grasps, offered: int) -> None:
        world, number = self.world, len(self.result.attempts)
        row = 0
        if self.protocol.choice == "random":
            row = int(self._rng(CHOICE, number).integers(len(candidates)))
        grasp = candidates[row : row + 1]
        T = se3.make(grasp.R[0].astype(np.float64), grasp.t[0].astype(np.float64))
        before = world.save()
        with self._timed("physics"):
            trace = attempt(world, T, float(grasp.width[0]), self._motion())
        record = attempt_record(self.result, look, grasp, trace, offered, self.protocol.motion.max_slip)
        if not record.success and not any(not a.success for a in self.result.attempts):
            self._picture(record, before, T, float(grasp.width[0]))
        self.result.attempts.append(record)
        with self._timed("physics", add=True):
            self._afterwards(trace, before)
        if (trace.held or trace.moved) and not trace.unphysical:
            self.failed.clear()
        if not record.success:
            self.failed.append(grasp.t[0])
        self.failures = 0 if record.success else self.failures + 1

    def _motion(self) -> HandMotion:
        m = self.protocol.motion
        lift_above = float(np.deg2rad(m.lift_above))
        return HandMotion(m.approach, m.retreat, m.speed, lift_above, m.shake, m.touch, m.contact)

    def _picture(self, record: Attempt, before: NDArray, T: NDArray, width: float) -> None:
        """Show the first failed grasp of the round where the hand would close."""
        after = self.world.save()
        self.world.restore(before)
        name = f"round_{record.round:04d}_{record.index:02d}.jpg"
        self.result.pictures[name] = round_picture.draw(self.world, self.looker.renderer, T, width)
        record.picture = name
        self.world.restore(after)

    def _afterwards(self, trace: Trace, before: NDArray) -> None:
        """Take away what was picked, let the rest come to rest, take away what fell out of the workspace."""
        world, record = self.world, self.result.round
        if trace.unphysical:  # what an artefact did to the scene must not count for or against the next attempts
            world.restore(before)
            return
        world.remove(trace.held)
        record.cleared += trace.held
        world.hide_hand()
        watch = world.rest()
        if watch.diverged:  # what is left goes back to where it lay
            world.restore(before)
            self.result.attempts[-1].unphysical = f"{watch.unphysical}, while the scene came to rest"
        limits = world.cell.workspace_box()
        low, high = limits.min - OUTSIDE, limits.max + OUTSIDE
        lost = [
            name
            for name, pose in world.object_poses().items()
            if (pose[:2, 3] < low[:2]).any() or (pose[:2, 3] > high[:2]).any() or pose[2, 3] < low[2]
        ]
        world.remove(lost)
        record.lost += lost

    def _judge(self) -> None:
        """Whether the round is over."""
        record, limit = self.result.round, self.protocol.max_failures
        if not self.world.objects or (record.target and record.target not in self.world.objects):
            record.ended = records.CLEARED
        elif limit is not None and self.failures >= limit:
            record.ended = records.FAILURES
        elif len(self.result.attempts) >= self.protocol.max_attempts * len(record.objects):
            record.ended = records.ATTEMPTS

    # --- small things

    def _rng(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, self.result.round.round, stream, number])

    @contextmanager
    def _timed(self, what: str, add: bool = False) -> Iterator[None]:
        start = time.perf_counter()
        yield
        spent = 1e3 * (time.perf_counter() - start)
        laps = self.result.round.timings_ms[what]
        if add:
            laps[-1] += spent
        else:
            laps.append(spent)
