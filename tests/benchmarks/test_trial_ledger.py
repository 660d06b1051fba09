"""What the trial ledger adds to a sweep of 2,400 sets and to one backtest, and what counting costs."""

from __future__ import annotations

import itertools
from pathlib import Path
from statistics import median

import workbench as wb
from tests.benchmarks.workloads import GRID, SLACK, alternated, machine, seconds, year_of_hours
from workbench.analysis.trials import home_ledger
from workbench.backtest.recording import LEDGER, NOT_TRIALS, Recorder
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.backtest.sweep import sweep_params
from workbench.backtest.verdict import quick as quick_verdict

ROUNDS = 21
SHARE, LEAST_S = 0.2, 0.010  # of a sweep, or this where that is more
QUICK_GOAL_S = 0.1  # printed
MACD = wb.strategies.load("macd")


def test_a_sweep_with_its_entry_against_one_without(workbench_home: Path) -> None:
    candles, grid = year_of_hours(), MACD.grid(GRID)
    cash = itertools.count(10_000)  # another cash makes all of them new trials

    def sweep(trials: Recorder, costs: Costs) -> object:
        return sweep_params(candles, MACD, grid, costs=costs, trials=trials)

    rounds = alternated(
        ROUNDS,
        lambda: sweep(NOT_TRIALS, Costs()),
        lambda: sweep(LEDGER, Costs(cash=next(cash))),
        lambda: sweep(LEDGER, Costs()),
    )
    bare, new, seen = (median(column) for column in zip(*rounds, strict=True))
    added = median(one[1] - one[0] for one in rounds)
    again = median(one[2] - one[0] for one in rounds)
    print(f"\nsweep of 2,400 x 8,760: {bare * 1e3:.1f} ms, with its entry in the ledger {new * 1e3:.1f} ms "
          f"({added * 1e3:+.1f} ms, ratio {new / bare:.2f}), as a re-run {seen * 1e3:.1f} ms "
          f"({again * 1e3:+.1f} ms) ({machine()})")  # fmt: skip
    result = wb.sweep(candles, MACD, progress=False, **GRID)
    quick_verdict.of_sweep(result)
    took = seconds(lambda: quick_verdict.of_sweep(result))
    counting = seconds(lambda: home_ledger().counts("macd"))
    print(f"  its quick verdict {took * 1e3:.0f} ms (goal {QUICK_GOAL_S * 1e3:.0f}), counting "
          f"{home_ledger().counts('macd').n:,} trials {counting * 1e3:.2f} ms")  # fmt: skip
    assert added <= max(SHARE * bare, LEAST_S) * (1 + SLACK)


def test_one_backtest_with_its_entry(workbench_home: Path) -> None:
    candles = year_of_hours()

    def run(trials: Recorder) -> object:
        return backtest(candles, MACD, costs=Costs(), trials=trials, fast=12, slow=26, signal=9)

    rounds = alternated(ROUNDS, lambda: run(NOT_TRIALS), lambda: run(LEDGER))
    bare, kept = (median(column) * 1e3 for column in zip(*rounds, strict=True))
    added = median(one[1] - one[0] for one in rounds)
    print(
        f"\none backtest of 8,760 candles {bare:.2f} ms, with its entry {kept:.2f} ms ({machine()})"
    )
    assert added <= LEAST_S * (1 + SLACK)
