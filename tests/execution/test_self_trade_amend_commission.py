"""Self-trade prevention, amendments and commissions in BNB, worked by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.execution.test_conditional_orders import conditional, free, now, prints
from tests.execution.test_order_lists import bracket, limit, listed, statuses
from workbench.execution.filters import FilterRules
from workbench.execution.matching import MatchingEngine
from workbench.execution.order_lists import Contingency, ListStep
from workbench.execution.orders import (
    NewOrder,
    OrderStatus,
    OrderType,
    Rejected,
    ReportKind,
    SelfTrade,
    Side,
)
from workbench.market.instruments import SCALE, instrument, to_e8

SYMBOL = "BTCUSDT"
IN_MATCH = OrderStatus.EXPIRED_IN_MATCH


def own_bids(engine: MatchingEngine) -> list[int]:
    """Rest the three makers of the official STP examples: 1.2 at 99.99, 1.3 at 99.98, 8.1 at 99.97."""
    prints(engine, "100.00", spread="1.00")  # the market bids 99.00
    given = (("99.99", "1.2"), ("99.98", "1.3"), ("99.97", "8.1"))
    return [engine.place(limit(Side.BUY, price, size), 1).order.order_id for price, size in given]


def sell_three(engine: MatchingEngine, mode: SelfTrade) -> NewOrder:
    return NewOrder(
        "ann",
        SYMBOL,
        Side.SELL,
        OrderType.LIMIT,
        quantity_e8=to_e8("3"),
        price_e8=to_e8("99.97"),
        self_trade=mode,
    )


def test_without_prevention_an_account_trades_with_itself(engine: MatchingEngine) -> None:
    own_bids(engine)
    result = engine.place(sell_three(engine, SelfTrade.NONE), 2)
    assert result.order.status is OrderStatus.FILLED
    assert [f.lots for f in result.executions] == [120_000, 130_000, 50_000]


def test_expire_maker_ends_every_own_order_in_the_way_and_rests_the_taker(
    engine: MatchingEngine,
) -> None:
    makers = own_bids(engine)
    result = engine.place(sell_three(engine, SelfTrade.EXPIRE_MAKER), 2)
    assert (result.order.status, result.order.filled_lots) == (OrderStatus.NEW, 0)
    assert [engine.orders[n].status for n in makers] == [IN_MATCH] * 3
    assert [engine.orders[n].prevented_lots for n in makers] == [120_000, 130_000, 810_000]
    assert [engine.orders[n].prevented_match_id for n in makers] == [0, 1, 2]
    matches = engine.floor.prevented
    assert [(m.maker_lots, m.taker_lots) for m in matches] == [
        (120_000, 0),
        (130_000, 0),
        (810_000, 0),
    ]
    assert free(engine, "USDT") == 10_000


def test_expire_taker_keeps_the_makers_and_ends_the_taker(engine: MatchingEngine) -> None:
    makers = own_bids(engine)
    result = engine.place(sell_three(engine, SelfTrade.EXPIRE_TAKER), 2)
    order = result.order
    assert (order.status, order.prevented_lots, order.prevented_match_id) == (IN_MATCH, 300_000, 0)
    assert [engine.orders[n].status for n in makers] == [OrderStatus.NEW] * 3
    assert free(engine, "BTC") == 10


def test_expire_both_ends_the_first_maker_and_the_taker(engine: MatchingEngine) -> None:
    makers = own_bids(engine)
    result = engine.place(sell_three(engine, SelfTrade.EXPIRE_BOTH), 2)
    assert result.order.status is IN_MATCH
    assert [engine.orders[n].status for n in makers] == [IN_MATCH, OrderStatus.NEW, OrderStatus.NEW]
    kinds = [r.kind for r in result.reports]
    assert kinds == [ReportKind.NEW, ReportKind.TRADE_PREVENTION, ReportKind.TRADE_PREVENTION]


def test_others_before_the_own_order_trade_and_then_the_taker_ends(engine: MatchingEngine) -> None:
    prints(engine, "100.00", spread="1.00")
    best = NewOrder(
        "bob",
        SYMBOL,
        Side.BUY,
        OrderType.LIMIT,
        quantity_e8=to_e8("1"),
        price_e8=to_e8("99.99"),
    )
    engine.place(best, 1)
    engine.place(limit(Side.BUY, "99.98"), 1)
    result = engine.place(sell_three(engine, SelfTrade.EXPIRE_TAKER), 2)
    assert (result.order.filled_lots, result.order.prevented_lots) == (100_000, 200_000)


def test_an_amended_order_keeps_its_place_and_gives_money_back(engine: MatchingEngine) -> None:
    prints(engine, "100.00")
    mine = engine.place(limit(Side.BUY, "99.00", "5.5"), 1).order
    theirs = NewOrder(
        "bob",
        SYMBOL,
        Side.BUY,
        OrderType.LIMIT,
        quantity_e8=to_e8("4"),
        price_e8=to_e8("99.00"),
    )
    engine.place(theirs, 2)
    done = engine.amend(mine, to_e8("5"), 3, client_order_id="less")
    assert [lots for _, _, lots in engine.book(SYMBOL).orders(Side.BUY)] == [500_000, 400_000]
    assert free(engine, "USDT") == 10_000 - 495
    assert (done.order.client_order_id, done.order.order_id) == ("less", mine.order_id)
    assert [(r.kind, r.replaces) for r in done.reports] == [
        (ReportKind.REPLACED, mine.client_order_id)
    ]
    engine.walk(SYMBOL, [to_e8("98.99")], to_e8("5"), 4)
    assert now(engine, mine).status is OrderStatus.FILLED


def test_an_amended_order_is_found_by_its_new_id_and_the_old_one_is_free(
    engine: MatchingEngine,
) -> None:
    prints(engine, "100.00")
    old = NewOrder(
        "ann",
        SYMBOL,
        Side.BUY,
        OrderType.LIMIT,
        quantity_e8=to_e8("2"),
        price_e8=to_e8("99.00"),
        client_order_id="one",
    )
    order = engine.place(old, 1).order
    engine.amend(order, to_e8("1"), 2, client_order_id="two")
    assert engine.find("ann", SYMBOL, order_id=None, client_order_id="one") is None
    assert engine.find("ann", SYMBOL, order_id=None, client_order_id="two") is not None
    engine.place(old, 3)
    with pytest.raises(Rejected, match="-2038: Duplicate order sent"):
        engine.amend(engine.orders[2], to_e8("1"), 4, client_order_id="two")


@pytest.mark.parametrize(
    ("quantity", "message"),
    [
        ("2.1", "-2038: Order amend .quantity increase. is not supported"),
        ("2", "-2038: The requested action would change no state"),
        ("0.5", "-2038: The requested action would change no state"),  # 0.5 has traded
        ("0.000001", "-1013: Filter failure: LOT_SIZE"),
    ],
)
def test_only_less_than_before_and_more_than_traded_is_an_amendment(
    engine: MatchingEngine, quantity: str, message: str
) -> None:
    prints(engine, "100.00")
    order = engine.place(limit(Side.BUY, "99.00", "2"), 1).order
    engine.walk(SYMBOL, [to_e8("98.99")], to_e8("0.5"), 2)
    with pytest.raises(Rejected, match=message):
        engine.amend(now(engine, order), to_e8(quantity), 3, client_order_id="x")


def test_an_order_is_amended_at_most_as_often_as_the_filter_says(engine: MatchingEngine) -> None:
    engine.floor.rules[SYMBOL] = FilterRules(max_num_order_amends=2)
    order = engine.place(limit(Side.BUY, "99.00", "5"), 1).order
    for left in ("4", "3"):
        order = engine.amend(order, to_e8(left), 2, client_order_id=f"q{left}").order
    with pytest.raises(Rejected, match="-2038: Filter failure: MAX_NUM_ORDER_AMENDS"):
        engine.amend(order, to_e8("2"), 3, client_order_id="q2")


def test_amending_a_leg_amends_the_pair_and_says_so(engine: MatchingEngine) -> None:
    prints(engine, "100.00")
    result = listed(engine, Contingency.OCO, *bracket("7"))
    done = engine.amend(result.orders[1], to_e8("4"), 2, client_order_id="four")
    assert [engine.orders[o.order_id].lots for o in result.orders] == [400_000, 400_000]
    assert free(engine, "BTC") == 6
    assert [r.order_list.step for r in done.reports if r.order_list] == [ListStep.UPDATED]
    assert engine.floor.lists[0].orders[1][1] == "four"
    prints(engine, "90.00")
    assert statuses(engine, result) == ["EXPIRED", "FILLED"]
    assert free(engine, "BTC") == 6


def test_a_pending_order_is_amended_alone(engine: MatchingEngine) -> None:
    prints(engine, "100.00")
    result = listed(
        engine, Contingency.OTO, limit(Side.BUY, "99.00", "2"), limit(Side.SELL, "105.00", "2")
    )
    engine.amend(result.orders[1], to_e8("1"), 2, client_order_id="half")
    assert [engine.orders[o.order_id].lots for o in result.orders] == [200_000, 100_000]
    assert statuses(engine, result) == ["NEW", "PENDING_NEW"]


def bnb_market() -> MatchingEngine:
    """BNBUSDT at 599.90 / 600.00, three lots of 0.001 deep a side; 10 bps; ann pays in BNB."""
    engine = MatchingEngine(
        {name: instrument(name) for name in ("BNBUSDT", SYMBOL)}, 100_000, 100_000
    )
    engine.clearing.pays_in_bnb.add("ann")
    engine.deposit("ann", "USDT", to_e8("1000"))
    engine.deposit("bob", "BNB", to_e8("10"))
    engine.walk("BNBUSDT", [to_e8("600")], 0, 0)
    engine.stand_at("BNBUSDT", 59_990, 60_000, 1_000, 0)
    return engine


def test_a_commission_in_bnb_costs_a_quarter_less_and_leaves_the_received_whole() -> None:
    # 0.01 BTC at 50,000 = 500 USDT; 10 bps of it less 25 % is 0.375 USDT = 0.000625 BNB at 600.
    engine = bnb_market()
    engine.deposit("ann", "BNB", to_e8("1"))
    engine.stand_at(SYMBOL, 4_999_900, 5_000_000, 1_000_000, 0)
    buy = NewOrder("ann", SYMBOL, Side.BUY, OrderType.MARKET, quantity_e8=to_e8("0.01"))
    (fill,) = engine.place(buy, 1).executions
    assert (fill.commission_asset, fill.commission_e8) == ("BNB", to_e8("0.000625"))
    assert free(engine, "BTC") == Decimal("0.01")
    assert free(engine, "BNB") == Decimal("0.999375")


def test_without_enough_bnb_the_received_asset_pays_in_full() -> None:
    engine = bnb_market()
    engine.stand_at(SYMBOL, 4_999_900, 5_000_000, 1_000_000, 0)
    buy = NewOrder("ann", SYMBOL, Side.BUY, OrderType.MARKET, quantity_e8=to_e8("0.01"))
    (fill,) = engine.place(buy, 1).executions
    assert (fill.commission_asset, fill.commission_e8) == ("BTC", to_e8("0.00001"))


def test_selling_all_bnb_in_pieces_never_pays_a_commission_with_what_is_still_to_be_sold() -> None:
    engine = bnb_market()
    engine.deposit("ann", "BNB", to_e8("1.5"))
    bid = NewOrder(
        "bob",
        "BNBUSDT",
        Side.BUY,
        OrderType.LIMIT,
        quantity_e8=to_e8("0.5"),
        price_e8=to_e8("599.95"),
    )
    engine.deposit("bob", "USDT", to_e8("1000"))
    engine.place(bid, 1)
    sell = NewOrder("ann", "BNBUSDT", Side.SELL, OrderType.MARKET, quantity_e8=to_e8("1.5"))
    result = engine.place(sell, 2)
    assert result.order.status is OrderStatus.FILLED
    assert [fill.commission_asset for fill in result.executions] == ["USDT", "USDT"]
    assert engine.ledger.get("ann", "BNB").free_e8 == 0
    engine.ledger.check_conservation()
    assert free(engine, "USDT") == 1_000 + Decimal("0.999") * (
        Decimal("0.5") * Decimal("599.95") + Decimal("1") * Decimal("599.90")
    )


def test_bought_bnb_pays_for_its_own_purchase() -> None:
    engine = bnb_market()
    buy = NewOrder("ann", "BNBUSDT", Side.BUY, OrderType.MARKET, quantity_e8=to_e8("1"))
    (fill,) = engine.place(buy, 1).executions
    assert (fill.commission_asset, fill.commission_e8) == ("BNB", 75_000)  # 1 BNB x 7.5 bps
    assert engine.ledger.get("ann", "BNB").free_e8 == SCALE - 75_000


def test_a_conditional_order_can_be_amended_while_it_waits(engine: MatchingEngine) -> None:
    prints(engine, "100.00")
    order = engine.place(conditional(Side.SELL, OrderType.STOP_LOSS, "5", stop="95.00"), 1).order
    engine.amend(order, to_e8("2"), 2, client_order_id="two")
    assert free(engine, "BTC") == 8
    prints(engine, "95.00")
    assert now(engine, order).status is OrderStatus.FILLED
    assert now(engine, order).filled_lots == 200_000
