"""A small recorded market of its own for studies and the command line, and the command itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from tests.candle_builders import martingale
from workbench.market.candles import Candles
from workbench.market.timeframes import parse_timeframe

SYMBOLS = ("AAAUSDT", "BBBUSDT")
HOURS = {"1h": 2_400, "4h": 600}
COMMAND = Path(sys.executable).with_name("workbench")


def record_market(folder: Path) -> Path:
    """Write two symbols of martingales in two intervals, as the candle store's columns, to a folder."""
    folder.mkdir(exist_ok=True)
    for interval, count in HOURS.items():
        frames = []
        for seed, symbol in enumerate(SYMBOLS):
            walk = martingale(count, 100 * count + seed, interval=interval, substeps=10)
            frames.append(Candles(symbol, parse_timeframe(interval), walk.records).frame())
        pl.concat(frames).write_parquet(folder / f"klines_{interval}.parquet")
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Return an environment whose candles are those of the folder."""
    return {**os.environ, "WORKBENCH_DATA": str(folder), "COLUMNS": "200"}


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `workbench ARGUMENTS` on the folder's candles."""
    return subprocess.run(
        [COMMAND, *arguments],
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def begin(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `workbench ARGUMENTS` and leave it running."""
    return subprocess.Popen(
        [COMMAND, *arguments],
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str], *, seconds: float) -> None:
    """Wait until something is so; fail where the process ends, or the time is up, before it is."""
    until = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "it never came about"
        time.sleep(0.01)
