"""Setting a camera up before it streams: preset, projector, clock."""

from __future__ import annotations

from typing import Any

from grasp_core.errors import ConfigError
from grasp_perception.realsense.devices import described, info
from grasp_perception.realsense.library import plain, realsense
from grasp_perception.realsense.settings import KEEP, Settings

_LINE = "D400"  # the product line whose presets and advanced mode these are


def configure(device: Any, depth_sensor: Any, color_sensor: Any, settings: Settings) -> None:
    """Preset first, then what is set beside it. ConfigError: the device has no such preset, option or value."""
    if settings.preset_file is not None:
        _load_json(device, settings)
    elif settings.preset:
        _set_preset(device, depth_sensor, settings.preset)
    if settings.emitter != KEEP:
        _set(device, depth_sensor, "emitter_enabled", float(settings.emitter == "on"))
    if settings.laser_power >= 0.0:
        _set(device, depth_sensor, "laser_power", settings.laser_power)
    rs = realsense()
    for sensor in (depth_sensor, color_sensor):
        if sensor.supports(rs.option.global_time_enabled):
            sensor.set_option(rs.option.global_time_enabled, 1.0)
    if color_sensor.supports(rs.option.auto_exposure_priority):
        # A longer exposure in dim light would slow colour down, and depth would lose its partners.
        color_sensor.set_option(rs.option.auto_exposure_priority, 0.0)


def _set_preset(device: Any, sensor: Any, wanted: str) -> None:
    option = realsense().option.visual_preset
    line = info(device, "product_line")
    if line != _LINE or not sensor.supports(option):
        raise ConfigError(f"{described(device)} has no presets that are known (product line '{line}', not {_LINE})")
    limits = sensor.get_option_range(option)
    members = realsense().rs400_visual_preset.__members__.items()
    known = {plain(name): int(value) for name, value in members if limits.min <= int(value) <= limits.max}
    if plain(wanted) not in known:
        raise ConfigError(f"{described(device)} has no preset '{wanted}'; it has: {', '.join(known)}, or a .json file")
    sensor.set_option(option, float(known[plain(wanted)]))


def _load_json(device: Any, settings: Settings) -> None:
    rs = realsense()
    if info(device, "product_line") == _LINE and not rs.rs400_advanced_mode(device).is_enabled():
        raise ConfigError(
            f"preset {settings.preset}: advanced mode of {described(device)} is off; turn it on in realsense-viewer"
        )
    try:
        rs.serializable_device(device).load_json(settings.preset_file.read_text(encoding="utf-8"))
    except (RuntimeError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"preset {settings.preset}: {described(device)} does not take it: {error}") from error


def _set(device: Any, sensor: Any, name: str, value: float) -> None:
    option = getattr(realsense().option, name)
    if not sensor.supports(option):
        raise ConfigError(f"{described(device)} has no option {name}: leave it as the device has it")
    limits = sensor.get_option_range(option)
    if not limits.min <= value <= limits.max:
        raise ConfigError(f"{name} is {value:g}: {described(device)} takes {limits.min:g} to {limits.max:g}")
    sensor.set_option(option, value)
