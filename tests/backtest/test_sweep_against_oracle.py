"""The compiled sweep against slow, obvious code."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive
from tests.candle_builders import candles_of, martingale, to_cents
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.backtest.sweep import sweep_params
from workbench.market.candles import Candles
from workbench.strategies import load

MACD = load("macd")


def _columns(candles: Candles) -> tuple[list[float], list[float], list[float], list[int]]:
    r = candles.records
    return (
        r["open"].tolist(),
        r["close"].tolist(),
        r["volume"].tolist(),
        r["missing_before"].tolist(),
    )


@pytest.mark.parametrize(("fast", "slow", "signal"), [(3, 7, 3), (12, 26, 9), (5, 35, 5)])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_metric_equals_the_naive_oracle(fast: int, slow: int, signal: int, seed: int) -> None:
    candles = martingale(2_400, seed)
    opens, closes, volumes, missing = _columns(candles)
    book = naive.all_in_out(
        opens, closes, volumes, missing, naive.macd_targets(closes, fast, slow, signal),
        first=0, cash=10_000.0, fee=0.001, slippage=0.0001,
    )  # fmt: skip
    row = sweep_params(candles, MACD, MACD.grid({"fast": fast, "slow": slow, "signal": signal}))
    got = row.frame.row(0, named=True)
    times = candles.records["open_time"].tolist()
    returns = naive.daily_returns(times, 3_600_000, 10_000.0, book.equity)
    sells = [f for f in book.fills if f[1] == "SELL"]
    assert got["final_equity"] == pytest.approx(book.equity[-1], rel=1e-9)
    assert got["sharpe"] == pytest.approx(naive.sharpe(returns, 365), rel=1e-9)
    assert got["sortino"] == pytest.approx(naive.sortino(returns, 365), rel=1e-9)
    assert got["max_drawdown"] == pytest.approx(naive.max_drawdown(10_000.0, book.equity), rel=1e-9)
    assert got["trades"] == len(sells)
    assert got["open_trade"] == (book.base > 0)
    assert got["bars"] == 2_400


def test_exchange_filters_equal_decimal_arithmetic_to_the_last_digit() -> None:
    candles = to_cents(martingale(1_500, 5))
    opens_list, closes_list, _, _ = _columns(candles)
    book = naive.exact_all_in_out(
        opens_list,
        naive.macd_targets(closes_list, 5, 13, 3),
        cash=Decimal(10_000),
        fee=Decimal("0.001"),
        slippage=Decimal("0.0001"),
        tick=Decimal("0.01"),
        step=Decimal("0.00001"),
    )
    run = backtest(candles, MACD, fast=5, slow=13, signal=3, costs=Costs(filters="exchange"))
    assert len(run.fills) == len(book.fills) > 50
    for got, (index, side, price, quantity) in zip(
        run.fills.iter_rows(named=True), book.fills, strict=True
    ):
        assert got["side"] == side
        assert int(got["time"].timestamp() * 1000) == candles.records["open_time"][index]
        assert got["ticks"] == price / Decimal("0.01")
        assert got["lots"] == quantity / Decimal("0.00001")
    last = run.equity.row(-1, named=True)
    assert last["cash"] == float(book.cash)
    assert last["quantity"] == float(book.base)


def test_a_hand_worked_round_trip_of_two_fills() -> None:
    # MACD(1,2,1): the signal line is the line itself, so it never crosses; MACD(1,2,2) does.
    # closes 10 10 10 12 13 11 9 9: fast = close, slow = EMA(2), k = 2/3
    closes = [10.0, 10.0, 10.0, 12.0, 13.0, 11.0, 9.0, 9.0]
    opens = [10.0, 10.0, 10.0, 10.5, 12.5, 12.8, 10.9, 9.1]
    # slow:  -, 10, 10, 11.3333, 12.4444, 11.4815, 9.8272, 9.2757
    # line:  -,  0,  0, .66667, .55556, -.48148, -.82716, -.27572
    # signal: -, -, 0, .44444, .51852, -.14815, -.60082, -.38409
    # line - signal: -, -, 0, .22222, .03704, -.33333, -.22634, .10837
    # buy decided at candle 3 (0 -> >0), filled at the open of 4; sell decided at 5, filled at 6;
    # buy decided at the last candle: pending.
    run = backtest(
        candles_of(opens, closes), MACD, fast=1, slow=2, signal=2,
        costs=Costs(fee_bps=10, slippage_bps=0, cash=1000.0),
    )  # fmt: skip
    base = 1000.0 / 12.5 * 0.999
    final = base * 10.9 * 0.999
    assert run.fills["side"].to_list() == ["BUY", "SELL"]
    assert run.fills["price"].to_list() == [12.5, 10.9]
    assert run.metrics["final_equity"] == pytest.approx(final, rel=1e-12)
    assert run.metrics["trades"] == 1
    assert run.metrics["win_rate"] == 0.0
    assert run.metrics["exposure"] == 2 / 8
    assert run.pending
    assert run.trades["pnl"].to_list() == [pytest.approx(final - 1000.0, rel=1e-12)]
    assert run.metrics["profit_factor"] == 0.0
    assert run.metrics["cagr"] is None
    assert "90" in run.reasons["cagr"]


def test_cash_and_base_rebuilt_from_fills_give_the_same_equity() -> None:
    walk = martingale(3_000, 9)
    for candles, costs in ((walk, Costs()), (to_cents(walk), Costs(filters="exchange"))):
        run = backtest(candles, MACD, fast=3, slow=7, signal=3, costs=costs)
        cash, base = costs.cash, 0.0
        fills = {row["time"]: row for row in run.fills.iter_rows(named=True)}
        for row in run.equity.iter_rows(named=True):
            fill = fills.get(row["open_time"])
            if fill and fill["side"] == "BUY":
                cash -= fill["price"] * fill["quantity"]
                base += fill["quantity"] - fill["fee"]
            elif fill:
                cash += fill["price"] * fill["quantity"] - fill["fee"]
                base -= fill["quantity"]
            assert row["equity"] == pytest.approx(cash + base * row["close"], rel=1e-9)
        assert len(fills) > 100


def test_an_order_waits_for_the_next_tradable_open() -> None:
    closes = [10.0, 10.0, 10.0, 12.0, 13.0, 14.0, 15.0]
    opens = [10.0, 10.0, 10.0, 10.5, 12.5, 13.5, 14.5]
    volumes = [1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0]
    run = backtest(
        candles_of(opens, closes, volumes=volumes), MACD, fast=1, slow=2, signal=2, costs=Costs()
    )
    assert run.fills["price"].to_list() == [pytest.approx(13.5 * 1.0001, rel=1e-12)]
    gapped = candles_of(opens, closes)
    gapped.records["open_time"][4:] += 3_600_000
    gapped.records["missing_before"][4] = 1
    run = backtest(gapped, MACD, fast=1, slow=2, signal=2, costs=Costs())
    assert run.fills["price"].to_list() == [pytest.approx(13.5 * 1.0001, rel=1e-12)]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(50, 390))
def test_what_comes_later_changes_nothing_before(seed: int, cut: int) -> None:
    candles = martingale(400, seed)
    whole = backtest(candles, MACD, fast=3, slow=7, signal=3, costs=Costs())
    poisoned = candles.records.copy()
    for name in ("open", "high", "low", "close"):
        poisoned[name][cut:] *= 10.0
    other = backtest(
        Candles("TESTUSDT", candles.timeframe, poisoned),
        MACD,
        fast=3,
        slow=7,
        signal=3,
        costs=Costs(),
    )
    assert whole.equity["equity"][:cut].equals(other.equity["equity"][:cut])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), low=st.floats(0, 20), more=st.floats(0.1, 30))
def test_higher_fees_never_help(seed: int, low: float, more: float) -> None:
    candles = martingale(300, seed)
    cheap, dear = (
        backtest(candles, MACD, fast=3, slow=7, signal=3, costs=Costs(fee_bps=fee))
        for fee in (low, low + more)
    )
    assert dear.metrics["final_equity"] <= cheap.metrics["final_equity"]


def test_on_a_martingale_the_mean_plus_costs_is_zero() -> None:
    gains = []
    for seed in range(400):
        candles = martingale(300, 50_000 + seed, substeps=100)
        run = backtest(
            candles, MACD, fast=3, slow=7, signal=3, costs=Costs(fee_bps=0, slippage_bps=0)
        )
        gains.append(run.metrics["total_return"])
    error = np.std(gains, ddof=1) / np.sqrt(len(gains))
    assert abs(np.mean(gains)) < 4 * error


def test_warm_up_candles_are_fed_but_never_traded() -> None:
    candles = martingale(1_000, 3)
    cut = Candles("TESTUSDT", candles.timeframe, candles.records, 600)
    run = backtest(cut, MACD, fast=3, slow=7, signal=3, costs=Costs())
    opens, closes, volumes, missing = _columns(candles)
    book = naive.all_in_out(
        opens, closes, volumes, missing, naive.macd_targets(closes, 3, 7, 3),
        first=600, cash=10_000.0, fee=0.001, slippage=0.0001,
    )  # fmt: skip
    assert len(run.equity) == 400
    assert run.metrics["final_equity"] == pytest.approx(book.equity[-1], rel=1e-9)
    assert run.fills["time"].min().timestamp() * 1000 > candles.records["open_time"][600]
