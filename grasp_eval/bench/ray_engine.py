"""The same rounds as Ray tasks, on a cluster or, where none is running, on a one-node cluster of this machine's own.

A task hands its round to a worker process under the same watchdog as on one machine (``scheduler.LocalEngine`` with one
worker, kept between tasks), so that detectors that hang or crash end their round in the same way everywhere. Ray itself
repeats the rounds of nodes that die.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from grasp_core.errors import SeegraspError
from grasp_eval.bench.records import WORKER_DIED, RoundResult
from grasp_eval.bench.scheduler import POLL, EngineError, Job, LocalEngine, Patience, cut_short
from grasp_eval.report import versions

AUTO = "auto"
KNOCK = 5.0  # s
RETRIES = 3  # of a round whose node or Ray worker died


@contextmanager
def cluster(address: str, workers: int) -> Iterator[str]:
    """Connection to Ray; yields what it is connected to, in words.

    Args:
        address: of a cluster, or "auto": the one that runs on this machine or that RAY_ADDRESS names, else a new one.
        workers: CPUs of a new one.

    Raises EngineError when Ray is not installed or there is no cluster at the address.
    """
    if importlib.util.find_spec("ray") is None:
        raise EngineError("--cluster needs Ray: pip install -r requirements-cluster.lock")
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a benchmark reports to nobody
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    asked = os.environ.get("RAY_ADDRESS", address) if address == AUTO else address
    try:
        _knock(asked)
        ray.init(address=asked, **quiet)
        where = f"Ray cluster, address {asked}"
    except (OSError, ValueError, RuntimeError) as error:
        if asked != AUTO:
            raise EngineError(f"no Ray cluster at {asked}: {error}") from error
        ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
        where = f"Ray on this machine alone, {workers} CPUs"
    try:
        yield where
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError where nobody listens at host:port; Ray itself would try for minutes.

    "auto" is the cluster that Ray noted down last on this machine, which may have died since.
    """
    noted = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster"
    if address == AUTO and noted.is_file():
        address = noted.read_text().strip()
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=KNOCK).close()


def cpus() -> int:
    """CPUs of the cluster, at least 1."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))


class RayEngine:
    """Rounds as Ray tasks inside of ``cluster(...)``; used like ``LocalEngine``.

    Args:
        job: what is done; every node must have the same seegrasp, and the files that ``job.config`` names.
        workers: rounds at a time; None: as many as the cluster has CPUs, also when it grows.

    Raises EngineError from ``with`` when the detector cannot be made on the cluster.
    """

    name = "ray"

    def __init__(self, job: Job, workers: int | None = None) -> None:
        import ray

        self._ray = ray
        self._limit = workers
        self._arguments = (job, list(sys.path))
        self._here = _place()
        self._task = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(_task)
        self._under_way: dict[Any, int | None] = {}

    @property
    def workers(self) -> int:
        """Rounds at a time."""
        return self._limit or cpus()

    def __enter__(self) -> RayEngine:
        try:
            self._submit(None)
            while self._under_way:
                for reference in self._ended():
                    self._get(reference)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what is under way; the processes of those tasks are killed."""
        for reference in self._under_way:
            self._ray.cancel(reference, force=True)
        self._under_way.clear()

    def rounds(self, indices: Iterable[int], stop: Callable[[], bool] = lambda: False) -> Iterator[RoundResult]:
        """See ``LocalEngine.rounds``."""
        todo = deque(indices)
        patience = Patience()
        while (todo or self._under_way) and not stop():
            while todo and len(self._under_way) < self.workers:
                self._submit(todo.popleft())
            for reference in self._ended():
                result = self._get(reference)
                yield result
                patience.judge(result)

    def _submit(self, index: int | None) -> None:
        self._under_way[self._task.remote(*self._arguments, index)] = index

    def _ended(self) -> list[Any]:
        return self._ray.wait(list(self._under_way), num_returns=1, timeout=POLL)[0]

    def _get(self, reference: Any) -> RoundResult | None:
        """What a task came to. Raises EngineError when nothing can come of any task."""
        index = self._under_way.pop(reference)
        try:
            place, result, problem = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            text = " ".join(str(error).split())
            if index is None:
                raise EngineError(f"the first task failed on the cluster: {text}") from error
            return cut_short(index, None, WORKER_DIED, f"was lost by Ray {RETRIES + 1} times: {text}")
        check_place(self._here, place)
        if problem:
            raise EngineError(problem)
        return result


def check_place(here: tuple[str, str], there: tuple[str, str]) -> None:
    """Raise EngineError when another (node, commit) has another commit than this one."""
    if here[0] != there[0] and here[1] != there[1]:
        raise EngineError(f"node {there[0]} has seegrasp {there[1]}, this one {here[1]}: bring them to the same commit")


_kept: list[LocalEngine] = []  # at most one: the engine of the last task in this Ray worker


def _task(job: Job, path: list[str], index: int | None) -> tuple[tuple[str, str], RoundResult | None, str]:
    """Do a round, or with None as its number see whether one could be done.

    Returns:
        node and commit of seegrasp here, result, and why there is none.
    """
    sys.path += [entry for entry in path if entry not in sys.path]  # where the driver finds plugins
    try:
        engine = _engine(job)
        return _place(), None if index is None else next(engine.rounds([index])), ""
    except SeegraspError as error:
        _close()
        return _place(), None, str(error)


def _engine(job: Job) -> LocalEngine:
    if not _kept or _kept[0].job != job:
        _close()
        _kept.append(LocalEngine(job, 1).__enter__())
    return _kept[0]


@atexit.register
def _close() -> None:
    while _kept:
        _kept.pop().close()


@lru_cache(maxsize=1)
def _place() -> tuple[str, str]:
    import ray

    return ray.get_runtime_context().get_node_id(), versions()["seegrasp"]
