"""Work in slices on a thread pool: every core busy, progress shown, stopped at once.

Compiled code runs without Python's lock but cannot be interrupted, so it is called for about 20 ms at
a time. An exception, Ctrl-C above all, is raised as soon as the calls that run have returned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event

from workbench.backtest.progress import progress_bar

SLICE_SECONDS = 0.02


def run_in_slices(
    run: Callable[[int, int], None], total: int, *, threads: int, progress: bool
) -> None:
    """Call `run(begin, end)` for parts of `total` that take about 20 ms each, as two probes say."""
    run(0, 1)  # compiles on a fresh machine, so that no thread measures a compilation
    began = time.perf_counter()
    probed = min(total, 2)
    run(1, probed)
    size = max(1, int(SLICE_SECONDS / max(1e-6, time.perf_counter() - began)))
    slices = ((b, min(b + size, total)) for b in range(probed, total, size))
    run_spans(run, slices, total, threads=threads, progress=progress, done=probed)


def run_spans(
    run: Callable[[int, int], None],
    spans: Iterator[tuple[int, int]],
    total: int,
    *,
    threads: int,
    progress: bool,
    done: int = 0,
    stopped: Event | None = None,
) -> None:
    """Call `run(begin, end)` for each span, on that many threads; `done` of `total` are behind us.

    A span that takes long looks at `stopped` from time to time, which is set where the others are to
    be given up.
    """
    with (
        ThreadPoolExecutor(threads) as pool,
        progress_bar(total, unit="sets", desc="sweep", shown=progress) as bar,
    ):
        bar.update(done)
        try:
            for begin, end in _as_done(pool, run, spans, ahead=threads * 4):
                bar.update(end - begin)
        except BaseException:
            if stopped is not None:
                stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _as_done(
    pool: ThreadPoolExecutor,
    run: Callable[[int, int], None],
    slices: Iterator[tuple[int, int]],
    *,
    ahead: int,
) -> Iterator[tuple[int, int]]:
    running: dict[Future[None], tuple[int, int]] = {}
    for part in slices:
        running[pool.submit(run, *part)] = part
        if len(running) >= ahead:
            yield from _take_done(running)
    while running:
        yield from _take_done(running)


def _take_done(running: dict[Future[None], tuple[int, int]]) -> Iterator[tuple[int, int]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        future.result()
        yield running.pop(future)
