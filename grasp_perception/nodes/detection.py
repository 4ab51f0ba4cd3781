"""What detector_node does with one cloud, apart from the ROS plumbing: wait, look, detect, choose."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from sensor_msgs.msg import PointCloud2

from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.errors import ErrorCode, InputError, SeegraspError, StaleError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_perception.detectors.checked import Checked
from grasp_perception.nodes.worker import Worker
from grasp_ros.conversions import msg_to_cloud, stamp_to_ns
from grasp_ros.tf_listener import TfListener

_S = 1_000_000_000
_POLL_S = 0.02
_TF_WAIT_S = 0.2


class Cancelled(Exception):
    """The goal was cancelled while something was waited for."""


@dataclass(frozen=True)
class Request:
    """What is asked for: where, how many (0: all), how good, and from when on (ns, 0: any time)."""

    region: Box | None = None
    max_grasps: int = 0
    min_score: float = 0.0
    not_before: int = 0


@dataclass
class Detection:
    """The outcome: grasps in `frame`, the stamp of what they were seen in, stage -> ms."""

    grasps: Grasps
    frame: str
    stamp: int
    timings: dict[str, float] = field(default_factory=dict)


class CloudInbox:
    """The newest cloud message, and waiting for one that is new enough; thread-safe."""

    def __init__(self, now: Callable[[], int], max_age_s: float, max_future_s: float) -> None:
        """`now` gives ROS time in ns."""
        self._now, self._max_age, self._max_future = now, max_age_s, max_future_s
        self._changed = threading.Condition()
        self._newest: tuple[PointCloud2, float] | None = None

    def put(self, msg: PointCloud2) -> None:
        """Take in a message; the latest to arrive wins."""
        with self._changed:
            self._newest = (msg, time.monotonic())
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget the cloud (time jumped)."""
        with self._changed:
            self._newest = None

    def stamp(self) -> int | None:
        """Stamp of the newest cloud in ns."""
        newest = self._newest
        return None if newest is None else stamp_to_ns(newest[0].header.stamp)

    def wait(self, not_before: int, timeout_s: float, cancelled: Callable[[], bool]) -> PointCloud2:
        """A cloud of at least `not_before` that is neither stale nor from the future, within steady time.

        Raises:
            SeegraspError(NO_DEPTH): no cloud at all came.
            StaleError: those that came are too old, older than asked for, or from the future.
            Cancelled: `cancelled` became true.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                problem = self._problem(not_before, timeout_s)
                if problem is None:
                    return self._newest[0]
                if cancelled():
                    raise Cancelled
                left = deadline - time.monotonic()
                if left <= 0.0:
                    raise problem
                self._changed.wait(min(left, _POLL_S))

    def _problem(self, not_before: int, timeout_s: float) -> SeegraspError | None:
        if self._newest is None:
            return SeegraspError(
                f"no cloud arrived within {timeout_s:g} s: is camera_node running?", ErrorCode.NO_DEPTH
            )
        msg, arrived = self._newest
        stamp, now = stamp_to_ns(msg.header.stamp), self._now()
        if now - stamp > self._max_age * _S:
            return StaleError(f"newest cloud is {(now - stamp) / _S:.2f} s old (max_age {self._max_age:g} s)")
        if stamp - now > self._max_future * _S:
            return StaleError(f"newest cloud is stamped {(stamp - now) / _S:.2f} s in the future: clocks differ")
        silent = time.monotonic() - arrived
        if silent > max(timeout_s, self._max_age):  # ROS time stands still when a simulator dies
            return StaleError(f"no new cloud for {silent:.1f} s of real time: did the camera or the simulator stop?")
        if stamp < not_before:
            return StaleError(f"newest cloud is {(not_before - stamp) / _S:.2f} s older than asked for (not_before)")
        return None


class Pipeline:
    """From a cloud message to chosen grasps."""

    def __init__(
        self,
        detector: Checked,
        gripper: Gripper,
        tf: TfListener,
        base_frame: str,
        camera_frame: str,
        workspace: Box,
        voxel: float,
        max_points: int,
        detect_timeout_s: float,
    ) -> None:
        """Clouds of more than `max_points` (foreign ones, camera_node's are small) are voxelised to `voxel` m."""
        self.detector, self.gripper = detector, gripper
        self._tf, self._base, self._camera = tf, base_frame, camera_frame
        self._workspace, self._voxel, self._max_points = workspace, voxel, max_points
        self._timeout = detect_timeout_s
        self._worker = Worker("detector")

    def run(self, msg: PointCloud2, request: Request, cancelled: Callable[[], bool]) -> Detection:
        """Detect in one cloud.

        Raises:
            SeegraspError: BAD_INPUT, NO_TF, EMPTY_CLOUD, DETECTOR_FAILED or NO_GRASP.
            Cancelled: `cancelled` became true; a detection under way ends unheard.
        """
        marks = [("", time.perf_counter())]
        observation = self._observe(msg)
        marks.append(("cloud", time.perf_counter()))
        _require_points(observation.cloud, request.region)
        grasps = self._detect(observation, request.region, cancelled)
        marks.append(("detect", time.perf_counter()))
        chosen = self._choose(grasps, request)
        timings = {name: 1e3 * (t - before) for (_, before), (name, t) in pairwise(marks)}
        timings |= {f"detect/{k}": float(v) for k, v in getattr(self.detector, "timings", {}).items()}
        return Detection(chosen, self._base, observation.stamp, timings)

    def close(self, timeout_s: float) -> bool:
        """End the detector's own process, if any, and the worker; False when the detector does not return in time."""
        self.detector.close()
        return self._worker.close(timeout_s)

    def _observe(self, msg: PointCloud2) -> Observation:
        cloud = msg_to_cloud(msg, "cloud")
        if cloud.frame != self._base:
            T = self._tf.lookup(self._base, cloud.frame, cloud.stamp, timeout_s=_TF_WAIT_S)
            cloud = cloud.transformed(T, self._base)
        cloud = cloud.crop(self._workspace)
        if len(cloud) > self._max_points:
            cloud = cloud.voxel_downsample(self._voxel)
        T_base_cam = self._tf.lookup(self._base, self._camera, cloud.stamp, timeout_s=_TF_WAIT_S)
        return Observation(cloud=cloud, T_base_cam=T_base_cam, stamp=cloud.stamp)

    def _detect(self, observation: Observation, region: Box | None, cancelled: Callable[[], bool]) -> Grasps:
        job = self._worker.submit(lambda: self.detector.detect(observation, self.gripper, region))
        deadline = time.monotonic() + self._timeout
        while not job.wait(_POLL_S):
            if cancelled():
                job.abandon()
                raise Cancelled
            if time.monotonic() > deadline:
                job.abandon()
                raise SeegraspError(
                    f"the detector did not return within {self._timeout:g} s (detect_timeout)",
                    ErrorCode.DETECTOR_FAILED,
                )
        return job.result()

    @staticmethod
    def _choose(grasps: Grasps, request: Request) -> Grasps:
        good = grasps[grasps.score >= np.float32(request.min_score)].sorted()
        if len(good) == 0:
            best = f"; the best of {len(grasps)} has {grasps.score.max():.2f}" if len(grasps) else ""
            raise SeegraspError(f"no grasp with a score of at least {request.min_score:g}{best}", ErrorCode.NO_GRASP)
        return good[: request.max_grasps] if request.max_grasps else good


def _require_points(cloud: Cloud, region: Box | None) -> None:
    if len(cloud) == 0:
        raise SeegraspError("the cloud has no point in the workspace: does the camera see it?", ErrorCode.EMPTY_CLOUD)
    if region is not None and not region.contains(cloud.points).any():
        raise SeegraspError(
            f"none of the cloud's {len(cloud)} points lies in the region {region.min.tolist()}..{region.max.tolist()}",
            ErrorCode.EMPTY_CLOUD,
        )


def check_score(value: float) -> float:
    """A usable minimum score; InputError unless in [0, 1]."""
    if not 0.0 <= value <= 1.0:
        raise InputError(f"min_score is {value}: expected a number in [0, 1]")
    return float(value)
