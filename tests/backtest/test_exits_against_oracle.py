"""Exits and guards on random markets: the compiled loop, and the naive oracle that shares nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.naive_exits import Rules, Tale, tell
from tests.protected_markets import Market, market, rules, said
from tests.scripted import SCRIPTED
from workbench.backtest.results import BacktestResult
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.execution.guards import Guards

HOURS = 240
SEEDS = st.integers(0, 1_000_000)


def _without_early_targets(one: Market) -> Market:
    """Return the market with no entry before every average true range has a value."""
    targets = [None] * 8 + one.targets[8:]
    one.candles.records["aux"][:8, 0] = np.nan
    return replace(one, targets=targets)


def _agree(run: BacktestResult, tale: Tale) -> None:
    times = run.candles.records["open_time"].tolist()
    got = [
        (times.index(int(row["time"].timestamp() * 1000)), row["side"], row["price"], row["reason"])
        for row in run.fills.iter_rows(named=True)
    ]
    assert [(t, side, why) for t, side, _, why in got] == [
        (t, side, why) for t, side, _, why in tale.fills
    ]
    assert [p for *_, p, _ in got] == pytest.approx([p for *_, p, _ in tale.fills], rel=1e-9)
    assert run.equity["equity"].to_numpy() == pytest.approx(tale.equity, rel=1e-9)
    _rebuilt_from_fills(run)
    assert (run.ambiguous, run.guarded) == (tale.ambiguous, tale.guarded)
    assert run.metrics["trades"] == len(tale.trips)
    wins = sum(profit > 0 for _, profit in tale.trips)
    if tale.trips:
        assert run.metrics["win_rate"] == pytest.approx(wins / len(tale.trips))


def _rebuilt_from_fills(run: BacktestResult) -> None:
    """Cash and base added up from the fills and their fees give the same equity at every close."""
    cash, base = run.costs.cash, 0.0
    fills = list(run.fills.iter_rows(named=True))
    for row in run.equity.iter_rows(named=True):
        while fills and fills[0]["time"] == row["open_time"]:
            fill = fills.pop(0)
            if fill["side"] == "BUY":
                cash -= fill["price"] * fill["quantity"]
                base += fill["quantity"] - fill["fee"]
            else:
                cash += fill["price"] * fill["quantity"] - fill["fee"]
                base -= fill["quantity"]
        assert row["equity"] == pytest.approx(cash + base * row["close"], rel=1e-9)


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, exits=rules(), finer=st.booleans(), writes_levels=st.booleans())
def test_exits_equal_the_naive_oracle(
    seed: int, exits: Rules, finer: bool, writes_levels: bool
) -> None:
    _exits_equal_the_oracle(seed, exits, finer, writes_levels)


@pytest.mark.proof
@settings(max_examples=3_000, deadline=None)
@given(seed=SEEDS, exits=rules(), finer=st.booleans(), writes_levels=st.booleans())
def test_exits_equal_the_naive_oracle_on_thousands_of_markets(
    seed: int, exits: Rules, finer: bool, writes_levels: bool
) -> None:
    _exits_equal_the_oracle(seed, exits, finer, writes_levels)


def _exits_equal_the_oracle(seed: int, exits: Rules, finer: bool, writes_levels: bool) -> None:
    one = _without_early_targets(market(seed, HOURS, writes_levels=writes_levels))
    bars = one.bars if finer else [replace(bar, finer=()) for bar in one.bars]
    candles = one.candles if finer else replace(one.candles, fine=None)
    run = backtest(candles, SCRIPTED, costs=Costs(), exits=said(exits))
    _agree(run, tell(bars, one.targets, exits, written=one.written))


@settings(max_examples=100, deadline=None)
@given(
    seed=SEEDS,
    exits=rules(),
    guards=st.builds(
        Rules,
        trades_a_day=st.none() | st.integers(1, 3),
        daily_loss=st.none() | st.sampled_from([0.005, 0.01]),
        drawdown=st.none() | st.sampled_from([0.02, 0.05]),
        cooldown_bars=st.none() | st.integers(1, 12),
        loss_streak=st.none() | st.integers(1, 3),
        streak_pause_bars=st.sampled_from([0, 6, 24]),
        volatility=st.none() | st.tuples(st.sampled_from([0.4, 1.2]), st.integers(2, 8)),
    ),
)
def test_guards_equal_the_naive_oracle(seed: int, exits: Rules, guards: Rules) -> None:
    one = _without_early_targets(market(seed, HOURS, writes_levels=False))
    names = ("stop", "take_profit", "trail", "atr_period", "time_stop")
    both = replace(guards, **{name: getattr(exits, name) for name in names})
    wanted, bars = guards.volatility or (0.0, 30)
    own = Guards(
        trades_a_day=guards.trades_a_day or 0,
        daily_loss=guards.daily_loss or 0.0,
        drawdown=guards.drawdown or 0.0,
        cooldown_bars=guards.cooldown_bars or 0,
        loss_streak=guards.loss_streak or 0,
        streak_pause_bars=guards.streak_pause_bars,
        volatility=wanted,
        volatility_bars=bars,
    )
    run = backtest(one.candles, SCRIPTED, costs=Costs(guards=own), exits=said(exits))
    _agree(run, tell(one.bars, one.targets, both))
