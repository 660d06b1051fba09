"""A walk-forward costs what its sweeps cost: choosing, judging and joining hardly count."""

from __future__ import annotations

from statistics import median

import workbench as wb
from tests.benchmarks.workloads import GRID, SLACK, alternated, machine, year_of_hours

ROUNDS = 15
GOAL = 1.25  # times the sweeps of its train windows, at most
PLATEAU_GOAL = 2.0


def test_a_walk_forward_against_the_sweeps_that_it_is_made_of() -> None:
    candles, macd = year_of_hours(), wb.strategies.macd
    folds = [run.fold for run in wb.walk_forward(candles, macd, progress=False, **GRID).runs]

    def sweeps() -> None:
        for fold in folds:
            wb.sweep(fold.train(candles), macd, progress=False, **GRID)

    rounds = alternated(
        ROUNDS,
        lambda: wb.walk_forward(candles, macd, progress=False, **GRID),
        sweeps,
        lambda: wb.walk_forward(candles, macd, choose="plateau", progress=False, **GRID),
    )
    own, bare, plateau = (median(column) * 1e3 for column in zip(*rounds, strict=True))
    peak = median(walk / alone for walk, alone, _ in rounds)
    around = median(walk / alone for _, alone, walk in rounds)
    print(f"\n5 folds of 2,400 sets over a year of hours {own:.0f} ms, by plateau {plateau:.0f} ms; their sweeps "
          f"alone {bare:.0f} ms: ratios {peak:.2f} and {around:.2f} ({machine()})")  # fmt: skip
    assert peak <= GOAL * (1 + SLACK)
    assert around <= PLATEAU_GOAL * (1 + SLACK)
