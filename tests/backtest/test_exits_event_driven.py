"""Exits and guards as orders on the matching engine: the same fills and equity as the compiled loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.candle_builders import candles_of_bars, martingale, to_cents
from tests.naive_exits import Rules
from tests.protected_markets import market, rules, said
from tests.scripted import SCRIPTED, scripted
from workbench.backtest.event.driven import event_driven
from workbench.backtest.event.market_model import MarketModel
from workbench.backtest.results import BacktestResult
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.errors import UsageError
from workbench.execution.guards import Guards
from workbench.strategies import load, names

SAME = [
    "time", "signal_time", "side", "ticks", "lots", "price", "quantity", "fee", "reason",
]  # fmt: skip
SEEDS = st.integers(0, 1_000_000)
GUARDS = st.builds(
    Guards,
    trades_a_day=st.integers(0, 3),
    daily_loss=st.sampled_from([0.0, 0.005, 0.01]),
    drawdown=st.sampled_from([0.0, 0.02, 0.05]),
    cooldown_bars=st.integers(0, 12),
    loss_streak=st.integers(0, 3),
    streak_pause_bars=st.sampled_from([0, 6, 24]),
    volatility=st.sampled_from([0.0, 0.4, 1.2]),
    volatility_bars=st.integers(2, 8),
)


def _equal(fast: BacktestResult, slow: BacktestResult) -> None:
    assert fast.fills.select(SAME).rows() == slow.fills.select(SAME).rows()
    a, b = (run.equity["equity"].to_numpy() for run in (fast, slow))
    assert np.max(np.abs(a / b - 1.0)) <= 1e-9
    assert (fast.ambiguous, fast.guarded) == (slow.ambiguous, slow.guarded)
    for name, value in fast.metrics.items():
        expected = None if value is None else pytest.approx(value, rel=1e-9)
        assert slow.metrics[name] == expected, name
    assert fast.trades["exit_reason"].to_list() == slow.trades["exit_reason"].to_list()
    assert (fast.data_sha256, fast.pending) == (slow.data_sha256, slow.pending)


ANY_MARKET = {
    "seed": SEEDS,
    "exits": rules(),
    "guards": GUARDS,
    "finer": st.booleans(),
    "writes_levels": st.booleans(),
    "cash": st.sampled_from([10_000.0, 10_000.0, 7.0]),
}


# An exit that is refused was counted as ambiguous by the event engine.
REFUSED_WHILE_UNCLEAR = {
    "seed": 628,
    "exits": Rules((0.25, "offset"), (0.25, "offset"), None, 1, None),
    "guards": Guards(loss_streak=1, streak_pause_bars=6, volatility=1.2, volatility_bars=2),
    "finer": False,
    "writes_levels": True,
    "cash": 7.0,
}


@settings(max_examples=60, deadline=None)
@given(**ANY_MARKET)
@example(**REFUSED_WHILE_UNCLEAR)
def test_orders_on_the_engine_equal_the_kernel(
    seed: int, exits: Rules, guards: Guards, finer: bool, writes_levels: bool, cash: float
) -> None:
    _orders_equal_the_kernel(seed, exits, guards, finer, writes_levels, cash)


@pytest.mark.proof
@settings(max_examples=1_500, deadline=None)
@given(**ANY_MARKET)
def test_orders_on_the_engine_equal_the_kernel_on_many_markets(
    seed: int, exits: Rules, guards: Guards, finer: bool, writes_levels: bool, cash: float
) -> None:
    _orders_equal_the_kernel(seed, exits, guards, finer, writes_levels, cash)


def _orders_equal_the_kernel(
    seed: int, exits: Rules, guards: Guards, finer: bool, writes_levels: bool, cash: float
) -> None:
    candles = market(seed, 150, writes_levels=writes_levels).candles
    candles.records["aux"][:8, 0] = np.nan  # no entry before every average true range has a value
    candles = candles if finer else replace(candles, fine=None)
    costs = Costs(filters="exchange", guards=guards, cash=cash)
    fast = backtest(candles, SCRIPTED, costs=costs, exits=said(exits))
    slow = event_driven(candles, SCRIPTED, costs=costs, exits=said(exits))
    _equal(fast, slow)


@pytest.mark.parametrize("written_at", [1, 2, 4, 5])
def test_a_trail_that_is_first_written_late_hangs_on_the_highest_high_since_entry(
    written_at: int,
) -> None:
    """Bought at 100 in candle 1, the high of 120 is made in candle 2, before any level is written."""
    bars = [
        (100.0, 130.0, 100.0, 100.0),  # the signal's own high is none of the position's
        (100.0, 101.0, 100.0, 101.0),
        (101.0, 120.0, 101.0, 118.0),
        (118.0, 118.0, 111.0, 112.0),
        (112.0, 113.0, 111.0, 112.0),
        (112.0, 112.0, 109.0, 110.0),
        (110.0, 110.0, 100.0, 101.0),
    ]
    candles = scripted(candles_of_bars(bars, symbol="BTCUSDT"), [1.0, *[None] * 6])
    candles.records["aux"][written_at:, 3] = 12.0
    costs = Costs(fee_bps=0, slippage_bps=0, cash=1_000.0, filters="exchange")
    runs = [engine(candles, SCRIPTED, costs=costs) for engine in (backtest, event_driven)]
    for run in runs:  # 120 - 12, from the close at which it is written on, sells in the next candle
        sold = run.fills.filter(side="SELL").row(0, named=True)
        assert (sold["price"], sold["reason"]) == (108.0, "trail"), run.engine
        assert sold["time"] == run.candles.frame()["open_time"][6]
    _equal(*runs)


OTHERS = sorted(set(names()) - {"macd", "dca", "grid"})


@pytest.mark.parametrize(
    "name", ["macd", "dca", *(pytest.param(one, marks=pytest.mark.proof) for one in OTHERS)]
)
def test_every_kind_of_strategy_takes_exits_in_both_engines(name: str) -> None:
    candles = replace(to_cents(martingale(900, 17)), first=200)
    exits = "stop=2%,take_profit=3atr,trail=1.5%,time_stop=40"
    costs = Costs(filters="exchange", guards=Guards(trades_a_day=4, cooldown_bars=3))
    fast = backtest(candles, load(name), costs=costs, exits=exits)
    slow = event_driven(candles, load(name), costs=costs, exits=exits)
    _equal(fast, slow)
    assert set(fast.trades["exit_reason"].drop_nulls()) & {"trail", "stop"}


def test_exits_do_not_go_with_an_order_that_is_late_or_thin() -> None:
    candles = to_cents(martingale(200, 1))
    costs = Costs(filters="exchange")
    with pytest.raises(UsageError, match="leave out latency, volume share"):
        event_driven(
            candles, load("macd"), costs=costs, exits="stop=2%", model=MarketModel(latency_ms=500)
        )


@settings(max_examples=12, deadline=None)
@given(
    seed=SEEDS,
    width=st.sampled_from([0.03, 0.05, 0.1]),
    lines=st.sampled_from([5, 9, 17]),
    inventory=st.integers(0, 1),
    stop=st.sampled_from([0.0, 0.0, 0.01]),
    exits=rules(),
)
def test_a_ladder_and_its_exits_share_one_path_in_both_engines(
    seed: int, width: float, lines: int, inventory: int, stop: float, exits: Rules
) -> None:
    candles = replace(market(seed, 200, writes_levels=False).candles, first=20, fine=None)
    params = {
        "low": 1.0 - width, "high": 1.0 + width, "lines": lines, "inventory": inventory,
        "stop": 1.0 - width - stop if stop else 0.0, "take_profit": 1.0 + width + 3 * stop if stop else 0.0,
    }  # fmt: skip
    costs = Costs(filters="exchange")
    fast = backtest(candles, load("grid"), costs=costs, exits=said(exits), **params)
    slow = event_driven(candles, load("grid"), costs=costs, exits=said(exits), **params)
    _equal(fast, slow)
