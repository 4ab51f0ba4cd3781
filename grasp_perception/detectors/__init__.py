"""Grasp detectors, chosen by name behind one protocol."""

import importlib
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from grasp_core.cell import Box
from grasp_core.errors import ConfigError, DetectorError, SeegraspError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_perception.detectors.checked import Checked, described


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


DEFAULT = "dense"  # what commands, nodes and launch files take when they are not told
_BUILT_IN = {  # torch is loaded only with one that needs it
    "analytic": "grasp_perception.detectors.analytic:AnalyticDetector",
    "dense": "grasp_perception.dense.detector:from_file",
}


def names() -> list[str]:
    """Names of the detectors that come with the package."""
    return sorted(_BUILT_IN)


def make_detector(name: str, python: str | None = None, timeout: float | None = None, **params: Any) -> Checked:
    """A detector by name, with its parameters; its results are validated.

    Args:
        name: a built-in name, or ``package.module:factory``; the factory is called with ``params`` and returns an
            object with a ``detect`` method.
        python: an interpreter to run the detector in, in a process of its own (see docs/PLUGINS.md); None or empty: in
            this process.
        timeout: s that one call of a detector in a process of its own may take before that process is ended; None: no
            limit. Nothing can end a call in this process.

    Raises:
        ConfigError: no such detector, or parameters that it does not take.
        DetectorError: its factory raised; with ``python``, also everything else that keeps it from starting.
    """
    if python:
        from grasp_perception.detectors.remote import RemoteDetector

        return Checked(name, RemoteDetector(name, python, params, timeout))
    factory = _plugin(name, _BUILT_IN.get(name, name))
    try:
        detector = factory(**params)
    except TypeError as error:
        raise ConfigError(f"detector {name!r} cannot be made with parameters {sorted(params)}: {error}") from error
    except SeegraspError:
        raise
    except (Exception, SystemExit) as error:
        raise DetectorError(f"the factory of detector {name!r} raised {described(error)}") from error
    if not isinstance(detector, Detector):
        raise ConfigError(f"detector {name!r}: the factory made a {type(detector).__name__} without a detect() method")
    return Checked(name, detector)


def module_of(name: str) -> str:
    """The module that a detector is made in, for those who want to import it beforehand; "" for an unknown name."""
    path = _BUILT_IN.get(name, name)
    return path.partition(":")[0] if ":" in path else ""


def _plugin(name: str, path: str) -> Callable[..., Detector]:
    module, colon, attribute = path.partition(":")
    if not (module and colon and attribute):
        raise ConfigError(f"unknown detector {name!r}; choose one of {names()} or give package.module:factory")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # a module may raise anything while it is imported
        raise ConfigError(f"detector {name!r} cannot be loaded: {described(error)}") from error
    if not callable(factory):
        raise ConfigError(f"detector {name!r}: {attribute} is a {type(factory).__name__}, expected a callable")
    return factory
