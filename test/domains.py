"""ROS domains for tests, also when several test runs share a machine."""

import fcntl
import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_MOST = 101  # ids 1..101 keep Fast DDS's ports below Linux's ephemeral range (DDSI-RTPS 9.6.1)
_next = itertools.count(os.getpid())  # not the one before again: its nodes may still be leaving


@contextmanager
def own_domain() -> Iterator[int]:
    """A ROS_DOMAIN_ID that no other test on this machine has, in the environment for as long as the context lasts."""
    for number in itertools.islice(_next, _MOST):
        domain = number % _MOST + 1
        with (Path(tempfile.gettempdir()) / f"seegrasp-test-domain-{domain}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("ROS_DOMAIN_ID", str(domain))
                patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
                yield domain
            return
    raise RuntimeError(f"all {_MOST} ROS domains are taken by other tests")
