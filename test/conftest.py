"""Shared fixtures."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from test.domains import own_domain

# A busy machine must not fail a property: no deadlines; the same examples every time.
settings.register_profile("seegrasp", deadline=None, derandomize=True)
settings.load_profile("seegrasp")

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def ros_domain() -> Iterator[int]:
    """A ROS_DOMAIN_ID of this test's own, so that nodes of other tests and other robots stay out."""
    with own_domain() as domain:
        yield domain


@pytest.fixture
def real_data() -> Path:
    """Folder with real captures and bags; the test is skipped where there is none."""
    folder = Path(os.environ.get("SEEGRASP_DATA", DATA))
    if not folder.is_dir():
        pytest.skip(f"no real captures at {folder} (set SEEGRASP_DATA)")
    return folder
