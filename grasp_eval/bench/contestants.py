"""Who is measured: a detector by name, or one of the bed's own references."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from grasp_core.cell import Box
from grasp_core.errors import ConfigError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_eval.bench.oracle import Oracle
from grasp_eval.bench.records import RunConfig
from grasp_eval.bench.top_down import TopDown
from grasp_perception.detectors import make_detector

REFERENCES: dict[str, Callable[[], Contestant]] = {"oracle": Oracle, "top_down": TopDown}


class Contestant(Protocol):
    """A detector. One with ``reveal`` is told the truth before it is asked; ``reset`` starts it anew for a round."""

    def detect(self, observation: Observation, gripper: Gripper, region: Box | None = None) -> Grasps:
        """See grasp_perception.detectors.Detector."""


def make_contestant(config: RunConfig) -> Any:
    """The detector that ``config`` asks for; ConfigError when there is none, or its parameters are wrong."""
    if config.detector in REFERENCES:
        if config.detector_params or config.detector_python:
            raise ConfigError(f"{config.detector!r} is a reference of the bed: it takes no parameters and no Python")
        return REFERENCES[config.detector]()
    return make_detector(
        config.detector, python=config.detector_python, timeout=config.detector_timeout, **config.detector_params
    )
