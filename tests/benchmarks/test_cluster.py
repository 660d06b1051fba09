"""A Dask cluster of the machine's own cores against the thread pool: what the way there and back costs."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from distributed import Client, LocalCluster
from polars.testing import assert_frame_equal

from tests.candle_builders import martingale
from workbench.backtest.setting import Costs
from workbench.backtest.streaming import sweep_on
from workbench.backtest.sweep import sweep_params
from workbench.strategies import load

MINUTES = 525_600
LEAST_STEPS = 10_000_000_000  # candles x combinations, below which the goal says nothing
LEAST_SECONDS = (
    20.0  # of a job, so that the start of a batch does not count for more than it should
)
ROUNDS = 3
SLACK = 0.2
GOAL = 0.10  # of the time in process, at most
MACD = load("macd")


@pytest.fixture(scope="module")
def client(workbench_home: Path) -> Iterator[Client]:
    """Return the client of one worker process of one thread for every core."""
    with (
        LocalCluster(
            n_workers=os.cpu_count(), threads_per_worker=1, processes=True, host="127.0.0.1",
            dashboard_address="127.0.0.1:0", memory_limit=0, silence_logs="CRITICAL",
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        yield client


def combinations(count: int) -> np.ndarray:
    """Return the first so many of a grid, as a sweep would have them, all valid."""
    axes = {"fast": range(2, 52), "slow": range(60, 260), "signal": range(3, 53)}
    return MACD.grid(axes)[:count]


def test_a_cluster_of_our_own_cores_costs_a_tenth_at_most(client: Client) -> None:
    candles, costs = martingale(MINUTES, 3, interval="1m", sigma=0.001, substeps=2), Costs()
    sweep_on(client, candles, MACD, combinations(64), costs=costs)  # compiles everywhere
    probe = sweep_params(candles, MACD, combinations(4_000), costs=costs)
    enough = max(LEAST_STEPS / MINUTES, LEAST_SECONDS * probe.rows_per_second())
    params = combinations(int(enough) + 1)
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        here = sweep_params(candles, MACD, params, costs=costs)
        between = time.perf_counter()
        there = sweep_on(client, candles, MACD, params, costs=costs)
        rounds.append((between - began, time.perf_counter() - between))
    assert_frame_equal(there.frame, here.frame, check_exact=True)
    home, away = (median(column) for column in zip(*rounds, strict=True))
    overhead = median(b / a - 1.0 for a, b in rounds)
    steps = len(params) * MINUTES / 1e9
    print(
        f"\n{len(params):,} combinations x {MINUTES:,} candles = {steps:.1f} G steps: in process "
        f"{home:.1f} s ({steps / home:.2f} G/s), on a Dask cluster of the same {os.cpu_count()} cores "
        f"{away:.1f} s: {overhead:+.1%} ({platform.machine()})"
    )
    assert overhead <= GOAL * (1 + SLACK)
