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

import pytest

from tests.benchmarks.test_candles import machine
from workbench.data.quality import check
from workbench.data.sources import synthetic
from workbench.data.store import Store
from workbench.market.timeframes import MINUTE_MS, TIMEFRAMES

COUNT = 1_000_000
START_MS = 1_609_459_200_000  # 2021-01-01
END_MS = START_MS + COUNT * MINUTE_MS
GOAL_S, GOAL_MB = 30, 300
MOST_TIMES_BARE = 2.5
SLACK = 0.2


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


def test_a_million_candles_are_collected_in_seconds_and_little_memory(
    exchange: str, tmp_path: Path
) -> None:
    bare = min(_bare_pages(exchange) for _ in range(2))
    seconds, megabytes, told = _collected(exchange, tmp_path)
    frame = Store(tmp_path).series("local", "BTCUSDT", TIMEFRAMES["1m"]).scan().collect()
    assert (told["rows"], told["gaps"], len(frame)) == (COUNT, 0, COUNT)
    assert check(frame, "1m").errors == ()
    due = synthetic.candles("BTCUSDT", TIMEFRAMES["1m"], START_MS, END_MS)
    prices = ["open_time", "open", "high", "low", "close", "volume"]
    assert frame.select(prices).equals(due.select(prices))
    print(
        f"\ncollect {COUNT:,} candles of 1m by command: {seconds:.1f} s (goal {GOAL_S}), peak "
        f"{megabytes:.0f} MB (goal {GOAL_MB}); the same {COUNT // 1_000:,} pages as bare JSON: "
        f"{bare:.1f} s; ratio {seconds / bare:.2f} ({machine()})"
    )
    assert seconds <= bare * MOST_TIMES_BARE * (1 + SLACK)


def _bare_pages(url: str) -> float:
    """Return the seconds that asking for the pages and parsing their JSON takes, and nothing else."""
    began, count = time.perf_counter(), 0
    for start_ms in range(START_MS, END_MS, 1_000 * MINUTE_MS):
        asked = f"symbol=BTCUSDT&interval=1m&limit=1000&startTime={start_ms}"
        with urllib.request.urlopen(f"{url}/api/v3/klines?{asked}", timeout=30) as answer:
            count += len(json.load(answer))
    assert count == COUNT
    return time.perf_counter() - began


def _collected(url: str, store: Path) -> tuple[float, float, dict[str, object]]:
    """Return the command's wall time from start to end, its peak memory, and what it said."""
    words = ["--symbols=BTCUSDT", "--intervals=1m", f"--since={START_MS}", f"--until={END_MS}"]
    words += [f"--base-url={url}", f"--store={store}", "--json"]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", "from workbench.cli import main; main()", "collect", *words],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    assert process.returncode == 0
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return seconds, used.ru_maxrss / unit, json.loads(said)["series"][0]
