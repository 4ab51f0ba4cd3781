"""Detectors that misbehave in every way; they run in processes of their own, too: numpy and grasp_core only."""

import os
import re
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from grasp_core.errors import ErrorCode, InputError
from grasp_core.grasps import Grasps

DOWN = np.diag([1.0, -1.0, -1.0])


def good(points: np.ndarray, width: float = 0.05) -> Grasps:
    """Grasps from above at the points, their scores falling."""
    n = len(points)
    return Grasps.create(np.tile(DOWN, (n, 1, 1)), points, np.full(n, width), 0.01, np.linspace(0.9, 0.1, n))


def exchanged(**arrays: object) -> Grasps:
    """Sound grasps whose arrays were replaced behind the back of the constructor."""
    grasps = good(np.zeros((3, 3)))
    for name, array in arrays.items():
        object.__setattr__(grasps, name, array)
    return grasps


def print_everywhere() -> None:
    print("to stdout")
    os.write(1, b"to file descriptor 1\n")
    os.system("echo from a child")
    sys.stdin.read()


def write_into_every_pipe() -> None:
    for fd in range(3, 64):
        try:
            os.write(fd, b"look at me, I am a log line\n")
        except OSError:
            continue


def hang_inside_c() -> None:
    re.match(r"(a+)+$", "a" * 64 + "b")  # holds the interpreter's lock for ages


CRASHES = {
    "abort": os.abort,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "leave": lambda: os._exit(3),
    "close_all": lambda: os.closerange(3, 256),
    "garbage": write_into_every_pipe,
    "hang": lambda: time.sleep(1000.0),
    "hang_in_c": hang_inside_c,
}
ACTS = {
    "exit": lambda: sys.exit(3),
    "raise": lambda: [][1],
    "shapes": lambda: Grasps.create(np.zeros((3, 3, 3)), np.zeros((3, 3)), np.zeros((3, 2))[:, 0])[[0, 1, 7]],
    "constructor": lambda: good(np.zeros((3, 4))),
    "exchanged": lambda: exchanged(R=np.eye(4)),
    "objects": lambda: exchanged(score=np.array(["a", None, {}], dtype=object)),
    "nan": lambda: good(np.full((3, 3), np.nan)),
    "infinite": lambda: exchanged(depth=np.full(3, np.inf, dtype=np.float32)),
    "reflections": lambda: exchanged(R=np.tile(np.diag([-1.0, 1.0, 1.0]), (3, 1, 1))),
    "sheared": lambda: exchanged(R=np.tile(np.eye(3) + 0.1, (3, 1, 1))),
    "wide": lambda: good(np.zeros((3, 3)), 0.5),
    "negative": lambda: good(np.zeros((3, 3)), -0.01),
    "score": lambda: exchanged(score=np.array([0.1, 1.2, 0.3])),
    "nothing": lambda: None,
    "list": lambda: [1, 2, 3],
    "lots": lambda: good(np.zeros((300_000, 3))),
}


class Hostile:
    """Does `mode` in every call, or only while the file `once` does not exist; then it is good."""

    def __init__(self, mode: str = "good", once: str = "", timings: object = None) -> None:
        self.mode, self.once, self.seed = mode, once, 0
        if timings is not None:
            self.timings = timings

    def reset(self, seed: int) -> None:
        if self.mode == "reset":
            raise ValueError("no seed is good enough")
        self.seed = seed

    def detect(self, observation, gripper, region=None):
        points = observation.cloud.points if region is None else observation.cloud.points[:2]
        if self.once and Path(self.once).exists():
            return good(points)
        if self.once:
            Path(self.once).touch()
        if self.mode == "seed":
            return replace(good(points), track_id=np.full(len(points), self.seed))
        if self.mode == "unsorted":
            return good(points)[::-1]
        if self.mode == "empty":
            return Grasps.empty("hostile")
        if self.mode == "empty_cloud":
            raise InputError("too few points", ErrorCode.EMPTY_CLOUD)
        if self.mode == "prints":
            print_everywhere()
        elif self.mode == "orphan":
            if os.fork() == 0:
                time.sleep(1000.0)
            os._exit(4)
        elif self.mode == "thread":
            threading.Thread(target=time.sleep, args=(1000.0,)).start()
        elif self.mode in CRASHES:
            CRASHES[self.mode]()
        elif self.mode in ACTS:
            return ACTS[self.mode]()
        return good(points)


class Echo:
    """Tells what it was given, in grasps and timings."""

    def detect(self, observation, gripper, region=None):
        self.timings = {
            "depth": float(observation.depth.sum()),
            "color": float(observation.color.sum()),
            "colors": float(observation.cloud.colors.sum()),
            "ray": float(observation.camera.rays().sum()),
            "view": float(observation.T_base_cam[0, 3]),
            "stamps": float(observation.stamp - observation.cloud.stamp),
            "volume": 0.0 if region is None else float(np.prod(region.max - region.min)),
            "pid": os.getpid(),
        }
        return replace(good(observation.cloud.points, gripper.max_width), detector=observation.cloud.frame)


def factory(mode: str = "good", sleep: float = 0.0, where: str = "detect", **params):
    """The detector; `where` = "factory": the misbehaviour happens while it is made."""
    time.sleep(sleep)
    if mode == "echo":
        return Echo()
    if where == "factory":
        return CRASHES.get(mode, ACTS.get(mode))()
    return Hostile(mode, **params)


def surroundings(**params):
    """Tells about the process that it lives in, as an error."""
    loaded = sorted({"torch", "rclpy"} & set(sys.modules))
    raise RuntimeError(f"loaded={loaded} params={params} libraries={os.environ.get('LD_LIBRARY_PATH')}")
