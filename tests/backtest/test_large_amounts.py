"""Amounts at the upper end: the exchange's largest order, and more than whole numbers at 1e-8 can count.

2^63 at 1e-8 is 9.22e10. A coin of 5e-8 reaches that with 5,000 USDT; an equity once came out negative.
"""

from __future__ import annotations

import pytest

import workbench as wb
from tests.backtest.test_engine_semantics import Engine, both, fills, run
from tests.candle_builders import candles_of
from tests.scripted import SCRIPTED, scripted
from workbench.backtest.setting import Costs
from workbench.errors import UsageError
from workbench.market.candles import Candles


def flat(symbol: str, closes: list[float]) -> Candles:
    """Return hours of any volume that open where the one before closed."""
    opens = [closes[0], *closes[:-1]]
    return candles_of(opens, closes, volumes=[1e10] * len(closes), symbol=symbol)


def free(cash: float) -> Costs:
    return Costs(fee_bps=0, slippage_bps=0, cash=cash, filters="exchange")


@both
def test_an_order_above_the_exchanges_largest_is_refused_and_its_target_spent(
    engine: Engine,
) -> None:
    # LOT_SIZE allows 9,000,000 ADA: 20,000,000 USDT at 1.00 are too many at once, 0.4 of it is not.
    result = run(engine, flat("ADAUSDT", [1.0] * 5), [1.0, None, 1.0, 0.4, None], free(2e7))
    assert fills(result) == [(4, "BUY", 1.0, 8e6)]
    # Two buys of 8,000,000 can be held, and then not be sold at once.
    result = run(engine, flat("ADAUSDT", [1.0] * 5), [0.4, 0.8, 0.0, 0.5, None], free(2e7))
    assert fills(result) == [
        (1, "BUY", 1.0, 8e6), (2, "BUY", 1.0, 8e6), (4, "SELL", 1.0, 6e6),
    ]  # fmt: skip


@both
def test_a_stop_above_the_exchanges_largest_order_is_refused_and_not_sold(engine: Engine) -> None:
    candles = scripted(flat("ADAUSDT", [1.0, 1.0, 1.0, 0.8, 0.8]), [0.4, 0.8, None, None, None])
    result = engine(candles, SCRIPTED, costs=free(2e7), exits={"stop": "10%"})
    assert [side for _, side, *_ in fills(result)] == ["BUY", "BUY"]


@both
def test_a_coin_that_costs_next_to_nothing_is_refused_before_its_amount_runs_over(
    engine: Engine,
) -> None:
    # 10,000 USDT at 0.00000005 are 2e11 of a symbol without a table: its widest order is 9e9.
    result = run(engine, flat("TINYUSDT", [5e-8] * 4), [1.0, None, 0.02, None], free(1e4))
    assert fills(result) == [(3, "BUY", 5e-8, 4e9)]
    assert result.equity["equity"].to_list() == [1e4] * 4


@both
def test_more_than_an_account_can_count_is_an_error_and_never_a_number(engine: Engine) -> None:
    # Twelve buys of 8e9 each: the twelfth would leave 9.6e10.
    steps = [0.04 * (i + 1) for i in range(12)]
    with pytest.raises(UsageError, match=r"9e10|90000000000\.0"):
        run(engine, flat("TINYUSDT", [5e-8] * 13), [*steps, None], free(1e4))
    # 5e10 USDT in coins that double are 1e11 when they are sold.
    with pytest.raises(UsageError, match=r"9e10|90000000000\.0"):
        run(engine, flat("BTCUSDT", [6e4, 6e4, 1.2e5, 1.2e5]), [1.0, None, 0.0, None], free(5e10))


def test_a_row_that_outgrew_its_account_has_an_error_and_no_metrics() -> None:
    candles = scripted(flat("BTCUSDT", [6e4, 6e4, 1.2e5, 1.2e5]), [1.0, None, 0.0, None])
    result = wb.sweep(
        candles, SCRIPTED, unused=[1, 2], fee_bps=0, slippage_bps=0, cash=5e10, filters="exchange",
        progress=False,
    )  # fmt: skip
    assert result.frame["final_equity"].null_count() == 2
    assert all("cannot count" in one for one in result.frame["error"])
