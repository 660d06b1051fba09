"""What exits cost in the event form: against the plain kernel with the same, a bare loop, and none."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest

import workbench as wb
from tests.benchmarks.plain_macd import plain_macd
from tests.benchmarks.workloads import GRID, SLACK, alternated, machine, year_of_hours
from workbench.backtest import sweep
from workbench.backtest.exits import joined
from workbench.backtest.recording import NOT_TRIALS
from workbench.backtest.setting import Costs
from workbench.backtest.sweep import sweep_params
from workbench.execution.exits import all_exits
from workbench.market.candles import Candles

MACD = wb.strategies.load("macd")
ROUNDS = 5
EXITS = {
    "stop and target": "stop=3%,take_profit=6%",
    "in average true ranges": "stop=2atr,take_profit=4atr",
    "trailing stop": "trail=3%",
    "time stop": "time_stop=48",
    "all of them": "stop=3%,take_profit=6%,trail=4%,time_stop=48",
}
PLAIN_GOAL = 3.5  # times the plain kernel's speed
BARE_GOAL = 2.0  # times the bare loop's, which has no exits
NONE_GOAL = 2.3  # at most so many times the event form without exits
AXES_GOAL = 1.25  # at most so many times as much a set where exits are axes as where all share one


def once(candles: Candles, params: np.ndarray, *, event: bool = True) -> None:
    """Sweep on one core."""
    with pytest.MonkeyPatch.context() as patch:
        if not event:
            patch.setattr(sweep, "has_event_form", lambda spec, costs: False)
        sweep_params(
            candles, MACD, params, costs=Costs(), threads=1, data_sha256="", trials=NOT_TRIALS
        )


@pytest.mark.parametrize("name", EXITS)
def test_a_sweep_with_exits(name: str) -> None:
    candles, grid = year_of_hours(), MACD.grid(GRID)
    protected = joined(grid, all_exits(EXITS[name]))
    sets = np.column_stack([grid[one] for one in ("fast", "slow", "signal")])
    opens, closes = (np.ascontiguousarray(candles.records[one]) for one in ("open", "close"))
    out = np.zeros((len(sets), 5))
    rounds = alternated(
        ROUNDS,
        lambda: once(candles, protected),
        lambda: once(candles, protected, event=False),
        lambda: plain_macd(opens, closes, sets, 0.001, 0.0001, out),
        lambda: once(candles, grid),
    )
    plain, bare, none = (median(row[i] / row[0] for row in rounds) for i in (1, 2, 3))
    ours = median(row[0] for row in rounds)
    print(
        f"\n2,400 MACD sets x 8,760 with {name}, one core: {ours * 1e3:.1f} ms, {plain:.1f} times the "
        f"plain kernel with the same, {bare:.1f} times a bare loop without, {1 / none:.2f} times the "
        f"time of the event form without ({machine()})"
    )
    assert plain >= PLAIN_GOAL * (1 - SLACK)
    assert bare >= BARE_GOAL * (1 - SLACK)
    assert 1 / none <= NONE_GOAL * (1 + SLACK)


def test_exits_as_axes_cost_no_more_a_set_than_exits_that_all_share() -> None:
    candles, grid = year_of_hours(), MACD.grid(GRID)
    shared = joined(grid, all_exits("stop=3%,take_profit=6%"))
    axes = joined(grid[::64], all_exits("stop=1%:4%:0.4%,take_profit=2%:9%:1%"))
    rounds = alternated(ROUNDS, lambda: once(candles, shared), lambda: once(candles, axes))
    ratio = median(b / len(axes) / (a / len(shared)) for a, b in rounds)
    print(f"\n{len(axes):,} sets of 64 exits: {ratio:.2f} of the time a set where exits are shared")
    assert ratio <= AXES_GOAL * (1 + SLACK)
