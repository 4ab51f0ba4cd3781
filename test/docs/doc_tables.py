"""Reading tables of the documents, and what they should say: options of commands, keys of profiles."""

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

DOCS = Path(__file__).resolve().parents[2] / "docs"


def section(doc: Path, heading: str) -> str:
    """The text below that heading, up to the next one of the same or a higher level."""
    lines = doc.read_text(encoding="utf-8").splitlines()
    start = next((i for i, line in enumerate(lines) if re.fullmatch(rf"#+ {re.escape(heading)}", line)), None)
    assert start is not None, f"docs/{doc.name} has no heading {heading!r}"
    level = len(lines[start].split()[0])
    below = lines[start + 1 :]
    end = next((i for i, line in enumerate(below) if re.match(rf"#{{1,{level}}} ", line)), len(below))
    return "\n".join(below[:end])


def rows(text: str, first_column: str) -> list[list[str]]:
    """The rows of every table whose first column is headed so; cells without the blanks around them."""
    found, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            inside = False
        elif cells[0] == first_column:
            inside = True
        elif inside and not set(line) <= set("|-: "):
            found.append(cells)
    return found


def code(text: str) -> str:
    """What stands between backticks."""
    return text.strip("`")


class _Parsed(Exception):
    """The parser of a command is complete."""


def options(run: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The options that a command parses: in their long form, positional arguments in capitals."""

    def parse_args(parser: argparse.ArgumentParser, *_: Any) -> None:
        actions = [a for a in parser._actions if not isinstance(a, argparse._HelpAction)]
        raise _Parsed({a.option_strings[-1] if a.option_strings else a.dest.upper() for a in actions})

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    with pytest.raises(_Parsed) as parsed:
        run()
    return parsed.value.args[0]


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key that may stand in a file, `finger.length`; a list's or a mapping's with [] or .* before its own."""
    for name, info in model.model_fields.items():
        inner, mark = _inner(info.annotation)
        if inner is None:
            yield f"{prefix}{name}"
        else:
            yield from keys(inner, f"{prefix}{name}{mark}.")


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    mark = {tuple: "[]", list: "[]", dict: ".*"}.get(getattr(annotation, "__origin__", None), "")
    for part in get_args(annotation):
        inner, below = _inner(part)
        if inner is not None:
            return inner, mark + below
    return None, ""
