"""Several series at once: a few threads, results in the order of the series, one failure stops all.

A collection waits for the network most of the time, so threads are enough. What one job has stored
before another failed stays, and the next run goes on from there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

from workbench.errors import UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")
MAX_JOBS = 32


class Stopped(Exception):
    """Another job failed, or the user did not want to wait; this one went no further."""


def run_jobs(
    work: Callable[[Item, threading.Event], Result], items: Sequence[Item], jobs: int
) -> list[Result]:
    """Return what `work` makes of each item, at most `jobs` of them at a time.

    `work` looks at the event now and then and raises Stopped once it is set. Raises the first
    error that a job raised, after all others have stopped; UsageError for a number of jobs below
    1 or above 32.
    """
    if not 1 <= jobs <= MAX_JOBS:
        raise UsageError(f"--jobs {jobs}: must lie between 1 and {MAX_JOBS}; 4 is plenty")
    stop = threading.Event()
    if jobs == 1 or len(items) == 1:
        return [work(item, stop) for item in items]
    with ThreadPoolExecutor(min(jobs, len(items)), thread_name_prefix="collect") as pool:
        running = [pool.submit(work, item, stop) for item in items]
        try:
            wait(running, return_when=FIRST_EXCEPTION)  # or when all are done
        finally:  # Ctrl-C comes here too
            stop.set()
            pool.shutdown(cancel_futures=True)
    failures = [one.exception() for one in running if one.done() and not one.cancelled()]
    for failure in failures:
        if failure is not None and not isinstance(failure, Stopped):
            raise failure
    return [one.result() for one in running]
