"""Grasp detectors, chosen by name behind one protocol."""

import importlib
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from grasp_core.cell import Box
from grasp_core.errors import ConfigError, DetectorError, InputError, SeegraspError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation


@runtime_checkable
class Detector(Protocol):
    """What every detector does."""

    def detect(self, observation: Observation, gripper: Gripper, region: Box | None = None) -> Grasps:
        """Grasps in the frame of ``observation.cloud``, best first; empty when there is nothing to grasp.

        Args:
            observation: one look; ``cloud`` is always there (base frame, z up), depth, colour and camera may be None.
            gripper: the gripper to find grasps for.
            region: surface points outside of it must not be grasped; the whole cloud is an obstacle.
        """


class _Checked:
    """A detector whose failures and malformed results become one clear DetectorError."""

    def __init__(self, name: str, inner: Detector) -> None:
        self.name = name
        self.inner = inner

    @property
    def timings(self) -> dict[str, float]:
        """Milliseconds per stage of the last call, empty where the detector does not tell."""
        return dict(getattr(self.inner, "timings", {}))

    def detect(self, observation: Observation, gripper: Gripper, region: Box | None = None) -> Grasps:
        """See Detector; raises DetectorError, or the SeegraspError that the detector raised."""
        try:
            grasps = self.inner.detect(observation, gripper, region)
        except SeegraspError:
            raise
        except Exception as error:
            raise DetectorError(f"detector {self.name!r} raised {type(error).__name__}: {error}") from error
        if not isinstance(grasps, Grasps):
            raise DetectorError(f"detector {self.name!r} returned {type(grasps).__name__}, expected Grasps")
        if len(grasps) == 0:
            return grasps
        try:
            return grasps.validate(gripper.max_width, f"detector {self.name!r}").sorted()
        except InputError as error:
            raise DetectorError(f"{error}; its result was dropped") from error


def _analytic(**params: Any) -> Detector:
    from grasp_perception.detectors.analytic import AnalyticDetector  # torch is loaded only when it is needed

    return AnalyticDetector(**params)


_BUILT_IN: dict[str, Callable[..., Detector]] = {"analytic": _analytic}


def names() -> list[str]:
    """Names of the detectors that come with the package."""
    return sorted(_BUILT_IN)


def make_detector(name: str, **params: Any) -> _Checked:
    """A detector by name, with its parameters; its results are validated.

    Args:
        name: a built-in name, or ``package.module:factory``; the factory is called with ``params`` and returns an
            object with a ``detect`` method.

    Raises:
        ConfigError: no such detector, or parameters that it does not take.
    """
    factory = _BUILT_IN.get(name) or _plugin(name)
    try:
        detector = factory(**params)
    except TypeError as error:
        raise ConfigError(f"detector {name!r} cannot be made with parameters {sorted(params)}: {error}") from error
    if not isinstance(detector, Detector):
        raise ConfigError(f"detector {name!r}: the factory made a {type(detector).__name__} without a detect() method")
    return _Checked(name, detector)


def _plugin(name: str) -> Callable[..., Detector]:
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ConfigError(f"unknown detector {name!r}; choose one of {names()} or give package.module:factory")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"detector {name!r} cannot be loaded: {error}") from error
    if not callable(factory):
        raise ConfigError(f"detector {name!r}: {attribute} is a {type(factory).__name__}, expected a callable")
    return factory
