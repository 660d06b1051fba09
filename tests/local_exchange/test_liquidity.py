"""The liquidity function at the exchange's door: touch or through, and a share of each print's volume."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local_exchange.conftest import FIRST, Opener, made_up

ORDER = "/api/v3/order"


@pytest.mark.parametrize(("touch", "status"), [(False, "NEW"), (True, "FILLED")])
async def test_a_bid_at_the_low_of_a_candle_fills_at_a_touch_only_where_touches_fill(
    open_exchange: Opener, touch: bool, status: str
) -> None:
    candles = made_up()
    low = candles.records["low"][FIRST]
    candles.records["low"][FIRST + 1 :] += 2_000  # nothing trades through it later
    for name in ("open", "high", "close"):
        candles.records[name][FIRST + 1 :] += 2_000
    async with open_exchange(candles, touch_fills=touch) as local:
        query = f"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price={low:.2f}"
        assert (await local.signed("POST", ORDER, query))[0] == 200
        await local.admin("POST", "/admin/advance")
        found: Any = (await local.signed("GET", ORDER, "symbol=BTCUSDT&orderId=1"))[1]
    assert found["status"] == status


@pytest.mark.parametrize("share_bps", [10_000, 100])
async def test_a_print_fills_no_more_than_its_share(open_exchange: Opener, share_bps: int) -> None:
    candles = made_up()
    after = candles.records[FIRST + 1 :]
    for name in ("open", "low", "high", "close"):
        after[name] = candles.records["open"][FIRST] * 2  # up and away after this candle
    candle = candles.records[FIRST]
    candle["low"], candle["volume"] = round(candle["open"] * 0.9, 2), 4.0  # a print of 1 at the low
    bid = round(candle["open"] * 0.95, 2)
    async with open_exchange(
        candles, share_bps=share_bps, balances=(("USDT", 10**14),), slippage_bps=0.0
    ) as local:
        query = f"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=3&price={bid:.2f}"
        assert (await local.signed("POST", ORDER, query))[0] == 200
        local.exchange.venue.play("BTCUSDT")
        fills = list(local.exchange.venue.engine.executions)
    step_e8 = local.exchange.venue.engine.instrument("BTCUSDT").step_e8
    assert fills[0].lots * step_e8 == 10**8 * share_bps // 10_000
