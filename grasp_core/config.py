"""Finding and strictly reading YAML files: an unknown key or a wrong type is an error that names file and key."""

import os
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from grasp_core.errors import ConfigError

KINDS = ("arms", "grippers", "cameras", "boards", "cells", "bringup", "protocols")


class StrictModel(BaseModel):
    """Base of all configuration models: immutable, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def config_dir() -> Path:
    """Folder with the shipped profiles: beside the sources, or in the installed share folder of the package.

    Raises:
        ConfigError: neither exists.
    """
    beside = Path(__file__).resolve().parents[1] / "config"
    candidates = [beside]
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        if prefix:
            candidates.append(Path(prefix) / "share" / "seegrasp" / "config")
    for candidate in candidates:
        if (candidate / "arms").is_dir():
            return candidate
    raise ConfigError(f"no folder with the profiles (arms/, grippers/, …) in: {', '.join(map(str, candidates))}")


def find(kind: str, name: str) -> Path:
    """Path of a profile: ``name`` is a shipped name such as ``ur5e``, or the path of a YAML file of one's own.

    Raises:
        ConfigError: there is no such file; lists the shipped names.
    """
    if kind not in KINDS:
        raise ConfigError(f"unknown kind of profile {kind!r}; expected one of {', '.join(KINDS)}")
    if name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if path.is_file():
            return path
        raise ConfigError(f"no file {path} (asked for as {kind} profile)")
    folder = config_dir() / kind
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
        raise ConfigError(
            f"no {kind} profile {name!r} in {folder}; there are: {known}; or give the path of a YAML file"
        )
    return path


def load_yaml(path: str | Path) -> dict:
    """Read one YAML mapping.

    Raises:
        ConfigError: the file cannot be read, is not YAML or is not a mapping.
    """
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping at the top, got {type(data).__name__}")
    return data


def load_model(path: str | Path, model: type[Model]) -> Model:
    """Read a YAML file into ``model``.

    Raises:
        ConfigError: names the file and, for every problem, the key, what was wrong and what was given.
    """
    data = load_yaml(path)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or '(top)'}: {e['msg']} (given: {str(e['input'])[:60]!r})"
            for e in error.errors()
        )
        raise ConfigError(f"{path}: {problems}") from error
