"""A Rizon for tests: the stand-in for its RDK, and what is to happen to it."""

import json
from pathlib import Path

import pytest

FAKE = Path(__file__).parent / "flexiv_fake"


class FakeRizon:
    """Sessions that are started from now on find the stand-in; what is `set` reaches those that run."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, **wishes: object) -> None:
        self.path = folder / "rizon.json"
        self.path.write_text(json.dumps(wishes))
        patch.setenv("FLEXIV_FAKE", str(self.path))
        patch.setenv("PYTHONPATH", str(FAKE), prepend=":")
        patch.syspath_prepend(str(FAKE))

    def set(self, **wishes: object) -> None:
        """Make something happen."""
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps({**json.loads(self.path.read_text()), **wishes}))
        temporary.replace(self.path)

    def said(self) -> list[str]:
        """What was called."""
        log = self.path.with_suffix(".log")
        return log.read_text().splitlines() if log.exists() else []
