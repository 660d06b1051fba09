"""Hand-worked fills: what a trader would compute on paper, to the last digit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from workbench.execution.matching import MatchingEngine
from workbench.execution.orders import (
    ExpiryReason,
    NewOrder,
    OrderStatus,
    OrderType,
    Rejected,
    ReportKind,
    Side,
    TimeInForce,
)
from workbench.market.instruments import to_e8

SYMBOL = "BTCUSDT"


def market(side: Side, **amounts: str) -> NewOrder:
    return NewOrder(
        "ann", SYMBOL, side, OrderType.MARKET, **{k: to_e8(v) for k, v in amounts.items()}
    )


def limit(
    side: Side,
    quantity: str,
    price: str,
    *,
    account: str = "ann",
    tif: TimeInForce = TimeInForce.GTC,
    client_id: str = "",
) -> NewOrder:
    return NewOrder(
        account,
        SYMBOL,
        side,
        OrderType.LIMIT,
        quantity_e8=to_e8(quantity),
        price_e8=to_e8(price),
        time_in_force=tif,
        client_order_id=client_id,
    )


def free(engine: MatchingEngine, account: str, asset: str) -> Decimal:
    return Decimal(engine.ledger.get(account, asset).free_e8) / 10**8


def locked(engine: MatchingEngine, account: str, asset: str) -> Decimal:
    return Decimal(engine.ledger.get(account, asset).locked_e8) / 10**8


def test_market_buy_by_quote_spends_whole_lots_and_pays_the_fee_in_base(
    engine: MatchingEngine,
) -> None:
    # 500.0055 USDT at 100.00 is 5.000055 BTC -> 500,005 lots, 500.005 USDT paid; fee 0.00500005 BTC.
    result = engine.place(market(Side.BUY, quote_e8="500.0055"), 7)
    assert result.order.status is OrderStatus.FILLED
    assert result.order.filled_lots == 500_005
    assert free(engine, "ann", "USDT") == Decimal("9499.995")
    assert free(engine, "ann", "BTC") == Decimal("10") + Decimal("5.00005") - Decimal("0.00500005")
    assert result.executions[0].commission_asset == "BTC"


def test_market_sell_receives_the_bid_less_a_fee_in_quote(engine: MatchingEngine) -> None:
    # 0.12345 BTC at 99.90 = 12.332655 USDT; 10 bps of it is 0.012332655, cut to 0.01233265.
    engine.place(market(Side.SELL, quantity_e8="0.12345"), 7)
    assert free(engine, "ann", "BTC") == Decimal("9.87655")
    assert free(engine, "ann", "USDT") == Decimal("10012.332655") - Decimal("0.01233265")


def test_market_order_beyond_the_depth_expires_with_what_there_was(engine: MatchingEngine) -> None:
    engine.deposit("ann", "BTC", to_e8("5"))
    result = engine.place(market(Side.SELL, quantity_e8="12"), 7)
    assert result.order.status is OrderStatus.EXPIRED
    assert result.order.expiry_reason is ExpiryReason.INSUFFICIENT_LIQUIDITY
    assert result.order.filled_lots == 1_000_000


def test_users_meet_at_the_makers_price_before_the_market_is_asked(engine: MatchingEngine) -> None:
    engine.place(limit(Side.SELL, "1", "99.95", account="bob"), 1)
    result = engine.place(market(Side.BUY, quantity_e8="2"), 2)
    assert [(e.price_ticks, e.lots) for e in result.executions] == [
        (9_995, 100_000),
        (10_000, 100_000),
    ]
    assert free(engine, "ann", "USDT") == Decimal("10000") - Decimal("199.95")
    assert free(engine, "bob", "USDT") == Decimal("10000") + Decimal("99.95") * Decimal("0.999")
    assert {r.order.account for r in result.reports if r.kind is ReportKind.TRADE} == {"ann", "bob"}


def test_the_older_of_two_orders_at_one_price_trades_first(engine: MatchingEngine) -> None:
    first = engine.place(limit(Side.BUY, "1", "99.95", account="bob"), 1).order
    second = engine.place(limit(Side.BUY, "1", "99.95"), 2).order
    engine.place(market(Side.SELL, quantity_e8="1.5"), 3)
    assert engine.orders[first.order_id].status is OrderStatus.FILLED
    assert engine.orders[second.order_id].status is OrderStatus.PARTIALLY_FILLED
    assert engine.orders[second.order_id].filled_lots == 50_000


def test_a_sale_by_quote_never_passes_a_better_bid_for_its_last_cents(
    engine: MatchingEngine,
) -> None:
    # 199.9401 USDT is 2 BTC at the best bid of 99.97 and a hundredth of a cent, for which a lot
    # could be sold only at 10.00 or below, while the best bid still wants a third BTC.
    engine.stand_at(SYMBOL, 1_000, 20_000, 1_000_000, 1)
    engine.place(limit(Side.BUY, "3", "99.97", account="bob"), 2)
    result = engine.place(market(Side.SELL, quote_e8="199.9401"), 3)
    assert [(f.price_ticks, f.lots) for f in result.executions] == [(9_997, 200_000)]


def test_limit_buy_locks_quote_and_a_better_price_gives_the_difference_back(
    engine: MatchingEngine,
) -> None:
    engine.place(limit(Side.BUY, "12", "100.50"), 1)  # 10 at 100.00 now, 2 rest at 100.50
    assert locked(engine, "ann", "USDT") == Decimal("201")
    assert free(engine, "ann", "USDT") == Decimal("10000") - Decimal("1000") - Decimal("201")


def test_resting_limit_fills_only_when_traded_through_and_at_its_own_price(
    engine: MatchingEngine,
) -> None:
    order = engine.place(limit(Side.BUY, "1", "99.00"), 1).order
    assert engine.walk(SYMBOL, [to_e8("99.00")], to_e8("50"), 2) == ()
    reports = engine.walk(SYMBOL, [to_e8("98.995")], to_e8("50"), 3)
    assert [(r.execution.price_ticks, r.execution.is_maker) for r in reports if r.execution] == [
        (9_900, True)
    ]
    assert engine.orders[order.order_id].status is OrderStatus.FILLED
    assert free(engine, "ann", "USDT") == Decimal("9901")


def test_touch_fills_when_the_engine_was_told_so(engine: MatchingEngine) -> None:
    lenient = MatchingEngine(engine.instruments, 0, 0, touch_fills=True)
    lenient.deposit("ann", "USDT", to_e8("1000"))
    lenient.stand_at(SYMBOL, 9_990, 10_000, 1_000_000, 0)
    lenient.place(limit(Side.BUY, "1", "99.00"), 1)
    assert len(lenient.walk(SYMBOL, [to_e8("99")], to_e8("50"), 2)) == 1


def test_volume_of_the_print_caps_what_a_resting_order_gets(engine: MatchingEngine) -> None:
    order = engine.place(limit(Side.BUY, "1", "99.00"), 1).order
    engine.walk(SYMBOL, [to_e8("98")], to_e8("0.4"), 2)
    assert engine.orders[order.order_id].filled_lots == 40_000
    assert locked(engine, "ann", "USDT") == Decimal("59.4")


def test_a_gap_in_the_standing_quote_fills_at_the_limit_price(engine: MatchingEngine) -> None:
    engine.place(limit(Side.BUY, "1", "99.00"), 1)
    reports = engine.stand_at(SYMBOL, 9_000, 9_010, 1_000_000, 2)
    assert [r.execution.price_ticks for r in reports if r.execution] == [9_900]


def test_ioc_expires_what_is_left_and_frees_its_money(engine: MatchingEngine) -> None:
    result = engine.place(limit(Side.BUY, "12", "100.00", tif=TimeInForce.IOC), 1)
    assert result.order.status is OrderStatus.EXPIRED
    assert result.order.expiry_reason is ExpiryReason.UNFILLED_IOC_QUANTITY_EXPIRED
    assert result.order.filled_lots == 1_000_000
    assert locked(engine, "ann", "USDT") == 0


def test_fok_trades_everything_or_nothing(engine: MatchingEngine) -> None:
    nothing = engine.place(limit(Side.BUY, "12", "100.00", tif=TimeInForce.FOK), 1)
    assert nothing.order.status is OrderStatus.EXPIRED
    assert nothing.executions == ()
    everything = engine.place(limit(Side.BUY, "3", "100.00", tif=TimeInForce.FOK), 1)
    assert everything.order.status is OrderStatus.FILLED


def test_cancel_gives_the_reserve_back_and_a_second_cancel_is_unknown(
    engine: MatchingEngine,
) -> None:
    order = engine.place(limit(Side.SELL, "4", "120"), 1).order
    assert locked(engine, "ann", "BTC") == 4
    engine.cancel("ann", SYMBOL, order.order_id, 2)
    assert (free(engine, "ann", "BTC"), locked(engine, "ann", "BTC")) == (10, 0)
    with pytest.raises(Rejected, match="-2011: Unknown order sent") as error:
        engine.cancel("ann", SYMBOL, order.order_id, 3)
    assert error.value.code == -2011


def test_another_users_order_cannot_be_cancelled(engine: MatchingEngine) -> None:
    order = engine.place(limit(Side.SELL, "4", "120"), 1).order
    with pytest.raises(Rejected, match="-2011"):
        engine.cancel("bob", SYMBOL, order.order_id, 2)


def test_client_id_is_unique_among_open_orders_and_free_again_afterwards(
    engine: MatchingEngine,
) -> None:
    order = engine.place(limit(Side.SELL, "1", "120", client_id="mine"), 1).order
    with pytest.raises(Rejected, match="-2010: Duplicate order sent"):
        engine.place(limit(Side.SELL, "1", "130", client_id="mine"), 2)
    engine.cancel("ann", SYMBOL, order.order_id, 3)
    again = engine.place(limit(Side.SELL, "1", "130", client_id="mine"), 4).order
    found = engine.find("ann", SYMBOL, order_id=None, client_order_id="mine")
    assert found == engine.orders[again.order_id]


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (market(Side.BUY, quote_e8="10000.01"), "-2010: Account has insufficient balance"),
        (market(Side.SELL, quantity_e8="10.00001"), "-2010: Account has insufficient balance"),
        (limit(Side.BUY, "101", "99.01"), "-2010: Account has insufficient balance"),
        (market(Side.SELL, quantity_e8="0.000015"), "-1013: Filter failure: LOT_SIZE"),
        (market(Side.SELL, quantity_e8="9000001"), "-1013: Filter failure: LOT_SIZE"),
        (limit(Side.BUY, "1", "99.005"), "-1013: Filter failure: PRICE_FILTER"),
        (limit(Side.BUY, "0.0001", "99"), "-1013: Filter failure: NOTIONAL"),
        (market(Side.BUY, quote_e8="4.99"), "-1013: Filter failure: NOTIONAL"),
        (market(Side.SELL, quantity_e8="0.05"), "-1013: Filter failure: NOTIONAL"),
        (NewOrder("ann", "NOPE", Side.BUY, OrderType.MARKET, quote_e8=1), "-1121: Invalid symbol"),
    ],
)
def test_a_refused_order_changes_nothing(
    engine: MatchingEngine, order: NewOrder, message: str
) -> None:
    before = engine.balances("ann")
    with pytest.raises(Rejected, match=message):
        engine.place(order, 1)
    assert engine.balances("ann") == before
    assert engine.orders == {}
