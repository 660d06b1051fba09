"""A collection in a process of its own, that can be killed at any instant.

The processes are forked from a server that has imported everything and computed nothing, so that
each costs milliseconds and none inherits a running thread.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import polars as pl

from tests.data.conftest import JANUARY_2024_MS, candle_frame
from workbench.data import collect as collecting
from workbench.data.store import Store
from workbench.market.timeframes import DAY_MS, Timeframe

INTERVALS = ("15m", "1h")  # a file a month, and one file
START_MS = JANUARY_2024_MS + 29 * DAY_MS
END_MS = START_MS + 5 * DAY_MS
_PAGE = 48


@dataclass(frozen=True, slots=True)
class Pages:
    """Small pages of healthy candles with a hole, as a source."""

    venue: str = "test"
    description: str = "a test"

    def fetch(
        self, symbol: str, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> Iterator[pl.DataFrame]:
        """Yield the candles that open in [start, end), a page at a time."""
        count = (END_MS - START_MS) // timeframe.mean_ms
        frame = candle_frame(count, timeframe.name, symbol=symbol, start_ms=START_MS)
        time = pl.col("open_time").dt.epoch("ms")
        holed = pl.concat([frame.head(20), frame.slice(23)])
        asked = holed.filter(time >= start_ms, time < end_ms)
        yield from asked.iter_slices(_PAGE)


def collect_all(folder: Path) -> None:
    """Collect both intervals into a store, a page a time."""
    assert hasattr(collecting, "_BATCH_ROWS")
    collecting._BATCH_ROWS = _PAGE
    collecting.collect(
        Pages(),
        Store(folder),
        symbols=["BTCUSDT"],
        intervals=INTERVALS,
        since_ms=START_MS - DAY_MS,
        until_ms=END_MS + DAY_MS,
        clock_ms=lambda: JANUARY_2024_MS,
        progress=False,
    )


def start(folder: Path, *, dies_at_step: int | None = None) -> tuple[BaseProcess, Connection]:
    """Start a collection; it says when it begins, and how many steps it took when it ends."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(folder, theirs, dies_at_step), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _run(folder: Path, told: Connection, dies_at_step: int | None) -> None:
    list(Pages().fetch("BTCUSDT", Timeframe("15m", 900_000), START_MS, END_MS))  # polars is awake
    steps = _count_steps(folder, dies_at_step)
    told.send("begins")
    collect_all(folder)
    told.send(steps())


def _count_steps(folder: Path, dies_at: int | None) -> Callable[[], int]:
    """Count what is done to files of the folder, and die of SIGKILL just before one of them."""
    count, place = 0, str(folder)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and place in str(arguments[0]):
            count += 1
            if count == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    return lambda: count
