"""Observations, grippers, regions and grasps as messages of `wire`."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import Camera
from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_perception.detectors.wire import Message

_IMAGES = ("depth", "color", "T_base_cam")
_CAMERA = ("width", "height", "depth_scale", "frame", "near", "far")


def from_look(observation: Observation, gripper: Gripper, region: Box | None) -> Message:
    """What ``detect`` is called with, as a message of kind "detect"."""
    cloud, camera = observation.cloud, observation.camera
    header: dict[str, Any] = {
        "kind": "detect",
        "frame": cloud.frame,
        "cloud_stamp": int(cloud.stamp),
        "stamp": int(observation.stamp),
        "gripper": gripper.model_dump(mode="json"),
        "camera": None if camera is None else [camera.K.ravel().tolist(), *(getattr(camera, n) for n in _CAMERA)],
        "region": None if region is None else [region.min.tolist(), region.max.tolist()],
    }
    arrays = {"points": cloud.points, "colors": cloud.colors} | {n: getattr(observation, n) for n in _IMAGES}
    return Message(header, {name: array for name, array in arrays.items() if array is not None})


def to_look(message: Message) -> tuple[Observation, Gripper, Box | None]:
    """Inverse of ``from_look``."""
    header, arrays = message.header, message.arrays
    cloud = Cloud(arrays["points"], arrays.get("colors"), header["frame"], header["cloud_stamp"])
    camera = header["camera"]
    observation = Observation(
        cloud=cloud,
        camera=None if camera is None else _camera(tuple(camera[0]), *camera[1:]),
        stamp=header["stamp"],
        **{name: arrays.get(name) for name in _IMAGES},
    )
    region = header["region"]
    return observation, Gripper.model_validate(header["gripper"]), None if region is None else Box(*region)


@lru_cache(maxsize=4)
def _camera(K: tuple[float, ...], *rest: Any) -> Camera:
    """The same object for the same camera: it keeps the viewing rays that it has computed."""
    return Camera(np.array(K).reshape(3, 3), *rest)


def from_grasps(grasps: Grasps, timings: dict[str, float], milliseconds: float) -> Message:
    """What ``detect`` returned in so many ms, as a message of kind "grasps"."""
    header = {"kind": "grasps", "detector": str(grasps.detector), "timings": timings, "milliseconds": milliseconds}
    return Message(header, _columns(grasps))


def to_grasps(message: Message) -> Grasps:
    """Inverse of ``from_grasps``; GraspsError or TypeError when the arrays are not those of grasps."""
    return Grasps(**message.arrays, detector=message.header["detector"])


def _columns(grasps: Grasps) -> dict[str, NDArray]:
    return {f.name: getattr(grasps, f.name) for f in fields(Grasps) if f.name != "detector"}
