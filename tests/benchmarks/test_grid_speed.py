"""Grids of 32 and 64 rungs against the bare MACD loop of the same run, one core, all result columns."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pytest

import workbench as wb
from tests.benchmarks.plain_macd import plain_macd
from tests.candle_builders import martingale
from tests.conftest import shared_path
from workbench.backtest.kernels import kernel
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.backtest.sweep import run_of, warm_starts
from workbench.execution.exits import exits_of
from workbench.market.candles import Candles
from workbench.strategies.spec import Spec

ROUNDS = 21
SLACK = 0.2
MUST_32 = 0.6  # of the bare loop's candles a second
BOUNDS = [(0.5, 2.0), (0.6, 1.6), (0.4, 1.9), (0.7, 1.5)]


@pytest.fixture(scope="module")
def year() -> Candles:
    """A year of recorded hours."""
    shared_path("data/klines_1h.parquet")
    return wb.load("BTCUSDT", "1h", start="2024-06-01", end="2025-06-01")


def work(candles: Candles, spec: Spec, params: np.ndarray) -> tuple[Callable[[], object], int]:
    """Return one core's work over some parameter sets, and how many candles it is."""
    costs, count = Costs(), len(params)
    exits = np.repeat(exits_of(None), count)
    warm = warm_starts(candles, spec, params)
    run = run_of(candles, params, warm=warm, exits=exits, costs=costs, rules=None)
    compiled = kernel(spec)
    return (lambda: compiled.run(run, 0, count)), count * len(candles)


def bare_macd(candles: Candles) -> tuple[Callable[[], object], int]:
    """Return the yardstick's work over four parameter sets, and how many candles it is."""
    sets = np.array([(5, 26, 9), (5, 50, 9), (12, 26, 9), (12, 50, 9)])
    opens, closes = (np.ascontiguousarray(candles.window[name]) for name in ("open", "close"))
    out = np.zeros((len(sets), 5))
    return lambda: plain_macd(opens, closes, sets, 0.001, 0.0001, out), len(sets) * len(candles)


def grids(lines: int, **more: float) -> np.ndarray:
    return np.concatenate(
        [wb.strategies.grid.grid({"low": a, "high": b, "lines": lines, **more}) for a, b in BOUNDS]
    )


def test_a_grid_of_32_rungs_keeps_up_with_the_bare_macd_loop(year: Candles) -> None:
    grid = wb.strategies.grid
    nothing_near = np.repeat(grid.grid({"low": 0.1, "high": 0.2, "lines": 65}), 4)
    pieces = {
        "bare MACD": bare_macd(year),
        "grid of 32 rungs": work(year, grid, grids(33)),
        "the same with stop and take-profit": work(
            year, grid, grids(33, stop=0.3, take_profit=2.5)
        ),
        "grid of 64 rungs": work(year, grid, grids(65)),
        "64 rungs, none reached": work(year, grid, nothing_near),
    }
    rates = alternated(pieces)
    fills = [
        backtest(year, grid, costs=Costs(), low=a, high=b, lines=33).fills.height for a, b in BOUNDS
    ]
    print(f"\n{platform.machine()}, {os.cpu_count()} cores; fills of 32 rungs: {fills}")
    for name, found in rates.items():
        ratio = median(one / base for one, base in zip(found, rates["bare MACD"], strict=True))
        print(
            f"{name}: {median(found) / 1e9:.3f} G candles x sets a second and core, {ratio:.2f} x"
        )
        if "32" in name or "stop" in name:
            assert ratio >= MUST_32 * (1 - SLACK), name


def test_a_rung_costs_nothing_while_it_only_rests() -> None:
    candles, grid = martingale(8_760, 1, sigma=0.0001), wb.strategies.grid
    sets = {n: np.repeat(grid.grid({"low": 0.1, "high": 0.2, "lines": n}), 4) for n in (3, 65)}
    rates = alternated({f"{n - 1} rungs": work(candles, grid, one) for n, one in sets.items()})
    few, many = rates["2 rungs"], rates["64 rungs"]
    ratio = median(b / a for a, b in zip(few, many, strict=True))
    print(f"\n64 resting rungs run at {ratio:.2f} of the speed of 2")
    assert ratio >= 0.9 * (1 - SLACK)


def alternated(pieces: dict[str, tuple[Callable[[], object], int]]) -> dict[str, list[float]]:
    """Return candles x sets a second of processor time, in rounds that take turns."""
    rates: dict[str, list[float]] = {name: [] for name in pieces}
    for one, _ in pieces.values():
        one()
    for _ in range(ROUNDS):
        for name, (one, size) in pieces.items():
            began = time.process_time()
            one()
            rates[name].append(size / (time.process_time() - began))
    return rates
