"""The one place that imports pyrealsense2."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

from grasp_core.errors import ConfigError


def realsense() -> ModuleType:
    """The module pyrealsense2; ConfigError when it is not installed, or too old to align through software devices."""
    try:
        module = importlib.import_module("pyrealsense2")
    except ImportError as error:
        raise ConfigError(
            f"pyrealsense2 cannot be imported ({error}): `pip install pyrealsense2` in its environment, or run "
            "realsense-ros and take source:=topics"
        ) from error
    if not hasattr(module.software_video_frame, "depth_units"):
        raise ConfigError(
            f"pyrealsense2 in {module.__file__} is too old: `pip install -U pyrealsense2`; an L515, which newer ones "
            "do not know, runs with realsense-ros and source:=topics"
        )
    return module


def plain(name: object) -> str:
    """A name of an enumeration or an option's value as it is compared: 'High Accuracy' is high_accuracy."""
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")
