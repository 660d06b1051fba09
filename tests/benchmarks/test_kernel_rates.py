"""What a candle and parameter set costs: the event form against the plain kernel, and how it scales."""

from __future__ import annotations

import os
from statistics import median

import pytest

import workbench as wb
from tests.benchmarks.workloads import (
    GRID,
    HOUR_SIGMA,
    SLACK,
    alternated,
    machine,
    walk,
    year_of_hours,
)
from workbench.backtest import sweep
from workbench.backtest.recording import NOT_TRIALS
from workbench.backtest.setting import Costs
from workbench.backtest.sweep import sweep_params
from workbench.market.candles import Candles

ROUNDS = 5
SCALING_GOAL = 1.10


def test_the_event_form_beats_the_plain_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    candles, costs = year_of_hours(), Costs()
    jobs = {}
    for name in ("macd", "ema_cross", "sma_cross"):
        spec = wb.strategies.load(name)
        grid = spec.grid({p.name: GRID[p.name] for p in spec.parameters})
        jobs[name] = (spec, grid)

    def run(name: str, *, event: bool) -> None:
        spec, grid = jobs[name]
        with monkeypatch.context() as patch:
            if not event:
                patch.setattr(sweep, "has_event_form", lambda spec, costs: False)
            sweep_params(candles, spec, grid, costs=costs, trials=NOT_TRIALS)

    for name, (_, grid) in jobs.items():
        rounds = alternated(
            ROUNDS, lambda n=name: run(n, event=True), lambda n=name: run(n, event=False)
        )
        ratio = median(plain / event for event, plain in rounds)
        ours = median(event for event, _ in rounds)
        rate = len(grid) * len(candles) / ours / 1e9
        print(f"\nevent form of {name}: {ours * 1e3:.1f} ms, {rate:.2f} G bar x set a second on "
              f"{os.cpu_count()} cores, {ratio:.1f} times the plain kernel")  # fmt: skip
        assert ratio >= (2.0 if len(grid) >= 1_000 else 1.0)


def test_the_cost_of_a_candle_and_set_does_not_grow() -> None:
    macd, year = wb.strategies.load("macd"), 8_760
    short, long = walk(year), walk(12 * year, seed=2, sigma=HOUR_SIGMA)
    markets = [walk(year, seed=seed) for seed in range(4)]
    whole = macd.grid(GRID)
    tenth = whole[::10]

    def sweep_all(candles: list[Candles], params) -> None:
        for one in candles:
            sweep_params(one, macd, params, trials=NOT_TRIALS)

    rounds = alternated(
        2 * ROUNDS + 1,
        lambda: sweep_all([short], whole),
        lambda: sweep_all([long], whole),
        lambda: sweep_all([short], tenth),
        lambda: sweep_all(markets, whole),
    )
    best = [min(column) for column in zip(*rounds, strict=True)]
    bars, sets, symbols = best[1] / 12 / best[0], best[0] / 10 / best[2], best[3] / 4 / best[0]
    print(f"\ncost a candle and set: 12 times the candles {bars:.2f}, 10 times the sets {sets:.2f}, "
          f"4 times the symbols {symbols:.2f} of what it was ({machine()})")  # fmt: skip
    for ratio in (bars, sets, symbols):
        assert ratio <= SCALING_GOAL * (1 + SLACK)
