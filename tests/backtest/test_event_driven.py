"""The event-driven backtest and the kernel make the same decisions, fills and equity."""

from __future__ import annotations

import numpy as np
import pytest

from tests import naive
from tests.candle_builders import martingale, to_cents
from tests.conftest import shared_path
from workbench.backtest.event.driven import event_driven
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.errors import UsageError
from workbench.market.candles import Candles
from workbench.strategies import load

MACD = load("macd")
EXACT = Costs(filters="exchange")


@pytest.mark.parametrize("params", [(3, 7, 3), (12, 26, 9)])
def test_event_engine_and_kernel_agree_fill_for_fill(params: tuple[int, int, int]) -> None:
    candles = to_cents(martingale(1_200, 11))
    gapped = candles.records.copy()
    gapped["volume"][::17] = 0.0
    gapped["open_time"][500:] += 7_200_000
    gapped["missing_before"][500] = 2
    for series in (candles, Candles("BTCUSDT", candles.timeframe, gapped, 300)):
        chosen = dict(zip(("fast", "slow", "signal"), params, strict=True))
        fast = backtest(series, MACD, costs=EXACT, **chosen)
        slow = event_driven(series, MACD, costs=EXACT, **chosen)
        same = ["time", "signal_time", "side", "ticks", "lots", "price", "quantity", "fee"]
        assert fast.fills.select(same).equals(slow.fills.select(same))
        assert len(fast.fills) > 20
        a, b = (run.equity["equity"].to_numpy() for run in (fast, slow))
        assert np.max(np.abs(a / b - 1.0)) <= 1e-9
        for name, value in fast.metrics.items():
            expected = None if value is None else pytest.approx(value, rel=1e-9)
            assert slow.metrics[name] == expected, name
        assert (fast.pending, fast.reasons) == (slow.pending, slow.reasons)


def test_a_month_of_recorded_candles_agrees_too() -> None:
    import workbench as wb

    shared_path("data/klines_1h.parquet")
    candles = wb.load("BTCUSDT", "1h", start="2025-03-01", end="2025-04-01")
    fast = wb.backtest(candles, wb.strategies.macd)
    slow = wb.backtest(candles, wb.strategies.macd, engine="event")
    assert len(fast.fills) == 49
    assert fast.fills.select("side", "ticks", "lots").equals(
        slow.fills.select("side", "ticks", "lots")
    )
    assert fast.data_sha256 == slow.data_sha256


def test_a_sale_that_the_exchange_refuses_is_refused_by_the_kernel_too() -> None:
    # 5.10 USDT buys; by the time MACD sells, the base is worth less than the 5 USDT minimum.
    candles = to_cents(martingale(600, 21))
    poor = Costs(filters="exchange", cash=5.10)
    fast = backtest(candles, MACD, fast=3, slow=7, signal=3, costs=poor)
    slow = event_driven(candles, MACD, fast=3, slow=7, signal=3, costs=poor)
    assert fast.fills.select("time", "side", "lots").equals(
        slow.fills.select("time", "side", "lots")
    )
    assert fast.fills["side"].to_list()[0] == "BUY"
    assert fast.metrics["final_equity"] == pytest.approx(slow.metrics["final_equity"], rel=1e-12)


def test_its_metrics_equal_the_naive_oracle() -> None:
    candles = to_cents(martingale(2_000, 13))
    run = event_driven(candles, MACD, fast=3, slow=7, signal=3, costs=EXACT)
    equity = run.equity["equity"].to_list()
    returns = naive.daily_returns(
        candles.records["open_time"].tolist(), 3_600_000, 10_000.0, equity
    )
    assert run.metrics["sharpe"] == pytest.approx(naive.sharpe(returns, 365), rel=1e-9)
    assert run.metrics["sortino"] == pytest.approx(naive.sortino(returns, 365), rel=1e-9)
    assert run.metrics["max_drawdown"] == pytest.approx(naive.max_drawdown(10_000.0, equity))


def test_it_refuses_to_run_without_the_exchanges_filters() -> None:
    with pytest.raises(UsageError, match="use 'exchange'"):
        event_driven(to_cents(martingale(100, 1)), MACD, costs=Costs(filters="none"))
