"""A million candles from the local exchange into the store, beside the bare pages of the same run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.benchmarks.test_candles import machine
from workbench.data.quality import check
from workbench.data.sources import synthetic
from workbench.data.store import Store
from workbench.market.timeframes import MINUTE_MS, TIMEFRAMES

COUNT = 1_000_000
START_MS = 1_609_459_200_000  # 2021-01-01
MIDDLE_MS, END_MS = START_MS + COUNT // 2 * MINUTE_MS, START_MS + COUNT * MINUTE_MS
GOAL_S, GOAL_MB = 30, 300
MOST_TIMES_BARE = 2.5  # wall time of the collection over that of asking for the bare pages
SLACK = 0.2
# ru_maxrss would count the parent's memory up to the exec, so the process reads its own mark.
COMMAND = """
import sys
from workbench.cli import main
try:
    main()
finally:
    marks = open("/proc/self/status").read().split()
    print(marks[marks.index("VmHWM:") + 1], file=sys.stderr)
"""


class Seconds(NamedTuple):
    """How long something took, and how long a processor worked on it (both, where there are two)."""

    wall: float
    cpu: float


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An exchange of its own process that has played a million minutes."""
    folder = tmp_path_factory.mktemp("million")
    frame = synthetic.candles("BTCUSDT", TIMEFRAMES["1m"], START_MS, END_MS + 60 * MINUTE_MS)
    frame.write_parquet(folder / "klines_1m.parquet")
    words = ["--data", str(folder), "--start", str(END_MS + MINUTE_MS), "--pace", "step", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from bridge.cli import main; main()", "exchange", *words],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    yield str(json.loads(process.stdout.readline())["rest"])
    process.terminate()
    process.wait(30)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from Linux' /proc")
def test_a_million_candles_are_collected_in_seconds_and_little_memory(
    exchange: str, tmp_path: Path
) -> None:
    # half before and half after: all pages twice would use up the exchange's weight of a minute
    halves = [_bare_pages(exchange, START_MS, MIDDLE_MS)]
    used, megabytes, told = _collected(exchange, tmp_path)
    halves.append(_bare_pages(exchange, MIDDLE_MS, END_MS))
    bare = sum(halves)
    frame = Store(tmp_path).series("local", "BTCUSDT", TIMEFRAMES["1m"]).scan().collect()
    assert (told["rows"], told["gaps"], len(frame)) == (COUNT, 0, COUNT)
    assert check(frame, "1m").errors == ()
    due = synthetic.candles("BTCUSDT", TIMEFRAMES["1m"], START_MS, END_MS)
    prices = ["open_time", "open", "high", "low", "close", "volume"]
    assert frame.select(prices).equals(due.select(prices))
    print(
        f"\ncollect {COUNT:,} candles of 1m by command: {used.wall:.1f} s (goal {GOAL_S}), "
        f"{used.cpu:.1f} s of processor, peak {megabytes:.0f} MB (goal {GOAL_MB}); the same "
        f"{COUNT // 1_000:,} pages as bare JSON: {bare:.1f} s; ratio {used.wall / bare:.2f} "
        f"({machine()})"
    )
    assert used.wall <= bare * MOST_TIMES_BARE * (1 + SLACK)


def _bare_pages(url: str, start_ms: int, end_ms: int) -> float:
    """Return the seconds that asking for pages and parsing their JSON takes, and nothing else."""
    began, count = time.perf_counter(), 0
    for at_ms in range(start_ms, end_ms, 1_000 * MINUTE_MS):
        asked = f"symbol=BTCUSDT&interval=1m&limit=1000&startTime={at_ms}"
        with urllib.request.urlopen(f"{url}/api/v3/klines?{asked}", timeout=30) as answer:
            count += len(json.load(answer))
    assert count == (end_ms - start_ms) // MINUTE_MS
    return time.perf_counter() - began


def _collected(url: str, store: Path) -> tuple[Seconds, float, dict[str, object]]:
    """Return the command's time from start to end, its peak memory in MB, and what it said."""
    words = ["--symbols=BTCUSDT", "--intervals=1m", f"--since={START_MS}", f"--until={END_MS}"]
    words += [f"--base-url={url}", f"--store={store}", "--json"]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "collect", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    said, told = process.stdout.read(), process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = Seconds(time.perf_counter() - began, used.ru_utime + used.ru_stime)
    assert process.returncode == 0
    return seconds, int(told.split()[-1]) / 1_024, json.loads(said)["series"][0]
