"""Arrays with a note of what they are, in one .npz, as labels and scenes are kept."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from grasp_core.errors import InputError

ABOUT = "about"  # JSON: format, digest and more


def read_archive(
    path: Path, names: Iterable[str], form: str, what: str, again: str, error: type[InputError]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The note and the arrays of a file, all of it, so that a broken one is found now.

    Args:
        path: the file.
        names: of the arrays.
        form: the format that its note must name.
        what: it should be a whole file of. again: what to do when it is not.
        error: raised then.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file[ABOUT]))
            arrays = {name: file[name] for name in names}
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    except (ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as problem:
        text = " ".join(str(problem).split())
        raise error(f"{path}: not a whole file of {what} ({text}); {again}") from problem
    if not isinstance(about, dict) or about.get("format") != form:
        raise error(f"{path}: not of the format {form!r}; {again}")
    return about, arrays
