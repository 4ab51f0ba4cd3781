"""Shared fixtures."""

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine must not fail a property: no deadlines; the same examples every time.
settings.register_profile("seegrasp", deadline=None, derandomize=True)
settings.load_profile("seegrasp")

# Ids 1..101 keep Fast DDS's ports below Linux's ephemeral range (DDSI-RTPS 9.6.1).
_domains = itertools.count(20 + os.getpid() % 70)
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """A ROS_DOMAIN_ID of this test's own, so that nodes of other tests and other robots stay out."""
    domain = next(_domains) % 101 + 1
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    return domain


@pytest.fixture
def real_data() -> Path:
    """Folder with real captures and bags; the test is skipped where there is none."""
    folder = Path(os.environ.get("SEEGRASP_DATA", DATA))
    if not folder.is_dir():
        pytest.skip(f"no real captures at {folder} (set SEEGRASP_DATA)")
    return folder
