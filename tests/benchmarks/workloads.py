"""What is measured, and how: candles made from a seed, one grid, work that takes turns."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import llvmlite.binding
import numpy as np

from workbench.market.candles import Candles, records_from_columns
from workbench.market.timeframes import parse_timeframe

START_MS = 1_672_531_200_000  # 2023-01-01
HOUR_SIGMA = 0.006
GRID: dict[str, range] = {
    "fast": range(2, 21, 2), "slow": range(22, 80, 3), "signal": range(3, 15),
}  # fmt: skip
SLACK = 0.2


def walk(count: int, *, seed: int = 1, interval: str = "1h", sigma: float = HOUR_SIGMA) -> Candles:
    """Return a random walk around 30,000 whose candles open at the close before."""
    chance, timeframe = np.random.default_rng(seed), parse_timeframe(interval)
    closes = 30_000.0 * np.exp(np.cumsum(chance.normal(0.0, sigma, count)))
    opens = np.concatenate([[30_000.0], closes[:-1]])
    over, under = (1.0 + np.abs(chance.normal(0.0, sigma / 2, count)) for _ in range(2))
    high, low = np.maximum(opens, closes) * over, np.minimum(opens, closes) / under
    times = START_MS + np.arange(count) * timeframe.mean_ms
    volumes = chance.lognormal(3.0, 1.0, count)
    records = records_from_columns(times, opens, high, low, closes, volumes, timeframe)
    return Candles("TESTUSDT", timeframe, records)


def year_of_hours() -> Candles:
    """Return workload A: 8,760 hours."""
    return walk(8_760)


def year_of_minutes() -> Candles:
    """Return workload C: 525,600 minutes."""
    return walk(525_600, seed=3, interval="1m", sigma=HOUR_SIGMA / 60**0.5)


def seconds(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def alternated(rounds: int, *work: Callable[[], object]) -> list[list[float]]:
    """Return the seconds of each piece of work in rounds that take turns, after one to warm up."""
    for one in work:
        one()
    return [[seconds(one) for one in work] for _ in range(rounds)]


def peak_mb() -> float:
    """Return the most memory that this process has held; getrusage counts the parent's before exec."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def machine() -> str:
    """Return what the figures were measured on."""
    return f"{llvmlite.binding.get_host_cpu_name()}, {os.cpu_count()} cores, {platform.machine()}"
