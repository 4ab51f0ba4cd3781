"""Finding and strictly reading YAML files: an unknown key or a wrong type is an error that names file, line and key."""

import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from grasp_core.errors import ConfigError
from grasp_core.yaml_source import Source, read

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


def search_path() -> list[Path]:
    """Folders with profiles in the order of search: those of SEEGRASP_CONFIG (written like PATH), then the shipped one.

    Raises:
        ConfigError: SEEGRASP_CONFIG names something that is no folder.
    """
    folders = [Path(p).expanduser() for p in os.environ.get("SEEGRASP_CONFIG", "").split(os.pathsep) if p]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"SEEGRASP_CONFIG: {folder} is no folder; expected one with arms/, grippers/, cells/, …")
    return [*folders, config_dir()]


def find(kind: str, name: str) -> Path:
    """Path of a profile: ``name`` is that of a file in the search path such as ``ur5e``, or the path of a YAML file.

    Raises:
        ConfigError: there is no such file; lists the names that there are.
    """
    if kind not in KINDS:
        raise ConfigError(f"unknown kind of profile {kind!r}; expected one of {', '.join(KINDS)}")
    if name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if path.is_file():
            return path
        raise ConfigError(f"no file {path} (asked for as {kind} profile)")
    folders = [folder / kind for folder in search_path()]
    for folder in folders:
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    known = ", ".join(names(kind)) or "none"
    raise ConfigError(
        f"no {kind} profile {name!r} in {', '.join(map(str, folders))}; there are: {known}; or give the path of a YAML "
        "file"
    )


def names(kind: str) -> list[str]:
    """The profiles of a kind in the search path."""
    return sorted({path.stem for folder in search_path() for path in (folder / kind).glob("*.yaml")})


def load_source(path: str | Path, kind: str = "") -> Source:
    """Read a YAML mapping; one of a ``kind`` may say ``extends: <name or path>`` and hold only what differs.

    Raises:
        ConfigError: the file, or one that it extends, cannot be read, is not YAML or is not a mapping.
    """
    chain: list[Source] = []
    seen: list[Path] = []
    here = Path(path)
    while True:
        if here.resolve() in seen:
            raise ConfigError(f"{here}: extends: {' -> '.join(map(str, seen))} leads back to it")
        seen.append(here.resolve())
        source = read(here)
        chain.append(source)
        base = source.data.pop("extends", None) if kind else None
        if base is None:
            break
        if not isinstance(base, str):
            raise ConfigError(f"{source.place(('extends',))}: extends: expected a name or a path, got {base!r}")
        beside = here.parent / base
        here = beside if base.endswith((".yaml", ".yml")) and beside.is_file() else find(kind, base)
    merged = chain.pop()
    while chain:
        merged = chain.pop().over(merged)
    return merged


def validate(source: Source, model: type[Model]) -> Model:
    """What a file says as ``model``.

    Raises:
        ConfigError: names for every problem the file, the line, the key, what was wrong and what was given.
    """
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        problems = [
            f"{source.place(e['loc'])}: {'.'.join(map(str, e['loc'])) or '(top)'}: {e['msg']} "
            f"(given: {str(e['input'])[:60]!r})"
            for e in error.errors()
        ]
        raise ConfigError("; ".join(problems)) from error


def load_model(path: str | Path, model: type[Model], kind: str = "") -> Model:
    """`load_source` and `validate`."""
    return validate(load_source(path, kind), model)
