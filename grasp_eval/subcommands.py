"""Commands below a command, `seegrasp bench clutter`: found by name, imported only when they are called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence

Commands = Mapping[str, tuple[str, str]]  # name -> (module:function, what it is for)


def usage(name: str, commands: Commands) -> str:
    """The text of `<name> --help`."""
    width = max(map(len, commands))
    lines = [f"  {command:{width}}  {text}" for command, (_, text) in commands.items()]
    return "\n".join([f"usage: {name} <command> [options]", "", *lines, "", f"{name} <command> --help says more."])


def dispatch(name: str, commands: Commands, argv: Sequence[str]) -> int:
    """Run the command that ``argv`` begins with; returns its exit code. 2: no such command."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage(name, commands))
        return 0 if argv else 2
    command, *rest = argv
    if command not in commands:
        print(f"{name}: no command {command!r}; there are {', '.join(commands)}", file=sys.stderr)
        return 2
    module, function = commands[command][0].split(":")
    try:
        run = getattr(importlib.import_module(module), function)
    except ImportError as error:
        print(f"{name} {command}: cannot import it: {error}; `seegrasp doctor` says more", file=sys.stderr)
        return 1
    return run(rest)
