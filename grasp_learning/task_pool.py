"""Many tasks that do not depend on each other, in several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from grasp_core.errors import SeegraspError

QUEUED = 2  # tasks handed out per worker: enough that none waits

Task = TypeVar("Task")
Done = TypeVar("Done")


def run_all(run: Callable[[Task], Done], tasks: Sequence[Task], workers: int) -> Iterator[Done]:
    """What ``run`` makes of each task, in the order in which they end.

    Raises the first error of any of them, and SeegraspError when a worker dies; what is not begun by then is not begun.
    """
    if workers == 1:
        yield from map(run, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        todo = iter(tasks)
        pending = {pool.submit(run, task) for task in islice(todo, QUEUED * workers)}
        try:
            while pending:
                ended, pending = wait(pending, return_when=FIRST_COMPLETED)
                pending |= {pool.submit(run, task) for task in islice(todo, len(ended))}
                for future in ended:
                    yield future.result()
        except BrokenProcessPool as error:
            raise SeegraspError(f"a worker process died (out of memory?): {error}; try fewer --workers") from error
        finally:
            pool.shutdown(cancel_futures=True)
