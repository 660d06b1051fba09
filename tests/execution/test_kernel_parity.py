"""The engine and the sweep's exact account fill the same order to the same digit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workbench.core.account import ACCOUNT, COSTS, FILL, fill_buy, fill_sell, open_account
from workbench.core.costs import buy_ticks, sell_ticks
from workbench.execution.matching import MatchingEngine
from workbench.execution.orders import NewOrder, OrderResult, OrderType, Rejected, Side
from workbench.market.instruments import KNOWN, SCALE, Instrument, instrument

SLIPPAGE_BPS = 1.0
RATE_E8 = 100_000


class Pair:
    """One account in the kernel's exact book, and the same in the engine."""

    def __init__(self, symbol: str, cash_e8: int) -> None:
        self.rules: Instrument = instrument(symbol)
        costs = np.zeros(1, COSTS)
        costs["exact"], costs["cash"], costs["rate_e8"] = 1, cash_e8 / SCALE, RATE_E8
        costs["slippage_bps"] = SLIPPAGE_BPS
        for name in (
            "tick_e8", "step_e8", "unit_e8", "min_qty_e8", "max_qty_e8", "min_notional_e8",
        ):  # fmt: skip
            costs[name] = getattr(self.rules, name)
        self.costs, self.account, self.fill = (
            costs[0],
            np.zeros(1, ACCOUNT)[0],
            np.zeros(1, FILL)[0],
        )
        open_account(self.account, self.costs)
        self.engine = MatchingEngine({symbol: self.rules}, RATE_E8, RATE_E8)
        self.engine.deposit("me", self.rules.quote, int(self.account["cash_e8"]))

    def buy(self, price: float, quote_e8: int) -> OrderResult:
        fill_buy(self.account, self.costs, price, quote_e8 / SCALE, quote_e8, self.fill)
        return self._place(price, Side.BUY, quote_e8=quote_e8)

    def sell(self, price: float, lots: int) -> OrderResult:
        fill_sell(self.account, self.costs, price, 0.0, lots, self.fill)
        return self._place(price, Side.SELL, quantity_e8=lots * self.rules.step_e8)

    def _place(self, price: float, side: Side, **size: int) -> OrderResult:
        tick = self.rules.tick_e8
        bid = sell_ticks(price, SLIPPAGE_BPS, tick)
        ask = buy_ticks(price, SLIPPAGE_BPS, tick)
        self.engine.stand_at(self.rules.symbol, bid, ask, 10**12, 0)
        return self.engine.place(
            NewOrder("me", self.rules.symbol, side, OrderType.MARKET, **size), 0
        )

    def agree(self, result: OrderResult) -> None:
        (fill,) = result.executions
        assert (fill.price_ticks, fill.lots) == (self.fill["ticks"], self.fill["lots"])
        held = self.engine.balances("me")
        assert held[self.rules.quote].free_e8 == self.account["cash_e8"]
        assert held[self.rules.base].free_e8 == self.account["base_e8"]
        self.engine.ledger.check_conservation()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(KNOWN),
    st.integers(10 * SCALE, 100_000 * SCALE),
    st.floats(0.5, 2.0),
    st.floats(0.5, 1.0),
    st.floats(0.3, 1.0),
)
def test_a_buy_and_a_sale_leave_both_with_the_same_digits(
    symbol: str, cash_e8: int, factor: float, spent: float, sold: float
) -> None:
    typical = {"BTCUSDT": 60_000, "ETHUSDT": 3_000, "BNBUSDT": 500, "SOLUSDT": 150}
    price = round(typical.get(symbol, 0.6) * factor, 4)
    pair = Pair(symbol, cash_e8)
    bought = pair.buy(price, int(pair.account["cash_e8"] * spent))
    pair.agree(bought)
    lots = int(pair.account["base_e8"] * sold) // pair.rules.step_e8
    assume(lots * pair.rules.step_e8 * price > 6 * SCALE)  # the exchange takes nothing under 5 USDT
    pair.agree(pair.sell(price * 1.01, lots))


def test_the_commission_is_cut_off_in_the_received_asset() -> None:
    pair = Pair("BTCUSDT", 10_000 * SCALE)
    result = pair.buy(93_576.0, 10_000 * SCALE)
    # 93,576.00 worsened by 1 bp is 93,585.3576 -> 93,585.36; 10,000 / 0.9358536 = 10,685.43 lots.
    assert (result.executions[0].price_ticks, result.executions[0].lots) == (9_358_536, 10_685)
    assert result.executions[0].commission_e8 == 10_685  # 0.10685 BTC x 0.001, at 1e-8
    assert pair.engine.balances("me")["USDT"].free_e8 == SCALE * 10_000 - 10_685 * 93_585_360
    with pytest.raises(Rejected, match="-2010"):
        pair.sell(93_576.0, 10_685)  # the fee was taken from the base: not that much is left
