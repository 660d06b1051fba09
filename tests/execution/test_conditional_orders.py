"""Stops, take-profits and trailing stops, worked by hand and by the official FAQ's own scenarios."""

from __future__ import annotations

from decimal import Decimal

import pytest

from workbench.execution.matching import MatchingEngine
from workbench.execution.orders import (
    ExpiryReason,
    NewOrder,
    Order,
    OrderStatus,
    OrderType,
    Rejected,
    ReportKind,
    Side,
    TimeInForce,
)
from workbench.market.instruments import SCALE, instrument, to_e8

SYMBOL = "BTCUSDT"
TICK_E8 = instrument(SYMBOL).tick_e8


def conditional(side: Side, kind: OrderType, quantity: str = "1", **given: str) -> NewOrder:
    return NewOrder(
        "ann",
        SYMBOL,
        side,
        kind,
        quantity_e8=to_e8(quantity),
        price_e8=to_e8(given.get("price", "0")),
        stop_e8=to_e8(given.get("stop", "0")),
        trailing_bips=int(given.get("bips", "0")),
        time_in_force=TimeInForce(given.get("tif", "GTC")),
    )


def prints(engine: MatchingEngine, *prices: str, spread: str = "0.10") -> None:
    """Print prices, the market standing around each of them."""
    for price in prices:
        engine.walk(SYMBOL, [to_e8(price)], 0, 5)
        bid = (to_e8(price) - to_e8(spread)) // TICK_E8
        engine.stand_at(SYMBOL, bid, to_e8(price) // TICK_E8, 10_000_000, 5)


def now(engine: MatchingEngine, order: Order) -> Order:
    return engine.orders[order.order_id]


def free(engine: MatchingEngine, asset: str) -> Decimal:
    return Decimal(engine.ledger.get("ann", asset).free_e8) / SCALE


@pytest.mark.parametrize(
    ("side", "kind", "quiet", "meets", "fill"),
    [
        # a stop to sell below the market sells at the bid that stands then, 10 cents under the print
        (Side.SELL, OrderType.STOP_LOSS, "95.01", "95.00", "94.90"),
        (Side.SELL, OrderType.TAKE_PROFIT, "104.99", "105.00", "104.90"),
        (Side.BUY, OrderType.STOP_LOSS, "104.99", "105.00", "105.00"),
        (Side.BUY, OrderType.TAKE_PROFIT, "95.01", "95.00", "95.00"),
    ],
)
def test_a_stop_becomes_a_market_order_at_the_print_that_reaches_it(
    engine: MatchingEngine, side: Side, kind: OrderType, quiet: str, meets: str, fill: str
) -> None:
    prints(engine, "100.00")
    order = engine.place(conditional(side, kind, stop=meets), 1).order
    assert (order.status, order.is_working, order.working_ms) == (OrderStatus.NEW, False, -1)
    prints(engine, quiet)
    assert now(engine, order).status is OrderStatus.NEW
    prints(engine, meets)
    done = now(engine, order)
    assert (done.status, done.working_ms) == (OrderStatus.FILLED, 5)
    assert [f.price_ticks * TICK_E8 for f in engine.executions] == [to_e8(fill)]


@pytest.mark.parametrize(
    ("side", "kind", "stop"),
    [
        (Side.SELL, OrderType.STOP_LOSS, "100.00"),
        (Side.SELL, OrderType.TAKE_PROFIT, "100.00"),
        (Side.BUY, OrderType.STOP_LOSS, "99.99"),
        (Side.BUY, OrderType.TAKE_PROFIT, "100.01"),
    ],
)
def test_a_stop_on_the_wrong_side_of_the_last_price_is_refused(
    engine: MatchingEngine, side: Side, kind: OrderType, stop: str
) -> None:
    prints(engine, "100.00")
    with pytest.raises(Rejected, match=r"-2010: Order would trigger immediately\."):
        engine.place(conditional(side, kind, stop=stop), 1)


def test_a_stop_limit_locks_its_money_waits_and_then_rests_at_its_limit(
    engine: MatchingEngine,
) -> None:
    prints(engine, "100.00")
    order = engine.place(
        conditional(Side.BUY, OrderType.STOP_LOSS_LIMIT, "2", price="103.00", stop="105.00"), 1
    ).order
    assert free(engine, "USDT") == 10_000 - 206
    assert list(engine.book(SYMBOL).orders(Side.BUY)) == []
    prints(engine, "105.00")  # the ask is 105.00, the limit 103.00: it rests
    assert list(engine.book(SYMBOL).orders(Side.BUY)) == [(10_300, order.order_id, 200_000)]
    prints(engine, "102.99")
    assert now(engine, order).status is OrderStatus.FILLED
    assert free(engine, "USDT") == 10_000 - 206  # at its own price, not the print's


@pytest.mark.parametrize(
    ("tif", "reason"),
    [
        ("IOC", ExpiryReason.UNFILLED_IOC_QUANTITY_EXPIRED),
        ("FOK", ExpiryReason.UNFILLED_FOK_ORDER_EXPIRED),
    ],
)
def test_a_stop_limit_that_may_not_rest_expires_when_its_limit_is_not_met(
    engine: MatchingEngine, tif: str, reason: ExpiryReason
) -> None:
    prints(engine, "100.00")
    order = engine.place(
        conditional(Side.SELL, OrderType.STOP_LOSS_LIMIT, price="95.00", stop="95.00", tif=tif), 1
    ).order
    prints(engine, "95.00")  # the bid is 94.90
    assert (now(engine, order).status, now(engine, order).expiry_reason) == (
        OrderStatus.EXPIRED,
        reason,
    )
    assert free(engine, "BTC") == 10


def test_a_stop_to_buy_reserves_nothing_and_expires_when_the_money_is_gone(
    engine: MatchingEngine,
) -> None:
    prints(engine, "100.00")
    order = engine.place(conditional(Side.BUY, OrderType.STOP_LOSS, "90", stop="105.00"), 1).order
    assert free(engine, "USDT") == 10_000
    engine.place(NewOrder("ann", SYMBOL, Side.BUY, OrderType.MARKET, quantity_e8=to_e8("10")), 2)
    prints(engine, "105.00")  # 90 x 105 = 9,450 wanted, 9,000 left
    assert now(engine, order).status is OrderStatus.EXPIRED
    assert free(engine, "USDT") == 9_000


def test_two_stops_met_by_one_print_work_in_the_order_in_which_they_came(
    engine: MatchingEngine,
) -> None:
    prints(engine, "100.00")
    later_stop = engine.place(conditional(Side.SELL, OrderType.STOP_LOSS, stop="90.00"), 1).order
    nearer = engine.place(conditional(Side.SELL, OrderType.STOP_LOSS, stop="95.00"), 2).order
    prints(engine, "89.00")
    assert [f.order_id for f in engine.executions] == [later_stop.order_id, nearer.order_id]


# The scenarios A to E of the official trailing stop FAQ, prices in hundredths so that the
# engine's 10,000 USDT suffice: 40,000 there is 400.00 here.
FAQ = {
    "A": (Side.BUY, OrderType.STOP_LOSS_LIMIT, "440", "500", "450", "370 440 450 460 420", "441"),
    "B": (Side.SELL, OrderType.STOP_LOSS_LIMIT, "390", "1000", "380", "415 390 370 410", "369"),
    "C": (Side.BUY, OrderType.TAKE_PROFIT_LIMIT, "380", "850", "385", "420 380 370 390 380", "401.45"),
    "D": (Side.SELL, OrderType.TAKE_PROFIT_LIMIT, "420", "750", "410", "415 390 420 450 440 465", "430.13"),
    "E": (Side.SELL, OrderType.STOP_LOSS_LIMIT, "0", "700", "390", "420 395 455", "423.15"),
}  # fmt: skip


@pytest.mark.parametrize("scenario", FAQ)
def test_a_trailing_stop_triggers_where_the_faq_says(engine: MatchingEngine, scenario: str) -> None:
    side, kind, stop, bips, price, way, trigger = FAQ[scenario]
    # D is triggered by 430.125, which is no price of BTCUSDT: 430.13 is still above it.
    last = "430.12" if scenario == "D" else trigger
    prints(engine, "400.00")
    order = engine.place(conditional(side, kind, stop=stop, bips=bips, price=price), 1).order
    assert (order.trailing_ms == 1) == (scenario == "E")
    prints(engine, *way.split())
    assert now(engine, order).trailing_ms == (1 if scenario == "E" else 5)
    nearly = to_e8(trigger) + (-TICK_E8 if side is Side.BUY else TICK_E8)
    prints(engine, str(Decimal(nearly) / SCALE) if scenario != "D" else trigger)
    assert not now(engine, order).is_working
    prints(engine, last)
    assert now(engine, order).is_working


def test_a_trailing_stop_without_a_stop_price_counts_from_the_last_trade(
    engine: MatchingEngine,
) -> None:
    prints(engine, "100.00")
    order = engine.place(conditional(Side.SELL, OrderType.STOP_LOSS, bips="100"), 1).order
    prints(engine, "99.01")
    assert not now(engine, order).is_working
    prints(engine, "99.00")  # exactly 1 % under 100.00
    assert now(engine, order).status is OrderStatus.FILLED


def test_a_triggered_order_is_announced_before_it_trades(engine: MatchingEngine) -> None:
    prints(engine, "100.00")
    order = engine.place(conditional(Side.SELL, OrderType.STOP_LOSS, stop="95.00"), 1).order
    engine.walk(SYMBOL, [to_e8("95.00")], 0, 6)
    reports = engine.stand_at(SYMBOL, 9_490, 9_500, 1_000_000, 6)
    assert [(r.kind, r.order.order_id, r.order.is_working) for r in reports] == [
        (ReportKind.NEW, order.order_id, True),
        (ReportKind.TRADE, order.order_id, True),
    ]
