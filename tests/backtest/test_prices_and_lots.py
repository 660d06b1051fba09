"""Ticks, lots, minimum notional and defaults in a few candles worked by hand, in kernel and event engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

import workbench as wb
from tests.backtest.test_engine_semantics import FREE, Engine, both, fills, market, run
from tests.candle_builders import candles_of_bars
from tests.scripted import SCRIPTED, scripted
from workbench.backtest.event.driven import event_driven
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.market.candles import Candles

ONE_BP = replace(FREE, slippage_bps=1)


@both
def test_a_market_buy_pays_the_tick_above_the_worsened_open_and_a_sale_gets_the_one_below(
    engine: Engine,
) -> None:
    # 100.01 worsened by 1 bp is 100.020001, so 100.03 is paid: 10,000 / 100.03 = 99.970008..., and
    # lots are 1e-5. The other way it is 99.999999: 99.99 is got.
    result = run(engine, market([100.01] * 4), [1.0, None, 0.0, None], ONE_BP)
    assert fills(result) == [(1, "BUY", 100.03, 99.97), (3, "SELL", 99.99, 99.97)]
    # 10,000 - 99.97 x 100.03 = 0.0009 of cash are left by the buy; 99.97 x 99.99 = 9,996.0003 come.
    assert result.equity["cash"].to_list()[-1] == pytest.approx(9_996.0012, abs=1e-8)


@both
def test_equity_compounds_and_the_same_share_buys_with_what_was_earned(engine: Engine) -> None:
    # 5,000 at 100 are 50; sold at 120 they are 6,000, and half of 11,000 at 120 is 45.8333..., in lots.
    result = run(engine, market([100.0, 100.0, 120.0, 120.0, 120.0]), [0.5, None, 0.0, 0.5, None])
    assert fills(result) == [
        (1, "BUY", 100.0, 50.0), (3, "SELL", 120.0, 50.0), (4, "BUY", 120.0, 45.83333),
    ]  # fmt: skip


@both
def test_a_part_is_sold_in_whole_lots_rounded_down_and_all_of_it_to_the_last_lot(
    engine: Engine,
) -> None:
    # 10 held, a third of 1,000 is to stay: 10 - 1/3 x 1,000 / 100 = 6.66666..., so 6.66666 are sold.
    costs = replace(FREE, cash=1_000.0)
    result = run(engine, market([100.0] * 4), [1.0, 1 / 3, 0.0, None], costs)
    assert fills(result) == [
        (1, "BUY", 100.0, 10.0), (2, "SELL", 100.0, 6.66666), (3, "SELL", 100.0, 3.33334),
    ]  # fmt: skip
    assert result.metrics["trades"] == 1
    # Without filters nothing is rounded.
    plain = run(
        backtest, market([100.0] * 4), [1.0, 1 / 3, 0.0, None], replace(costs, filters="none")
    )
    assert plain.fills["quantity"][1] == pytest.approx(20 / 3, rel=1e-14)


@both
def test_the_minimum_notional_itself_passes_and_a_cent_less_does_not(engine: Engine) -> None:
    assert fills(run(engine, market([100.0] * 3), [0.0005, None, None])) == [
        (1, "BUY", 100.0, 0.05)
    ]
    assert fills(run(engine, market([100.0] * 3), [0.000499, None, None])) == []


@both
def test_a_sale_is_judged_at_the_open_by_what_it_gets_and_its_target_is_spent(
    engine: Engine,
) -> None:
    # 5.1 / 100.01 = 0.05099 lots. At the close of 98.06 they are worth 5.00008, enough for an order;
    # at the open they get 98.05 each, 4.99957: refused. 0 was written, and 110 does not change that.
    closes = [100.0, 100.0, 98.06, 98.06, 110.0, 110.0]
    costs = replace(ONE_BP, cash=1_000.0)
    result = run(engine, market(closes), [0.0051, None, 0.0, None, 0.0, None], costs)
    assert fills(result) == [(1, "BUY", 100.01, 0.05099)]
    assert (result.metrics["open_trade"], result.pending) == (True, False)


@both
def test_levels_keep_to_ticks_the_stop_below_and_the_take_profit_above(engine: Engine) -> None:
    # 4.999 above 100 is 104.999, on the tick above 105.00: touched it does not sell, passed it does.
    touched = scripted(_bars((100.0, 105.0, 100.0, 104.0)), [1.0, None, None])
    passed = scripted(_bars((100.0, 105.01, 100.0, 104.0)), [1.0, None, None])
    exits = {"take_profit": 4.999}
    assert len(engine(touched, SCRIPTED, costs=FREE, exits=exits).fills) == 1
    assert fills(engine(passed, SCRIPTED, costs=FREE, exits=exits))[1] == (2, "SELL", 105.0, 100.0)
    # 4.991 below is 95.009, on the tick below 95.00: 95.005 does not reach it.
    above = scripted(_bars((100.0, 100.0, 95.01, 96.0)), [1.0, None, None])
    reached = scripted(_bars((100.0, 100.0, 95.0, 96.0)), [1.0, None, None])
    assert len(engine(above, SCRIPTED, costs=FREE, exits={"stop": 4.991}).fills) == 1
    assert fills(engine(reached, SCRIPTED, costs=FREE, exits={"stop": 4.991}))[1][:3] == (
        2, "SELL", 95.0,
    )  # fmt: skip


def test_a_sweep_rounds_nothing_and_a_backtest_keeps_the_filters_unless_told_otherwise() -> None:
    candles = scripted(market([100.0] * 3), [1.0, None, None])
    swept = wb.sweep(candles, SCRIPTED, unused=[1], progress=False)
    run = wb.backtest(candles, SCRIPTED)
    assert swept.costs == Costs(fee_bps=10.0, slippage_bps=1.0, cash=10_000.0, filters="none")
    assert run.costs == Costs(fee_bps=10.0, slippage_bps=1.0, cash=10_000.0, filters="exchange")
    # 10,000 / 100.01 less 0.1 %, at 100: unrounded in the sweep; 99.99000 lots less 0.09999 in the other.
    assert swept.frame["final_equity"][0] == pytest.approx(10_000 / 100.01 * 0.999 * 100, rel=1e-12)
    rest = 10_000 - 99.99 * 100.01
    assert run.metrics["final_equity"] == pytest.approx(rest + 99.89001 * 100, abs=1e-6)
    with_filters = event_driven(candles, SCRIPTED)
    assert with_filters.metrics["final_equity"] == run.metrics["final_equity"]


def _bars(last: tuple[float, float, float, float]) -> Candles:
    calm = (100.0, 100.0, 100.0, 100.0)
    return candles_of_bars([calm, calm, last], symbol="BTCUSDT")
