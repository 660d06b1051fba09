"""Every filter refuses with its own name, just beyond its border and not on it."""

# ruff: noqa: E501 (a row of the table is one filter)

from __future__ import annotations

import pytest

from tests.execution.test_conditional_orders import conditional, prints
from tests.execution.test_order_lists import bracket, limit, listed
from workbench.execution.filters import BIPS, ExchangeRules, FilterRules
from workbench.execution.matching import MatchingEngine
from workbench.execution.order_lists import Contingency
from workbench.execution.orders import NewOrder, OrderType, Rejected, Side
from workbench.market.instruments import to_e8

SYMBOL = "BTCUSDT"
BUY, SELL = Side.BUY, Side.SELL


def market(side: Side, quantity: str = "0", quote: str = "0") -> NewOrder:
    return NewOrder(
        "ann",
        SYMBOL,
        side,
        OrderType.MARKET,
        quantity_e8=to_e8(quantity),
        quote_e8=to_e8(quote),
    )


CASES = [  # rules, good, bad, the filter
    (FilterRules(price_up=11_000, price_down=9_000), limit(BUY, "90.00"), limit(BUY, "89.99"), "PERCENT_PRICE"),
    (FilterRules(price_up=11_000, price_down=9_000), limit(SELL, "110.00"), limit(SELL, "110.01"), "PERCENT_PRICE"),
    (FilterRules(bid_up=2 * BIPS, bid_down=5_000, ask_up=3 * BIPS), limit(BUY, "50.00"), limit(BUY, "49.99"), "PERCENT_PRICE_BY_SIDE"),
    (FilterRules(bid_up=2 * BIPS, bid_down=5_000, ask_up=3 * BIPS), limit(SELL, "300.00"), limit(SELL, "300.01"), "PERCENT_PRICE_BY_SIDE"),
    (FilterRules(min_notional_e8=to_e8("20")), limit(BUY, "80.00", "0.25"), limit(BUY, "80.00", "0.24999"), "MIN_NOTIONAL"),
    (FilterRules(min_notional_e8=to_e8("20")), market(BUY, quote="20"), market(BUY, quote="19.99"), "MIN_NOTIONAL"),
    (FilterRules(max_notional_e8=to_e8("200")), limit(BUY, "80.00", "2.5"), limit(BUY, "80.00", "2.50001"), "NOTIONAL"),
    (FilterRules(), limit(BUY, "80.00", "0.0625"), limit(BUY, "80.00", "0.06249"), "NOTIONAL"),
    (FilterRules(), limit(BUY, "80.00", "0.1"), limit(BUY, "80.00", "0.100001"), "LOT_SIZE"),
    (FilterRules(), limit(BUY, "80.01"), limit(BUY, "80.001"), "PRICE_FILTER"),
    (FilterRules(), conditional(SELL, OrderType.STOP_LOSS, stop="80.01"), conditional(SELL, OrderType.STOP_LOSS, stop="80.001"), "PRICE_FILTER"),
    (FilterRules(market_max_qty_e8=to_e8("2")), market(BUY, "2"), market(BUY, "2.00001"), "MARKET_LOT_SIZE"),
    (FilterRules(market_max_qty_e8=to_e8("2")), limit(BUY, "90.00", "3"), market(SELL, "3"), "MARKET_LOT_SIZE"),
    (FilterRules(market_max_qty_e8=to_e8("2")), market(BUY, quote="200"), market(BUY, quote="201"), "MARKET_LOT_SIZE"),
    (FilterRules(market_min_qty_e8=to_e8("1")), market(SELL, "1"), market(SELL, "0.99999"), "MARKET_LOT_SIZE"),
    (FilterRules(market_step_e8=to_e8("0.5")), market(SELL, "1.5"), market(SELL, "1.25"), "MARKET_LOT_SIZE"),
    (FilterRules(min_trailing=10, max_trailing=2_000), conditional(SELL, OrderType.STOP_LOSS, bips="10"), conditional(SELL, OrderType.STOP_LOSS, bips="9"), "TRAILING_DELTA"),
    (FilterRules(min_trailing=10, max_trailing=2_000), conditional(BUY, OrderType.STOP_LOSS, bips="2000"), conditional(BUY, OrderType.STOP_LOSS, bips="2001"), "TRAILING_DELTA"),
    (FilterRules(max_position_e8=to_e8("12")), limit(BUY, "80.00", "2"), limit(BUY, "80.00", "2.00001"), "MAX_POSITION"),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "good", "bad", "name"), CASES)
def test_a_filter_refuses_by_its_name_and_lets_the_border_pass(
    engine: MatchingEngine, rules: FilterRules, good: NewOrder, bad: NewOrder, name: str
) -> None:
    engine.floor.rules[SYMBOL] = rules
    prints(engine, "100.00")
    with pytest.raises(Rejected, match=f"^-1013: Filter failure: {name}$"):
        engine.place(bad, 1)
    assert engine.orders == {}
    engine.place(good, 1)


def test_orders_are_counted_by_symbol_with_those_of_lists(engine: MatchingEngine) -> None:
    engine.floor.rules[SYMBOL] = FilterRules(max_num_orders=3, max_num_algo_orders=1)
    prints(engine, "100.00")
    engine.place(limit(BUY, "80.00"), 1)
    listed(engine, Contingency.OCO, *bracket("1"))
    for bad in (limit(BUY, "80.00"), conditional(SELL, OrderType.STOP_LOSS, stop="80.00")):
        with pytest.raises(Rejected, match="-1013: Filter failure: MAX_NUM_ORDERS"):
            engine.place(bad, 2)
    engine.cancel("ann", SYMBOL, 1, 3)
    with pytest.raises(Rejected, match="-1013: Filter failure: MAX_NUM_ALGO_ORDERS"):
        engine.place(conditional(SELL, OrderType.STOP_LOSS, stop="80.00"), 2)
    engine.place(market(BUY, "1"), 4)  # never rests


def test_a_list_needs_room_for_all_its_orders(engine: MatchingEngine) -> None:
    engine.floor.rules[SYMBOL] = FilterRules(max_num_orders=3, max_num_order_lists=1)
    prints(engine, "100.00")
    for _ in range(2):
        engine.place(limit(BUY, "80.00"), 1)
    with pytest.raises(Rejected, match="-1013: Filter failure: MAX_NUM_ORDERS"):
        listed(engine, Contingency.OCO, *bracket("1"))
    engine.cancel("ann", SYMBOL, 1, 3)
    listed(engine, Contingency.OCO, *bracket("1"))
    engine.cancel("ann", SYMBOL, 2, 3)
    with pytest.raises(Rejected, match="-1013: Filter failure: MAX_NUM_ORDER_LISTS"):
        listed(engine, Contingency.OCO, *bracket("1"))


def test_filters_of_the_exchange_count_over_all_symbols(engine: MatchingEngine) -> None:
    prints(engine, "100.00")
    engine.floor.exchange_rules = ExchangeRules(
        max_num_orders=2, max_num_algo_orders=1, max_num_order_lists=0
    )
    engine.place(conditional(SELL, OrderType.STOP_LOSS, stop="80.00"), 1)
    with pytest.raises(Rejected, match="-1013: Filter failure: EXCHANGE_MAX_NUM_ALGO_ORDERS"):
        engine.place(conditional(SELL, OrderType.STOP_LOSS, stop="80.00"), 1)
    engine.place(limit(BUY, "80.00"), 1)
    with pytest.raises(Rejected, match="-1013: Filter failure: EXCHANGE_MAX_NUM_ORDERS"):
        engine.place(limit(BUY, "80.00"), 1)
    engine.floor.exchange_rules = ExchangeRules(max_num_order_lists=1)
    listed(engine, Contingency.OCO, *bracket("1"))
    with pytest.raises(Rejected, match="-1013: Filter failure: EXCHANGE_MAX_NUM_ORDER_LISTS"):
        listed(engine, Contingency.OCO, *bracket("1"))
    engine.floor.exchange_rules = ExchangeRules(max_asset_e8=(("USDT", to_e8("80")),))
    engine.place(limit(BUY, "80.00"), 1)
    with pytest.raises(Rejected, match="-1013: Filter failure: MAX_ASSET"):
        engine.place(limit(BUY, "80.00", "1.00001"), 1)


@pytest.mark.parametrize("status", ["HALT", "BREAK", "CANCEL_ONLY", "END_OF_DAY"])
def test_a_market_that_does_not_trade_takes_no_order_but_lets_go_of_them(
    engine: MatchingEngine, status: str
) -> None:
    order = engine.place(limit(BUY, "80.00"), 1).order
    engine.floor.rules[SYMBOL] = FilterRules(status=status)
    with pytest.raises(Rejected, match=r"^-2010: Market is closed\.$"):
        engine.place(limit(BUY, "80.00"), 2)
    engine.cancel("ann", SYMBOL, order.order_id, 3)
