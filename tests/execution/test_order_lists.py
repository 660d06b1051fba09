"""OCO, OTO and OTOCO lists, worked by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.execution.test_conditional_orders import conditional, free, now, prints
from workbench.execution.matching import MatchingEngine
from workbench.execution.matching.listing import ListResult
from workbench.execution.order_lists import Contingency, ListStatus, ListStep
from workbench.execution.orders import (
    NewList,
    NewOrder,
    OrderStatus,
    OrderType,
    Rejected,
    RejectReason,
    Report,
    ReportKind,
    Side,
)
from workbench.market.instruments import to_e8

SYMBOL = "BTCUSDT"
SELL, BUY = Side.SELL, Side.BUY
STOP, MAKER = OrderType.STOP_LOSS_LIMIT, OrderType.LIMIT_MAKER


def limit(
    side: Side, price: str, quantity: str = "1", kind: OrderType = OrderType.LIMIT
) -> NewOrder:
    return NewOrder("ann", SYMBOL, side, kind, quantity_e8=to_e8(quantity), price_e8=to_e8(price))


def listed(engine: MatchingEngine, kind: Contingency, *orders: NewOrder) -> ListResult:
    return engine.place_list(NewList("ann", SYMBOL, kind, orders), 1)


def bracket(quantity: str = "2") -> tuple[NewOrder, NewOrder]:
    """Sell above at 110, or below 90 down to 89."""
    return (
        limit(SELL, "110.00", quantity, MAKER),
        conditional(SELL, STOP, quantity, price="89.00", stop="90.00"),
    )


def statuses(engine: MatchingEngine, result: ListResult) -> list[str]:
    return [str(engine.orders[order.order_id].status) for order in result.orders]


def steps(reports: tuple[Report, ...]) -> list[ListStep]:
    return [report.order_list.step for report in reports if report.order_list]


def test_the_legs_of_an_oco_share_one_reserve(engine: MatchingEngine) -> None:
    prints(engine, "100.00")
    result = listed(engine, Contingency.OCO, *bracket("7"))
    assert free(engine, "BTC") == 3
    assert result.order_list.status is ListStatus.EXECUTING
    assert steps(result.reports) == [ListStep.EXEC_STARTED]
    buy = (
        limit(BUY, "90.00", "2", MAKER),
        conditional(BUY, STOP, "2", price="112.00", stop="110.00"),
    )
    listed(engine, Contingency.OCO, *buy)
    assert free(engine, "USDT") == 10_000 - 224  # the dearer leg


def test_a_fill_of_one_leg_ends_the_other(engine: MatchingEngine) -> None:
    prints(engine, "100.00")
    result = listed(engine, Contingency.OCO, *bracket())
    engine.walk(SYMBOL, [to_e8("110.01")], to_e8("0.5"), 2)  # a quarter of it
    assert statuses(engine, result) == ["PARTIALLY_FILLED", "EXPIRED"]
    assert engine.floor.lists[0].status is ListStatus.EXECUTING
    prints(engine, "111.00")
    assert statuses(engine, result) == ["FILLED", "EXPIRED"]
    assert engine.floor.lists[0].status is ListStatus.ALL_DONE
    assert free(engine, "USDT") == 10_000 + 220 * Decimal("0.999")
    assert free(engine, "BTC") == 8


def test_a_trigger_of_one_leg_ends_the_other_before_it_trades(engine: MatchingEngine) -> None:
    prints(engine, "100.00")
    result = listed(engine, Contingency.OCO, *bracket())
    heard = engine.walk(SYMBOL, [to_e8("90.00")], 0, 2)
    assert [(r.kind, r.order.order_type) for r in heard] == [(ReportKind.EXPIRED, MAKER)]
    prints(engine, "90.00")
    assert statuses(engine, result) == ["EXPIRED", "FILLED"]
    assert free(engine, "USDT") == 10_000 + 2 * Decimal("89.90") * Decimal("0.999")


def test_cancelling_a_leg_cancels_the_list(engine: MatchingEngine) -> None:
    prints(engine, "100.00")
    result = listed(engine, Contingency.OCO, *bracket())
    done = engine.cancel("ann", SYMBOL, result.orders[1].order_id, 2, client_order_id="stop-it")
    assert statuses(engine, result) == ["CANCELED", "CANCELED"]
    assert {r.order.client_order_id for r in done.reports} == {"stop-it"}
    assert steps(done.reports) == [ListStep.ALL_DONE]
    assert (free(engine, "BTC"), free(engine, "USDT")) == (10, 10_000)
    with pytest.raises(Rejected, match="-2011: Unknown order sent"):
        engine.cancel_list(engine.floor.lists[0], 3)


@pytest.mark.parametrize(
    ("above", "below"),
    [("100.00", "90.00"), ("110.00", "100.00"), ("95.00", "105.00")],
)
def test_an_oco_to_sell_stands_around_the_last_price(
    engine: MatchingEngine, above: str, below: str
) -> None:
    prints(engine, "100.00")
    legs = (limit(SELL, above, "1", MAKER), conditional(SELL, STOP, price="80.00", stop=below))
    with pytest.raises(Rejected, match="-2010: The relationship of the prices"):
        listed(engine, Contingency.OCO, *legs)
    assert engine.orders == {}


def test_two_stops_are_no_oco(engine: MatchingEngine) -> None:
    prints(engine, "100.00")
    legs = [conditional(SELL, STOP, price="80.00", stop=stop) for stop in ("90.00", "91.00")]
    with pytest.raises(Rejected, match="-1158"):
        listed(engine, Contingency.OCO, *legs)


def test_a_pending_order_waits_for_the_last_fill_of_the_working_one(
    engine: MatchingEngine,
) -> None:
    prints(engine, "100.00")
    result = listed(engine, Contingency.OTO, limit(BUY, "99.00", "2"), limit(SELL, "105.00"))
    assert statuses(engine, result) == ["NEW", "PENDING_NEW"]
    assert (free(engine, "USDT"), free(engine, "BTC")) == (10_000 - 198, 10)
    engine.walk(SYMBOL, [to_e8("98.00")], to_e8("1.5"), 2)
    assert statuses(engine, result) == ["PARTIALLY_FILLED", "PENDING_NEW"]
    prints(engine, "98.00")
    assert statuses(engine, result) == ["FILLED", "NEW"]
    assert free(engine, "BTC") == 9 + 2 * Decimal("0.999")
    prints(engine, "105.11")
    assert statuses(engine, result) == ["FILLED", "FILLED"]
    assert engine.floor.lists[0].status is ListStatus.ALL_DONE


def test_an_answer_shows_the_pending_order_waiting_though_the_working_one_filled_at_once(
    engine: MatchingEngine,
) -> None:
    result = listed(engine, Contingency.OTO, limit(BUY, "100.00"), limit(SELL, "105.00"))
    assert [o.status for o in result.orders] == [OrderStatus.FILLED, OrderStatus.PENDING_NEW]
    assert statuses(engine, result) == ["FILLED", "NEW"]
    assert steps(result.reports) == [ListStep.EXEC_STARTED, ListStep.UPDATED]


def test_the_end_of_the_working_order_ends_those_that_wait(engine: MatchingEngine) -> None:
    prints(engine, "100.00")
    result = listed(engine, Contingency.OTO, limit(BUY, "99.00"), *bracket("1"))
    engine.cancel("ann", SYMBOL, result.orders[0].order_id, 2)
    assert statuses(engine, result) == ["CANCELED"] * 3
    assert engine.floor.lists[0].status is ListStatus.ALL_DONE


def test_an_otoco_places_its_pair_when_the_entry_fills_and_the_pair_is_an_oco(
    engine: MatchingEngine,
) -> None:
    prints(engine, "100.00")
    result = listed(engine, Contingency.OTO, limit(BUY, "99.00", "2"), *bracket("1"))
    assert statuses(engine, result) == ["NEW", "PENDING_NEW", "PENDING_NEW"]
    prints(engine, "98.00")
    assert statuses(engine, result) == ["FILLED", "NEW", "NEW"]
    assert [now(engine, o).is_working for o in result.orders] == [True, True, False]
    assert free(engine, "BTC") == 10 + 2 * Decimal("0.999") - 1
    prints(engine, "90.00")
    assert statuses(engine, result) == ["FILLED", "EXPIRED", "FILLED"]


@pytest.mark.parametrize(
    ("pending", "reason"),
    [
        (conditional(SELL, STOP, price="97.00", stop="98.50"), RejectReason.STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY),
        (limit(SELL, "97.00", "1", MAKER), RejectReason.WOULD_MATCH_IMMEDIATELY),
        (limit(SELL, "105.00", "50"), RejectReason.INSUFFICIENT_BALANCES),
    ],
)  # fmt: skip
def test_a_pending_order_that_cannot_be_placed_is_rejected_with_the_reason(
    engine: MatchingEngine, pending: NewOrder, reason: RejectReason
) -> None:
    prints(engine, "100.00")
    result = listed(engine, Contingency.OTO, limit(BUY, "99.00"), pending)
    engine.walk(SYMBOL, [to_e8("98.00")], to_e8("5"), 2)
    reports = engine.stand_at(SYMBOL, 9_790, 9_800, 1_000_000, 2)
    assert statuses(engine, result) == ["FILLED", "REJECTED"]
    assert [(r.kind, r.reason) for r in reports] == [(ReportKind.REJECTED, reason)]
    assert steps(reports) == [ListStep.ALL_DONE]


def test_a_market_order_that_waited_trades_at_the_quote_that_stands_then(
    engine: MatchingEngine,
) -> None:
    prints(engine, "100.00")
    sell_all = NewOrder("ann", SYMBOL, SELL, OrderType.MARKET, quantity_e8=to_e8("1"))
    result = listed(engine, Contingency.OTO, limit(BUY, "99.00"), sell_all)
    prints(engine, "98.00")
    assert statuses(engine, result) == ["FILLED", "FILLED"]
    assert engine.executions[-1].price_ticks == 9_790


def test_a_list_is_refused_whole(engine: MatchingEngine) -> None:
    prints(engine, "100.00")
    too_dear = limit(BUY, "99.00", "200")
    with pytest.raises(Rejected, match="-2010: Account has insufficient balance"):
        listed(engine, Contingency.OTO, too_dear, *bracket("1"))
    with pytest.raises(Rejected, match="-1013: Filter failure: LOT_SIZE"):
        listed(engine, Contingency.OTO, limit(BUY, "99.00"), limit(SELL, "105.00", "0.000001"))
    assert (engine.orders, engine.floor.lists) == ({}, {})
