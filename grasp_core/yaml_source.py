"""A YAML file read with the place of every key, so that a message can name file, line and key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from grasp_core.errors import ConfigError

Loc = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """Where a key stands: file and line, from 1."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}"


@dataclass(frozen=True)
class Source:
    """What a file says, and where."""

    data: dict[str, Any]
    places: Mapping[Loc, Place]

    def place(self, loc: Loc) -> Place:
        """Of a key, such as ("cameras", 0, "rpy"); of what encloses it where the key is not there."""
        while loc not in self.places:
            loc = loc[:-1]
        return self.places[loc]

    def over(self, below: Source) -> Source:
        """This one on top of another: mappings are merged key by key, everything else takes the other's place."""
        data = _merged(below.data, self.data)
        return Source(data, {**below.places, **self.places})


def read(path: Path) -> Source:
    """Read one YAML mapping; ConfigError names file and line of what is no YAML, no mapping, or stands there twice."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping at the top, got {type(data).__name__}")
    return Source(data, {(): Place(path, 1), **dict(_places(node, path, ()))})


def _places(node: yaml.Node, path: Path, loc: Loc) -> Iterator[tuple[Loc, Place]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            here, place = (*loc, key.value), Place(path, key.start_mark.line + 1)
            if key.value in seen:
                raise ConfigError(f"{place}: {_dotted(here)}: stands there twice")
            seen.add(key.value)
            yield here, place
            yield from _places(value, path, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = (*loc, index)
            yield here, Place(path, value.start_mark.line + 1)
            yield from _places(value, path, here)


def _dotted(loc: Loc) -> str:
    return ".".join(map(str, loc))


def _merged(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}
