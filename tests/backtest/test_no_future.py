"""No engine knows the future: whatever comes after a candle, all that was booked up to it stays.

Kernel and event engine, with exits, guards, finer candles, levels that the strategy writes, and a grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protected_markets import market, rules, said
from tests.scripted import SCRIPTED
from tests.strategies.test_every_strategy import QUICK
from workbench import strategies
from workbench.backtest.event.driven import event_driven
from workbench.backtest.results import BacktestResult
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.execution.guards import Guards
from workbench.market.candles import Candles

HOURS, FIRST = 60, 12
Engine = Callable[..., BacktestResult]
both = pytest.mark.parametrize("engine", [backtest, event_driven], ids=["kernel", "event"])

guards = st.sampled_from(
    [
        None,
        {"trades_a_day": 1, "cooldown_bars": 3},
        {"daily_loss": 0.01, "drawdown": 0.05},
        {"volatility": 0.5, "volatility_bars": 5},
    ]
)
futures = st.sampled_from(["permuted", "tenfold", "a tenth", "dead", "none"])


def with_another_future(candles: Candles, t: int, kind: str, seed: int) -> Candles:
    """Return the candles with all that comes after `t` replaced; finer ones are known up to there."""
    records = candles.records.copy()
    rest = records[t + 1 :]
    if kind == "permuted":
        order = np.random.default_rng(seed).permutation(len(rest))
        for name in ("open", "high", "low", "close", "volume", "aux"):
            rest[name] = rest[name][order]
    elif kind == "dead":
        rest["volume"] = 0.0
    elif kind == "none":
        records = records[: t + 1]
    else:
        for name in ("open", "high", "low", "close"):
            rest[name] = np.round(rest[name] * (10.0 if kind == "tenfold" else 0.1), 2)
        rest["aux"][:, 1:] = 0.0  # its levels were of another price
    fine = candles.fine
    if fine is not None:
        known = fine.records["open_time"] < candles.timeframe.next(
            int(candles.records["open_time"][t])
        )
        fine = replace(fine, records=fine.records[known])
    return replace(candles, records=records, fine=fine)


def booked(result: BacktestResult, until_ms: int) -> tuple[list[object], ...]:
    """Return all that a result tells of the time up to a candle, that candle included."""
    past = result.equity.filter(result.equity["open_time"].dt.epoch("ms") <= until_ms)
    fills = result.fills.filter(result.fills["time"].dt.epoch("ms") <= until_ms)
    trades = result.trades.filter(result.trades["exit_time"].dt.epoch("ms") <= until_ms)
    columns = ["equity", "cash", "quantity", "target"]
    return past.select(columns).rows(), fills.rows(), trades.rows()


@both
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    t=st.integers(FIRST + 2, HOURS - 3),
    future=futures,
    protection=rules(),
    guarding=guards,
    writes_levels=st.booleans(),
    finer=st.booleans(),
)
def test_what_comes_after_a_candle_changes_nothing_that_was_booked_up_to_it(
    engine: Engine,
    seed: int,
    t: int,
    future: str,
    protection: object,
    guarding: dict[str, float] | None,
    writes_levels: bool,
    finer: bool,
) -> None:
    candles = market(seed, HOURS, writes_levels=writes_levels).candles
    candles = replace(candles, first=FIRST, fine=candles.fine if finer else None)
    costs = Costs(filters="exchange", guards=Guards.of(guarding))
    until_ms = int(candles.records["open_time"][t])
    runs = [
        engine(one, SCRIPTED, costs=costs, exits=said(protection))  # type: ignore[arg-type]
        for one in (candles, with_another_future(candles, t, future, seed))
    ]
    first, second = (booked(one, until_ms) for one in runs)
    assert first == second


@both
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    t=st.integers(5, HOURS - 3),
    future=futures,
    inventory=st.sampled_from([0, 1]),
    stop=st.booleans(),
)
def test_a_grid_books_the_same_whatever_comes_after(
    engine: Engine, seed: int, t: int, future: str, inventory: int, stop: bool
) -> None:
    candles = replace(market(seed, HOURS, writes_levels=False).candles, fine=None)
    grid = strategies.load("grid")
    lines = QUICK["grid"] | {"inventory": inventory}
    exits = "trail=3%" if stop else None
    until_ms = int(candles.records["open_time"][t])
    runs = [
        engine(one, grid, costs=Costs(filters="exchange"), exits=exits, **lines)
        for one in (candles, with_another_future(candles, t, future, seed))
    ]
    first, second = (booked(one, until_ms) for one in runs)
    assert first == second
    assert len(first[0]) == t + 1


@both
def test_a_signal_fills_at_the_next_open_whatever_that_is(engine: Engine) -> None:
    # The order is decided at the close of t: another open of t + 1 changes its price, and nothing before.
    candles = replace(market(7, HOURS, writes_levels=False).candles, fine=None)
    base = engine(candles, SCRIPTED, costs=Costs(filters="exchange", slippage_bps=0.0))
    fill = base.fills.row(0, named=True)
    assert fill["signal_time"] < fill["time"]
    times = candles.records["open_time"]
    at = int(np.searchsorted(times, int(fill["time"].timestamp() * 1000)))
    assert fill["price"] == candles.records["open"][at]
    records = candles.records.copy()
    records["open"][at] = records["high"][at] = np.round(records["high"][at] * 1.5, 2)
    moved = engine(
        replace(candles, records=records),
        SCRIPTED,
        costs=Costs(filters="exchange", slippage_bps=0.0),
    ).fills.row(0, named=True)
    assert (moved["time"], moved["signal_time"]) == (fill["time"], fill["signal_time"])
    assert moved["price"] == records["open"][at]
